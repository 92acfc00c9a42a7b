"""The tables, as numbered migrations: each is applied once, in a transaction, and says why it came.

`PRAGMA user_version` holds the number of the newest one, so that opening an up-to-date record needs no
sqlite-utils (importing it costs more than a whole `tertulia runs`).
"""

from __future__ import annotations

import sqlite3

VERSION = 4

_BASE = """
CREATE TABLE content (
    n INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    body TEXT NOT NULL
);
CREATE TABLE message (
    n INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    parent INTEGER REFERENCES message(n),
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    thinking TEXT
);
CREATE TABLE run (
    n INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    detail TEXT,
    spec INTEGER NOT NULL REFERENCES content(n),
    parent INTEGER REFERENCES run(n),
    fork_turn INTEGER REFERENCES turn(n),
    head INTEGER REFERENCES message(n),
    pid INTEGER,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    turns INTEGER NOT NULL DEFAULT 0,
    tokens_in INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    cost REAL NOT NULL DEFAULT 0,
    unpriced INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX run_created ON run(created);
CREATE TABLE turn (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n),
    seq INTEGER NOT NULL,
    role TEXT NOT NULL,
    seat TEXT NOT NULL,
    persona TEXT,
    model TEXT,
    state TEXT NOT NULL,
    message INTEGER REFERENCES message(n),
    started REAL NOT NULL,
    ended REAL,
    stop TEXT,
    replaced INTEGER,
    pace BLOB
);
CREATE INDEX turn_run ON turn(run, n);
CREATE INDEX turn_message ON turn(message);
CREATE INDEX turn_queued ON turn(run) WHERE state = 'queued';
CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES run(n),
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT,
    turn INTEGER REFERENCES turn(n),
    data TEXT
);
CREATE INDEX event_run ON event(run, id);
CREATE TABLE call (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n),
    turn INTEGER REFERENCES turn(n),
    purpose TEXT NOT NULL,
    seat TEXT,
    model TEXT NOT NULL,
    request TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    answer INTEGER REFERENCES message(n),
    tokens_in INTEGER,
    tokens_out INTEGER,
    thinking INTEGER,
    cached INTEGER,
    cost REAL,
    started REAL NOT NULL,
    first REAL,
    ended REAL,
    stop TEXT,
    error TEXT
);
CREATE INDEX call_run ON call(run, turn);
CREATE TABLE ask (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n),
    kind TEXT NOT NULL,
    subject TEXT,
    question TEXT NOT NULL,
    options TEXT NOT NULL,
    fallback TEXT,
    deadline REAL,
    state TEXT NOT NULL,
    answer TEXT,
    who TEXT,
    opened REAL NOT NULL,
    closed REAL,
    taken REAL
);
CREATE INDEX ask_run ON ask(run, state);
CREATE INDEX ask_open ON ask(state) WHERE state = 'open';
CREATE TABLE command (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n),
    verb TEXT NOT NULL,
    args TEXT NOT NULL,
    who TEXT NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    taken REAL,
    note TEXT
);
CREATE INDEX command_waiting ON command(run) WHERE state = 'queued';
CREATE TABLE allowance (
    n INTEGER PRIMARY KEY,
    run INTEGER REFERENCES run(n),
    parent INTEGER REFERENCES allowance(n),
    unit TEXT NOT NULL,
    cap REAL,
    spent REAL NOT NULL DEFAULT 0,
    estimated REAL NOT NULL DEFAULT 0
);
CREATE INDEX allowance_run ON allowance(run, unit);
CREATE TABLE reservation (
    n INTEGER PRIMARY KEY,
    allowance INTEGER NOT NULL REFERENCES allowance(n),
    call INTEGER NOT NULL REFERENCES call(n),
    amount REAL NOT NULL
);
CREATE INDEX reservation_call ON reservation(call);
CREATE INDEX reservation_allowance ON reservation(allowance, amount);
"""

_LOOP = """
CREATE TABLE aside (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n),
    after INTEGER NOT NULL REFERENCES turn(n),
    seat TEXT NOT NULL,
    text TEXT NOT NULL,
    value REAL,
    at REAL NOT NULL
);
CREATE INDEX aside_run ON aside(run, after);
CREATE TABLE minute (
    n INTEGER PRIMARY KEY,
    aside INTEGER NOT NULL REFERENCES aside(n),
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    turn INTEGER NOT NULL REFERENCES turn(n),
    quote TEXT NOT NULL
);
CREATE INDEX minute_aside ON minute(aside);
CREATE TABLE closing (
    n INTEGER PRIMARY KEY,
    minute INTEGER NOT NULL REFERENCES minute(n),
    aside INTEGER NOT NULL REFERENCES aside(n),
    turn INTEGER NOT NULL REFERENCES turn(n),
    quote TEXT NOT NULL
);
CREATE INDEX closing_aside ON closing(aside);
CREATE TABLE metric (
    run INTEGER NOT NULL REFERENCES run(n),
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (run, name, step)
) WITHOUT ROWID;
CREATE TABLE citation (
    n INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run(n),
    turn INTEGER NOT NULL REFERENCES turn(n),
    number INTEGER NOT NULL,
    title TEXT NOT NULL,
    source TEXT NOT NULL,
    place TEXT NOT NULL,
    text INTEGER NOT NULL REFERENCES content(n),
    score REAL NOT NULL,
    how TEXT NOT NULL
);
CREATE INDEX citation_turn ON citation(run, turn);
"""


_SERIES = """
CREATE TABLE child (
    n INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES run(n),
    run INTEGER NOT NULL UNIQUE REFERENCES run(n),
    purpose TEXT NOT NULL,
    generation INTEGER NOT NULL,
    place INTEGER NOT NULL,
    seed TEXT,
    mutation TEXT,
    origin INTEGER REFERENCES candidate(n),
    ended REAL
);
CREATE INDEX child_series ON child(series, purpose, generation, place);
CREATE TABLE candidate (
    n INTEGER PRIMARY KEY,
    child INTEGER NOT NULL REFERENCES child(n),
    turn INTEGER NOT NULL REFERENCES turn(n),
    distance REAL,
    headings INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    bullets INTEGER NOT NULL,
    metric_lines INTEGER NOT NULL,
    number_lines INTEGER NOT NULL,
    form REAL NOT NULL,
    rank INTEGER NOT NULL,
    selected INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX candidate_child ON candidate(child);
CREATE TABLE principle (
    n INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES run(n),
    generation INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX principle_series ON principle(series, generation);
CREATE TABLE judgement (
    n INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES run(n),
    purpose TEXT NOT NULL,
    generation INTEGER NOT NULL,
    one INTEGER NOT NULL,
    other INTEGER NOT NULL,
    forward TEXT,
    backward TEXT,
    outcome TEXT NOT NULL,
    fault TEXT,
    model TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX judgement_series ON judgement(series, purpose, generation);
"""

_HELD = """
CREATE TABLE held (
    run INTEGER NOT NULL REFERENCES run(n),
    content INTEGER NOT NULL REFERENCES content(n),
    PRIMARY KEY (run, content)
) WITHOUT ROWID;
CREATE INDEX held_content ON held(content);
CREATE INDEX message_parent ON message(parent);
CREATE INDEX call_answer ON call(answer) WHERE answer IS NOT NULL;
CREATE INDEX run_head ON run(head) WHERE head IS NOT NULL;
CREATE INDEX run_parent ON run(parent) WHERE parent IS NOT NULL;
CREATE INDEX command_run ON command(run);
INSERT INTO held (run, content)
    SELECT n, spec FROM run
    UNION SELECT run, text FROM citation
    UNION SELECT call.run, named.value FROM call, json_each(call.request) AS named
        WHERE named.type = 'integer' AND named.key NOT IN ('head', 'seed');
"""


_SINCE = {2: _LOOP, 3: _SERIES, 4: _HELD}
_TABLE = "CREATE TABLE "


def of(db: sqlite3.Connection) -> int:
    """The version of a database's schema, 0 where it has none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def stand_in(db: sqlite3.Connection, version: int) -> None:
    """Let a reader of an older record find the tables that came after `version`, empty: its runs have nothing in them.

    They are the connection's own (TEMP) and hide those of the record until `stand_down`.
    """
    for table in _tables_after(version):
        db.execute(table.replace(_TABLE, "CREATE TEMP TABLE ", 1))


def stand_down(db: sqlite3.Connection, version: int) -> None:
    """Undo `stand_in`, once the record was brought up to date."""
    for table in _tables_after(version):
        db.execute(f"DROP TABLE temp.{table.removeprefix(_TABLE).split()[0]}")


def _tables_after(version: int) -> list[str]:
    steps = (sql for number, sql in _SINCE.items() if number > version)
    return [statement for sql in steps for statement in _statements(sql) if statement.startswith(_TABLE)]


def _statements(script: str) -> list[str]:
    return [statement.strip() for statement in script.split(";") if statement.strip()]


def migrate(db: sqlite3.Connection) -> None:
    """Bring the schema of `db` (autocommit, no transaction open) up to VERSION."""
    from sqlite_utils import Database, Migrations

    steps = Migrations("tertulia")

    @steps()
    def m001_record(database: Database) -> None:
        """Runs, turns, events, calls, asks, commands, allowances, and the search over what was said."""
        for statement in _statements(_BASE):
            database.conn.execute(statement)
        database.table("message").enable_fts(["text"], create_triggers=True, tokenize="unicode61 remove_diacritics 2")
        database.conn.execute("PRAGMA user_version = 1")

    @steps()
    def m002_loop(database: Database) -> None:
        """What is written beside a conversation: minutes and other asides, measures, sources that a turn was given."""
        for statement in _statements(_LOOP):
            database.conn.execute(statement)
        database.conn.execute("PRAGMA user_version = 2")

    @steps()
    def m003_series(database: Database) -> None:
        """Runs that others are played by: the children of a series, what was found in them, what a judge said of it."""
        for statement in _statements(_SERIES):
            database.conn.execute(statement)
        database.conn.execute("PRAGMA user_version = 3")

    @steps()
    def m004_held(database: Database) -> None:
        """Which run needs which content, and who else needs a message: deleting a run looks at nothing but its own."""
        for statement in _statements(_HELD):
            database.conn.execute(statement)
        database.conn.execute("PRAGMA user_version = 4")

    db.execute("BEGIN IMMEDIATE")  # the list of migrations is made together with the first of them, or not at all
    try:
        steps.apply(Database(db))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
