"""Trailing stops of one symbol and side, in groups that share the best price since they began.

A stop that stays a distance behind the best price needs that price alone. Trails that have seen the same best price
are a group: a new best is written once, however many trail behind it. A group whose best the market has since left
behind waits, and its stops stand still; when the market comes back to that price, the group joins the ones that are
there. So a new high costs O(1) and the joins it brings: each group joins once, and the smaller is poured into the
larger, O(log n) pours a trail at most.

Everything sees a long, in whole units of the book; see `watch_heap`.
"""

import heapq
from decimal import Decimal
from math import inf
from typing import NamedTuple

import numpy as np

from grodtd.domain.orders import Side
from grodtd.execution.oco_emulator import Touch
from grodtd.execution.quote_scan import NO_TRAILS, Ints, Trails, clipped
from grodtd.execution.watch_heap import Heap, Watch, add, collect, pruned, top


class Group:
    """Trails that have seen the same best price: a heap by distance, the closest on top."""

    __slots__ = ("best", "members")

    def __init__(self, best: int) -> None:
        """Begin without members, at a best price in units."""
        self.best = best
        self.members: Heap = []


class Trail(Watch):
    """A stop that stays `distance` units behind the best price of its group."""

    __slots__ = ("distance", "group")

    def __init__(self, bracket_id: str, side: Side, distance_px: Decimal, arrival: int, distance: int) -> None:
        """Wait for the price to fall back by `distance_px`, which is `distance` units."""
        super().__init__(bracket_id, side, Touch.STOP, distance_px, arrival)
        self.distance = distance
        self.group: Group | None = None


class Bounds(NamedTuple):
    """What trails wait for, units; infinite where there is no such thing."""

    best: int
    """Of the group that runs: above it the group's stops move."""
    distance: int
    """How far the nearest of them stays behind."""
    fixed: float
    """The nearest stop of all groups that wait."""
    joins: float
    """The price at which the next of them joins; may be too low, never too high."""


class TrailGroups:
    """All trails of one side. `dead` ones are dropped when met, or by `prune`."""

    def __init__(self) -> None:
        """Begin empty."""
        self._running: Group | None = None
        """The group at the lowest best price: the one a new best lifts."""
        self._waiting: dict[int, Group] = {}
        """The others, by their best price."""
        self._bests: list[int] = []
        """Heap of those prices, maybe with some of groups that are gone."""
        self._heads: list[tuple[int, int]] = []
        """Heap of (-level of a waiting group's nearest stop, its best); none lies too low, some may lie too high."""
        self._table: tuple[int, Ints, Ints, Ints] | None = None
        """The waiting groups as arrays, for `as_arrays`; None: they have changed."""

    def __bool__(self) -> bool:
        return self._running is not None

    def add(self, trail: Trail, best: int) -> None:
        """Let one more trail behind `best`, the best price it has seen: O(log n)."""
        running = self._running
        if running is None or best < running.best:
            if running is not None:
                self._wait(running)
            group = self._running = Group(best)
        elif best == running.best:
            group = running
        else:
            known = self._waiting.get(best)
            group = known if known is not None else self._wait(Group(best))
        trail.group = group
        add(group.members, trail.distance, trail)
        if group is not self._running and group.members[0][2] is trail:
            heapq.heappush(self._heads, (trail.distance - best, best))
            self._table = None

    def _wait(self, group: Group) -> Group:
        self._waiting[group.best] = group
        heapq.heappush(self._bests, group.best)
        nearest = top(group.members)
        if nearest is not None:
            heapq.heappush(self._heads, (nearest - group.best, group.best))
        self._table = None
        return group

    def removed(self, trail: Trail) -> None:
        """A trail was taken away (`alive` is False already)."""
        if trail.group is not self._running:
            self._table = None

    def lift(self, px: int) -> None:
        """The market was at `px`: trails that have seen no better follow it."""
        running = self._running
        if running is None or px <= running.best:
            return
        running.best = px
        while self._bests and self._bests[0] <= px:
            joining = self._waiting.pop(heapq.heappop(self._bests), None)
            if joining is None:
                continue
            self._table = None
            if len(joining.members) > len(running.members):
                running, joining = joining, running
                running.best = px
            for distance, _, trail in joining.members:
                if trail.alive:
                    assert isinstance(trail, Trail)
                    trail.group = running
                    add(running.members, distance, trail)
        self._running = running

    def bounds(self) -> Bounds | None:
        """Return between which prices nothing happens to any trail; None where nothing trails."""
        while self._running is not None and top(self._running.members) is None:
            self._running = self._next()
        running = self._running
        if running is None:
            return None
        waiting = self._nearest_waiting()
        return Bounds(
            running.best,
            running.members[0][0],
            waiting if waiting is not None else -inf,
            self._bests[0] if self._bests else inf,
        )

    def _next(self) -> Group | None:
        """Take the waiting group with the lowest best out."""
        while self._bests:
            group = self._waiting.pop(heapq.heappop(self._bests), None)
            if group is not None:
                self._table = None
                return group
        return None

    def _nearest_waiting(self) -> int | None:
        """Return the nearest stop of the waiting groups, putting right what in `_heads` lies too high."""
        heads = self._heads
        while heads:
            found, best = heads[0]
            group = self._waiting.get(best)
            nearest = top(group.members) if group is not None else None
            if group is None or nearest is None:
                heapq.heappop(heads)
                if group is not None:
                    del self._waiting[best]
                    self._table = None
            elif nearest - best != found:
                heapq.heapreplace(heads, (nearest - best, best))
            else:
                return -found
        return None

    def collect(self, px: int, found: list[Watch]) -> None:
        """Add to `found`, in no order, the trails whose stop a market at `px` is at or through."""
        if self._running is not None:
            collect(self._running.members, self._running.best - px, found)
        reached: dict[int, int] = {}
        while (level := self._nearest_waiting()) is not None and level >= px:
            key, best = heapq.heappop(self._heads)
            if best not in reached:
                reached[best] = key
                collect(self._waiting[best].members, best - px, found)
        for best, key in reached.items():
            heapq.heappush(self._heads, (key, best))

    def prune(self, factor: int = 1) -> None:
        """Drop all trails that were taken away, and count prices in units `factor` times as fine."""
        groups = [group for group in (self._running, *self._waiting.values()) if group is not None]
        self._running, self._waiting, self._bests, self._heads, self._table = None, {}, [], [], None
        for group in groups:
            group.best *= factor
            group.members = pruned(group.members, factor)
            for _, _, trail in group.members:
                assert isinstance(trail, Trail)
                trail.distance *= factor
        groups = sorted((group for group in groups if group.members), key=lambda group: group.best)
        self._running = groups[0] if groups else None
        for group in groups[1:]:
            self._wait(group)

    def as_arrays(self, step: int) -> Trails:
        """Return what a walk over prices in units of `step` needs to know of the trails; see `Trails`."""
        if self.bounds() is None or self._running is None:
            return NO_TRAILS
        if self._table is None or self._table[0] != step:
            self._table = (step, *_table(sorted(self._waiting.values(), key=lambda group: group.best), step))
        head = _table([self._running], step)
        best, distance, level = (np.concatenate(pair) for pair in zip(head, self._table[1:], strict=True))
        return Trails.of(best, distance, level)


def _table(groups: list[Group], step: int) -> tuple[Ints, Ints, Ints]:
    """Return best, smallest distance and nearest level of each group in units of `step`, rounded never to be early."""
    rows = [(group.best, nearest) for group in groups if (nearest := top(group.members)) is not None]
    return (
        clipped(-(-best // step) for best, _ in rows),
        clipped(-(-distance // step) for _, distance in rows),
        clipped((best - distance) // step for best, distance in rows),
    )
