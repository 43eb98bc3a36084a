"""Pure nouns of the trade: they know nobody, hold no clock and do no I/O."""
