"""Replay: the live engine over recorded prices, with files a trader reads at both ends."""
