"""The lease: one instance at a time acts for an account, and the epoch fences off one that only thinks it does.

Taking the lease raises the epoch, in the lease and in the journal's `head` row; an append is taken only while `head`
still has the writer's epoch, checked in the append's own transaction. Since every intent is durable before it is sent,
an instance that lost its lease cannot send anything new, however late it learns of it. Time is handed in.
"""

import msgspec
from sqlalchemy import Connection, select, update

from grodtd.domain.errors import ConfigError
from grodtd.storage.errors import JournalCorrupt, JournalLocked, LeaseLost
from grodtd.storage.schema import head, lease

NS_PER_S = 1_000_000_000
TTL_NS = 30 * NS_PER_S
"""How long a lease holds without renewal. Renew it every third of that."""


class Lease(msgspec.Struct, frozen=True):
    """The right to act for `account` until `expires_ns` (ns since the epoch), under fencing number `epoch`."""

    account: str
    holder: str
    epoch: int
    expires_ns: int


def acquire(
    connection: Connection,
    place: str,
    account: str,
    holder: str,
    *,
    now_ns: int,
    ttl_ns: int = TTL_NS,
    alone: bool = False,
) -> tuple[Lease, Lease | None]:
    """Take the lease; return it, and the one it took over from somebody who never released it (None: nobody).

    `alone`: it is proven that no other process has this journal, so a lease that has not run out is a dead one's.
    Raises: `JournalLocked` - another instance's lease still runs; `ConfigError` - the journal is another account's.
    """
    with connection.begin():
        # The head row first, and for update: two starters wait for each other here.
        fence = connection.execute(select(head.c.epoch).with_for_update()).scalar_one_or_none()
        if fence is None:
            raise JournalCorrupt(place, "the row that names its last record is gone")
        held = [Lease(*row) for row in connection.execute(select(lease)).all()]
        for other in held:
            if other.account != account:
                raise ConfigError(
                    [f"journal {place} belongs to account {other.account!r}, not {account!r}: one journal an account"]
                )
            if other.expires_ns > now_ns and not alone:
                raise JournalLocked(place, other.holder, until_ns=other.expires_ns)
        epoch = max(fence, *(other.epoch for other in held), 0) + 1
        taken = Lease(account, holder, epoch, now_ns + ttl_ns)
        if held:
            connection.execute(update(lease).values(msgspec.structs.asdict(taken)))
        else:
            connection.execute(lease.insert().values(msgspec.structs.asdict(taken)))
        connection.execute(update(head).values(epoch=epoch))
    return taken, next((other for other in held if other.expires_ns > now_ns), None)


def renew(connection: Connection, place: str, mine: Lease, *, now_ns: int, ttl_ns: int = TTL_NS) -> Lease:
    """Return the lease with its end moved to `now_ns + ttl_ns`. Raises: `LeaseLost` - stop acting."""
    _set_end(connection, place, mine, now_ns + ttl_ns)
    return msgspec.structs.replace(mine, expires_ns=now_ns + ttl_ns)


def release(connection: Connection, place: str, mine: Lease) -> None:
    """End the lease, so that the next instance need not wait. Raises: `LeaseLost` - it was not ours any more."""
    _set_end(connection, place, mine, 0)


def _set_end(connection: Connection, place: str, mine: Lease, expires_ns: int) -> None:
    ours = (lease.c.account == mine.account) & (lease.c.epoch == mine.epoch)
    with connection.begin():
        if connection.execute(update(lease).where(ours).values(expires_ns=expires_ns)).rowcount == 1:
            return
        now = connection.execute(select(lease).where(lease.c.account == mine.account)).first()
    raise lost(place, mine.epoch, Lease(*now) if now else None)


def lost(place: str, epoch: int, now: Lease | None) -> LeaseLost:
    """Return the error that says who took over."""
    who = f"{now.holder} under epoch {now.epoch}" if now else "somebody who removed our lease"
    return LeaseLost(f"{place}: our lease (epoch {epoch}) was taken over by {who}. This instance must stop.")
