"""What is remembered beside the conversation: documents of the user, notes, and what was said before.

`ingest` reads files into a store, `recall` finds passages by words and by meaning, `tree` walks described folders,
`past` looks into the record of earlier conversations, `cite` writes what was found into a prompt as numbered
quotations. The store is a SQLite file beside the record (`sqlite_store`), behind the protocol of `store`. Nothing here
imports numpy before vectors are needed.
"""
