"""The durable journal: records, snapshots, the lease, and the codec that gives a record its shape.

Start with `journal` (what a daemon writes to), `reading` (what `explain` reads from) and `memory` (the simulation's).
`docs/design/journal-design.md` says why it is built as it is. Only `codec` may be imported from elsewhere than
`bootstrap`; it opens no database.
"""
