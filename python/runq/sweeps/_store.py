"""The store: one SQLite file that knows every point that was run.

Each sweep has a table `sweep_N` with one row a point: its axes, what became of it, and a column for each metric. Rows
come in transactions, one a chunk, so whoever is killed loses the chunks under way and nothing else. `identity` says
which points are known, once the file has more than one sweep. `running` has the chunks under way: those that a driver
leaves there have ended it, perhaps, and are what `suspects` tells of. The write-ahead log lets others read meanwhile;
one driver at a time writes.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import msgspec

from runq import _core
from runq.errors import StoreError
from runq.sweeps._columns import HEAD, HIDDEN, TAIL, point_columns, quoted
from runq.sweeps._columns import stored as stored_value
from runq.sweeps._lock import DriverLock
from runq.sweeps._store_file import check_file, is_archived, remedy
from runq.sweeps._target import Point, Row

__all__ = ["Column", "Store", "SweepRecord"]

# Of the layout of the file; PRAGMA user_version.
FORMAT = 2

# What is made into FORMAT when it is opened.
_FORMAT_OLDEST = 1

# "runq" as PRAGMA application_id.
_APPLICATION = 0x72756E71

# A row of `sweep` is written with each chunk, so what may be long is not in it.
_SWEEPS = """
CREATE TABLE sweep (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    model INTEGER NOT NULL,
    total INTEGER,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    reused INTEGER NOT NULL DEFAULT 0,
    is_complete INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE definition (sweep INTEGER PRIMARY KEY, text TEXT NOT NULL);
"""

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE metric (
    sweep INTEGER NOT NULL, name TEXT NOT NULL, stored TEXT NOT NULL, kinds INTEGER NOT NULL, PRIMARY KEY (sweep, name)
) WITHOUT ROWID;
CREATE TABLE identity (
    identity BLOB PRIMARY KEY, sweep INTEGER NOT NULL, point INTEGER NOT NULL, replicate INTEGER NOT NULL
) WITHOUT ROWID;
"""

# The first and the last point of each chunk. Below 0: of drivers that were killed.
_RUNNING = """
CREATE TABLE running (
    sweep INTEGER NOT NULL, chunk INTEGER NOT NULL, points INTEGER NOT NULL,
    first INTEGER NOT NULL, first_replicate INTEGER NOT NULL, last INTEGER NOT NULL, last_replicate INTEGER NOT NULL,
    PRIMARY KEY (sweep, chunk)
) WITHOUT ROWID;
"""

_UPGRADE = f"""
BEGIN IMMEDIATE;
ALTER TABLE sweep RENAME TO sweep_before;
{_SWEEPS}
INSERT INTO sweep SELECT id, key, model, total, done, failed, reused, is_complete FROM sweep_before;
INSERT INTO definition SELECT id, definition FROM sweep_before;
DROP TABLE sweep_before;
DROP TABLE running;
{_RUNNING}
PRAGMA user_version = {FORMAT};
COMMIT;
"""

# SQLite takes 2000 columns.
_COLUMNS_MAX = 1900

# Parameters of one statement.
_ASKED_MAX = 500

_KINDS = {int: 1, bool: 1, float: 2, str: 4}


class Column(NamedTuple):
    """A metric of a sweep: its name, that of its column, and the kinds of its values (1 int, 2 float, 4 text)."""

    name: str
    stored: str
    kinds: int


class SweepRecord(NamedTuple):
    """What a store knows of a sweep: the verb, axes and metrics of its definition, and how far it is."""

    id: int
    target: str
    axes: list[str]
    metrics: list[str]
    model: int
    total: int | None
    done: int
    failed: int
    reused: int
    is_complete: bool


class Store:
    """An open store."""

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True, is_temporary: bool = False) -> None:
        self.path = str(path)
        if not self.path:
            raise StoreError("store: must be the name of a file, got ''")
        self._is_temporary = is_temporary
        self._has_others: dict[int, bool] = {}
        self._inserts: dict[tuple[int, tuple[str, ...]], str] = {}
        self._metrics: dict[int, dict[str, Column]] = {}
        exists = Path(self.path).exists()
        if not exists and not create:
            raise StoreError(
                f"{self.path}: there is no such store; `runq sweep FILE.toml --store {self.path}` makes one"
            )
        if exists:
            check_file(self.path)
        self._is_immutable = not create and is_archived(self.path)
        with self.errors():
            self._db = sqlite3.connect(
                f"{Path(self.path).absolute().as_uri()}?immutable=1" if self._is_immutable else self.path,
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
                uri=self._is_immutable,
            )
        try:
            with self.errors():
                self._open(exists)
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        """Closes the file; all that was written stays."""
        self._db.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns what SQLite says into what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {remedy(error, self.path)}") from error

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Makes this process the only one that writes."""
        with DriverLock(self.path), self.errors():
            self._keep_suspects()
            try:
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                # Who comes to this place was not killed.
                with suppress(sqlite3.Error):
                    self._db.execute("DELETE FROM running WHERE chunk >= 0")

    def check_model(self, *, mix: bool) -> None:
        """Refuses results of another version of the model."""
        with self.errors():
            models = {model for (model,) in self._db.execute("SELECT DISTINCT model FROM sweep")}
        others = sorted(models - {_core.model_version})
        if others and not mix:
            raise StoreError(
                f"{self.path}: holds results of model version {', '.join(map(str, others))}, and this is "
                f"{_core.model_version}: use another store, or say that versions may mix (--mix-versions)"
            )

    def sweeps(self) -> list[SweepRecord]:
        """All sweeps, oldest first."""
        with self.errors():
            rows: list[Any] = self._db.execute(
                "SELECT id, text, model, total, done, failed, reused, is_complete "
                "FROM sweep JOIN definition ON definition.sweep = id ORDER BY id"
            ).fetchall()
        return [_record(row) for row in rows]

    def sweep(self, number: int | None = None) -> SweepRecord:
        """A sweep by its number; the newest by default."""
        known = self.sweeps()
        if not known:
            raise StoreError(f"{self.path}: holds no sweep yet")
        if number is None:
            return known[-1]
        for record in known:
            if record.id == number:
                return record
        raise StoreError(
            f"{self.path}: must name one of the sweeps {', '.join(str(one.id) for one in known)}, got {number}"
        )

    def definition(self, number: int) -> dict[str, Any]:
        """The definition of a sweep."""
        with self.errors():
            (text,) = self._db.execute("SELECT text FROM definition WHERE sweep = ?", (number,)).fetchone()
        return cast(dict[str, Any], json.loads(text))

    def add_sweep(self, key: bytes, definition: str, axes: Sequence[str]) -> SweepRecord:
        """The sweep of that key; a new one if there is none."""
        with self.transaction():
            found = self._db.execute("SELECT id FROM sweep WHERE key = ?", (key,)).fetchone()
            if found is None:
                cursor = self._db.execute(
                    "INSERT INTO sweep (key, model) VALUES (?, ?)",
                    (key, _core.model_version),
                )
                number = int(cursor.lastrowid or 0)
                self._db.execute("INSERT INTO definition VALUES (?, ?)", (number, definition))
                columns = ", ".join(quoted(name) for name in point_columns(axes))
                self._db.execute(
                    f"CREATE TABLE sweep_{number} ({columns}, PRIMARY KEY (point, replicate)) WITHOUT ROWID"
                )
                self._index_others(number)
            else:
                number = found[0]
        return self.sweep(number)

    def counts(self, sweep: int) -> tuple[int, int]:
        """Done and failed points."""
        with self.errors():
            done, failed = self._db.execute("SELECT done, failed FROM sweep WHERE id = ?", (sweep,)).fetchone()
        return int(done), int(failed)

    def running(self, sweep: int) -> int:
        """Points of chunks under way; of a driver that was killed, none."""
        if not DriverLock(self.path).is_held():
            return 0
        with self.errors():
            (count,) = self._db.execute(
                "SELECT coalesce(sum(points), 0) FROM running WHERE sweep = ? AND chunk >= 0", (sweep,)
            ).fetchone()
        return int(count)

    def is_whole(self, record: SweepRecord) -> bool:
        """Whether there are as many rows as were counted: somebody may have deleted some."""
        return self._settled(record.id) == (record.done, record.failed)

    def recount(self, record: SweepRecord) -> SweepRecord:
        """Counts the rows that are there, and knows a sweep that lacks some for what it is."""
        if self.is_whole(record):
            return record
        with self.transaction():
            self._db.execute(
                "UPDATE sweep SET done = ?, failed = ?, is_complete = 0 WHERE id = ?",
                (*self._settled(record.id), record.id),
            )
        return self.sweep(record.id)

    def _settled(self, sweep: int) -> tuple[int, int]:
        with self.errors():
            found = dict(self._db.execute(f"SELECT status, count(*) FROM sweep_{sweep} GROUP BY status").fetchall())
        return found.get("done", 0), found.get("failed", 0)

    def set_total(self, sweep: int, total: int | None, *, is_complete: bool = False) -> None:
        """How many points there are; whether nothing is left to do."""
        with self.transaction():
            self._db.execute("UPDATE sweep SET total = ?, is_complete = ? WHERE id = ?", (total, is_complete, sweep))

    def known(self, sweep: int, points: Sequence[Point]) -> dict[tuple[int, int], tuple[str, int]]:
        """Status and attempts of those of some consecutive points that have a row."""
        if not points:
            return {}
        statement = (
            f"SELECT point, replicate, status, attempts FROM sweep_{sweep} "
            "WHERE (point, replicate) BETWEEN (?, ?) AND (?, ?)"
        )
        first, last = points[0], points[-1]
        with self.errors():
            rows = self._db.execute(statement, (first.number, first.replicate, last.number, last.replicate)).fetchall()
        return {(number, replicate): (status, attempts) for number, replicate, status, attempts in rows}

    def has_other_sweeps(self, sweep: int) -> bool:
        """Whether a point may be known from another sweep."""
        if sweep not in self._has_others:
            with self.errors():
                found = self._db.execute("SELECT 1 FROM sweep WHERE id != ? LIMIT 1", (sweep,)).fetchone()
            self._has_others[sweep] = found is not None
        return self._has_others[sweep]

    def find(self, identities: Iterable[bytes]) -> dict[bytes, dict[str, Any]]:
        """The metrics of those identities that are done, by name."""
        wanted, found = list(identities), {}
        with self.errors():
            for start in range(0, len(wanted), _ASKED_MAX):
                some = wanted[start : start + _ASKED_MAX]
                marks = ", ".join("?" * len(some))
                rows = self._db.execute(f"SELECT * FROM identity WHERE identity IN ({marks})", some).fetchall()
                for identity, sweep, number, replicate in rows:
                    columns = self.columns(sweep)
                    names = ", ".join(quoted(column.stored) for column in columns) or "NULL"
                    statement = (
                        f"SELECT {names} FROM sweep_{sweep} WHERE point = ? AND replicate = ? AND status = 'done'"
                    )
                    row = self._db.execute(statement, (number, replicate)).fetchone()
                    if row is not None:
                        named = zip((column.name for column in columns), row, strict=True) if columns else ()
                        found[identity] = dict(named)
        return found

    def begin(self, sweep: int, chunk: int, points: Sequence[Point]) -> None:
        """Notes that a chunk is under way."""
        first, last = points[0], points[-1]
        place = (first.number, first.replicate, last.number, last.replicate)
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO running VALUES (?, ?, ?, ?, ?, ?, ?)", (sweep, chunk, len(points), *place)
            )

    def suspects(self, sweep: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """First and last points (number and replicate) of what was under way when a driver was killed."""
        with self.errors():
            rows = self._db.execute(
                "SELECT first, first_replicate, last, last_replicate FROM running WHERE sweep = ? AND chunk < 0",
                (sweep,),
            ).fetchall()
        return [((row[0], row[1]), (row[2], row[3])) for row in rows]

    def clear_suspects(self, sweep: int) -> None:
        """Forgets them: all have rows now."""
        with self.transaction():
            self._db.execute("DELETE FROM running WHERE sweep = ? AND chunk < 0", (sweep,))

    def write(
        self,
        sweep: int,
        chunk: int | None,
        schemas: Sequence[Sequence[str]],
        rows: Sequence[tuple[Point, Row]],
        attempts: dict[tuple[int, int], int],
        *,
        reused: bool = False,
    ) -> None:
        """Writes the rows of a chunk at once. `attempts` has those made before by points that are tried again."""
        with self.transaction():
            if chunk is not None:
                self._db.execute("DELETE FROM running WHERE sweep = ? AND chunk = ?", (sweep, chunk))
            by_schema: dict[int, list[tuple[Point, Row]]] = {}
            for point, row in rows:
                by_schema.setdefault(row.schema, []).append((point, row))
            for schema, group in by_schema.items():
                self._insert(sweep, tuple(schemas[schema]), group, attempts)
            if self.has_other_sweeps(sweep):
                identities = (
                    (row.identity, sweep, point.number, point.replicate) for point, row in rows if row.error is None
                )
                self._db.executemany("INSERT OR IGNORE INTO identity VALUES (?, ?, ?, ?)", identities)
            failed = sum(row.error is not None for _, row in rows)
            self._db.execute(
                "UPDATE sweep SET done = done + ?, failed = failed + ?, reused = reused + ? WHERE id = ?",
                (len(rows) - failed, failed, len(rows) if reused else 0, sweep),
            )

    def reset_failed(self, sweep: int) -> int:
        """Makes failed points pending again; returns how many."""
        with self.transaction():
            count = self._db.execute(
                f"UPDATE sweep_{sweep} SET status = 'pending', error = NULL WHERE status = 'failed'"
            ).rowcount
            self._db.execute("UPDATE sweep SET failed = failed - ?, is_complete = 0 WHERE id = ?", (count, sweep))
        return count

    def columns(self, sweep: int) -> list[Column]:
        """The metrics of a sweep by name."""
        with self.errors():
            rows = self._db.execute("SELECT name, stored, kinds FROM metric WHERE sweep = ? ORDER BY name", (sweep,))
            return [Column(*row) for row in rows]

    def select(self, sweep: int, columns: Sequence[str], condition: str = "") -> Iterator[tuple[Any, ...]]:
        """Columns of all rows in the order of the points."""
        names = ", ".join(quoted(name) for name in columns)
        with self.errors():
            yield from self._db.execute(f"SELECT {names} FROM sweep_{sweep} {condition} ORDER BY point, replicate")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; in another one, part of it."""
        if self._db.in_transaction:
            yield
            return
        with self.errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                # Columns that were added are gone again.
                self._metrics.clear()
                self._inserts.clear()
                raise
            self._db.execute("COMMIT")

    def _open(self, exists: bool) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        is_empty = self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
        if exists and not is_empty and application != _APPLICATION:
            raise StoreError(f"{self.path}: is a database of another program; name another file")
        if application == _APPLICATION and not _FORMAT_OLDEST <= version <= FORMAT:
            raise StoreError(
                f"{self.path}: is a store of format {version}, and this version of runq has format {FORMAT}: "
                "use the version of runq that made it, or another file"
            )
        if self._is_immutable:
            return
        # What ends with this process need not outlive the machine, and nobody else reads it.
        self._db.execute(f"PRAGMA journal_mode = {'MEMORY' if self._is_temporary else 'WAL'}")
        self._db.execute(f"PRAGMA synchronous = {'OFF' if self._is_temporary else 'NORMAL'}")
        if is_empty:
            self._db.executescript(
                f"BEGIN IMMEDIATE; PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {FORMAT};"
                f"{_SWEEPS}{_SCHEMA}{_RUNNING} COMMIT;"
            )
        elif version < FORMAT:
            # Whoever is running a sweep into it knows the old format alone.
            with DriverLock(self.path):
                self._db.executescript(_UPGRADE)

    def _keep_suspects(self) -> None:
        """Keeps apart what killed drivers have left: it is not under way."""
        with self.transaction():
            self._db.execute(
                "UPDATE running SET chunk = (SELECT min(0, min(chunk)) FROM running) - 1 - chunk WHERE chunk >= 0"
            )

    def _index_others(self, sweep: int) -> None:
        """Makes the points of the other sweeps known. While there was one sweep, nobody asked for them."""
        self._has_others.clear()
        for (other,) in self._db.execute("SELECT id FROM sweep WHERE id != ?", (sweep,)).fetchall():
            self._db.execute(
                f"INSERT OR IGNORE INTO identity SELECT identity, {other}, point, replicate FROM sweep_{other} "
                "WHERE status = 'done' AND identity IS NOT NULL ORDER BY identity"
            )

    def _insert(
        self,
        sweep: int,
        names: tuple[str, ...],
        group: Sequence[tuple[Point, Row]],
        attempts: dict[tuple[int, int], int],
    ) -> None:
        stored = self._note(sweep, names, group)
        if (sweep, names) not in self._inserts:
            axes = len(group[0][0].values)
            count = len(HEAD) + axes + len(TAIL) + len(HIDDEN) + len(names)
            columns = [row[1] for row in self._db.execute(f"PRAGMA table_info(sweep_{sweep})")]
            fixed = columns[: count - len(names)]
            listed = ", ".join(quoted(name) for name in (*fixed, *stored))
            self._inserts[sweep, names] = (
                f"INSERT OR REPLACE INTO sweep_{sweep} ({listed}) VALUES ({', '.join('?' * count)})"
            )
        model, rows = _core.model_version, []
        for point, row in group:
            number, replicate, seed, values = point
            tries = row.tries + attempts.get((number, replicate), 0) if attempts else row.tries
            status = "done" if row.error is None else "failed"
            kept = map(stored_value, values)
            rows.append((number, replicate, *kept, seed, status, row.error, tries, row.identity, model, *row.values))
        self._db.executemany(self._inserts[sweep, names], rows)

    def _note(self, sweep: int, names: tuple[str, ...], group: Sequence[tuple[Point, Row]]) -> list[str]:
        """Notes which metrics there are and of which kinds; returns their columns."""
        if sweep not in self._metrics:
            self._metrics[sweep] = {column.name: column for column in self.columns(sweep)}
        known = self._metrics[sweep]
        columns = zip(*(row.values for _, row in group), strict=True)
        kinds = [sum({_KINDS.get(kind, 0) for kind in set(map(type, column))}) for column in columns]
        stored = []
        for name, kind in zip(names, kinds, strict=True):
            column = known.get(name) or Column(name, self._add_column(sweep, name), -1)
            if column.kinds < 0 or kind | column.kinds != column.kinds:
                column = column._replace(kinds=kind | max(column.kinds, 0))
                known[name] = column
                self._db.execute("INSERT OR REPLACE INTO metric VALUES (?, ?, ?, ?)", (sweep, *column))
            stored.append(column.stored)
        return stored

    def _add_column(self, sweep: int, name: str) -> str:
        """Adds a column; names that SQLite takes for the same get another ending."""
        taken = {row[1].lower() for row in self._db.execute(f"PRAGMA table_info(sweep_{sweep})")}
        if len(taken) >= _COLUMNS_MAX:
            raise StoreError(
                f"{self.path}: a sweep has at most {_COLUMNS_MAX} columns, and {name} is one more: name fewer metrics"
            )
        stored, count = name, 1
        while stored.lower() in taken:
            count += 1
            stored = f"{name}~{count}"
        self._db.execute(f"ALTER TABLE sweep_{sweep} ADD COLUMN {quoted(stored)}")
        return stored


class _Part(msgspec.Struct):
    names: list[str]


class _Definition(msgspec.Struct):
    """Of a definition all but what can be large: the values of axes."""

    target: str
    metrics: list[str]
    over: list[_Part]


def _record(row: Sequence[Any]) -> SweepRecord:
    number, text, model, total, done, failed, reused, is_complete = row
    try:
        known = msgspec.json.decode(text, type=_Definition)
    except msgspec.DecodeError:
        # There may be values that JSON does not have, such as infinity.
        known = msgspec.convert(json.loads(text), _Definition)
    axes = [name for part in known.over for name in part.names]
    return SweepRecord(number, known.target, axes, known.metrics, model, total, done, failed, reused, bool(is_complete))
