"""Errors by who has to act. Each docstring opens with that, and says what is safe meanwhile."""


class GrodtdError(Exception):
    """Base of all our errors; `str()` of it is one sentence for a person."""


class ConfigError(GrodtdError):
    """The operator acts, before start. On a reload the old configuration stays in force."""

    def __init__(self, problems: list[str]) -> None:
        """Keep one line a problem: file, path, value, what is allowed."""
        super().__init__("\n".join(problems))
        self.problems = problems


class DataError(GrodtdError):
    """The person who supplied the file acts: the message names file and line. Nothing was changed."""


class Refused(GrodtdError):
    """The caller acts. Definitive: nothing happened, nothing will."""

    def __init__(self, message: str, *, code: str = "refused") -> None:
        """`code` is a stable word for programs (`would_trigger`, `too_late`, `unknown_order`, ...)."""
        super().__init__(message)
        self.code = code


class NotSent(GrodtdError):
    """We act: the request never left, so it is safe to try again."""


class OutcomeUnknown(GrodtdError):
    """We act: it may have happened, or may happen late. Query by client order id before anything new."""


class Surprise(GrodtdError):
    """Nobody yet: a report without a row in its table.

    Nothing was changed; the bracket is frozen with its stop in place, and reconciled.
    """

    def __init__(self, machine: str, state: str, meaning: str, detail: str = "") -> None:
        """Name the machine, the state it is in and what the report would mean there."""
        super().__init__(f"{machine}: no row for ({state}, {meaning}){': ' + detail if detail else ''}")
        self.machine, self.state, self.meaning = machine, state, meaning
