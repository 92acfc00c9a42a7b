"""What happened: one SQLite file that is the only bus between hosts, terminals and exports.

A host appends through one `Writer` (group commit); everyone else reads with a `Reader` (short read-only
transactions) and inserts commands and answers with `write_once`. State tables say how things are now and change in
the same transaction as the event that tells it. Text lives once, content-addressed, in `message` and `content`.
"""
