"""Deliberate holes in a table: a row deleted, a rule emptied, a move not made. Each must be noticed by some walk."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from grodtd.execution import bracket_order_manager, oco_emulator
from tests.walks.scenes import SCENES
from tests.walks.settings import SETTINGS, walked
from tests.walks.walk import Broken, Walker

MACHINES: dict[str, ModuleType] = {"exits": oco_emulator, "bracket": bracket_order_manager}


@dataclass(frozen=True)
class Mutant:
    """One table with one hole."""

    machine: str
    key: tuple[Any, Any]
    hole: str
    row: tuple[Any, Any] | None
    """What stands in the row's place; None: nothing."""

    @property
    def name(self) -> str:
        return f"{self.machine} ({self.key[0].name}, {self.key[1].name}) {self.hole}"


def mutants(machine: str) -> list[Mutant]:
    """Every row deleted; every rule that does something emptied; every move to another state not made."""
    module = MACHINES[machine]
    found = []
    for key, (state, rule) in module.TABLE.items():
        found.append(Mutant(machine, key, "deleted", None))
        if rule is not module.nothing:
            found.append(Mutant(machine, key, "emptied", (state, module.nothing)))
        if state is not key[0]:
            found.append(Mutant(machine, key, "stays", (key[0], rule)))
    return found


@contextmanager
def spoiled(mutant: Mutant) -> Iterator[None]:
    """Have the hole in the table for a while."""
    module = MACHINES[mutant.machine]
    whole = module.TABLE
    module.TABLE = dict(whole)
    if mutant.row is None:
        del module.TABLE[mutant.key]
    else:
        module.TABLE[mutant.key] = mutant.row
    try:
        yield
    finally:
        module.TABLE = whole


def catcher(mutant: Mutant) -> str:
    """Return the scene, or the walk, that notices; empty when none does. Small walks that use the row come first."""
    for name, scene in SCENES.items():
        with spoiled(mutant):
            try:
                scene()
            except (AssertionError, AttributeError):  # what ought to have been sent is not there
                return name
    row = (mutant.machine, str(mutant.key[0]), str(mutant.key[1]))
    using = [setting for setting in SETTINGS if row in walked(setting).rows]
    for setting in sorted(using, key=lambda setting: walked(setting).steps):
        with spoiled(mutant):
            try:
                Walker(setting, limit=20_000).run()
            except (AssertionError, Broken):
                return setting.name
    return ""


class Noted(dict):
    """A table that remembers which of its rows were asked for."""

    def __init__(self, rows):
        super().__init__(rows)
        self.used = set()

    def get(self, key, default=None):
        self.used.add(key)
        return super().get(key, default)


def unneeded_rows(machine: str) -> list[tuple[Any, Any]]:
    """Rows of a machine that no walk and no scene comes through."""
    module, walks = MACHINES[machine], set().union(*(walked(setting).rows for setting in SETTINGS))
    whole = module.TABLE
    told = module.TABLE = Noted(whole)
    try:
        for story in SCENES.values():
            story()
    finally:
        module.TABLE = whole
    return [key for key in whole if (machine, *map(str, key)) not in walks and key not in told.used]
