"""A refusal by a limit: which one, what it met, what it allows, and what would pass."""

import msgspec

from grodtd.domain.errors import Refused


class Refusal(msgspec.Struct, frozen=True):
    """An answer, not an error: nothing was sent. The words are for the person who asked."""

    limit: str
    """The key or fact that stands in the way: risk_limits.max_open_risk, sizing.risk_per_trade, quote, ..."""
    value: str
    """What was met, in words with its figures."""
    allowed: str
    would_pass: str

    @property
    def text(self) -> str:
        """The refusal in one line.

        >>> Refusal("risk_limits.max_active_brackets", "50 are active", "at most 50", "an entry after one ends").text
        'risk_limits.max_active_brackets: 50 are active; allowed: at most 50; what would pass: an entry after one ends'
        """
        return f"{self.limit}: {self.value}; allowed: {self.allowed}; what would pass: {self.would_pass}"

    def error(self) -> Refused:
        """The same for whoever waits for an answer; its code is the last word of the limit's name."""
        return Refused(self.text, code=self.limit.rpartition(".")[2])
