"""What one fact led to."""

import msgspec

from grodtd.domain.commands import Command
from grodtd.domain.notes import Note


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The engine's answer to one fact: intentions to carry out, decisions to tell.

    `journal` is False for a fact that changed nothing worth keeping (an idle quote): nothing is written for it.
    """

    commands: tuple[Command, ...] = ()
    notes: tuple[Note, ...] = ()
    journal: bool = True


NOTHING_HAPPENED = Outcome(journal=False)
