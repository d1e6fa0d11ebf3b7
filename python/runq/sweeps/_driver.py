"""The driver: takes points as they come, leaves out what is known, keeps the engine busy, and stores rows.

Chunks are cut so that one takes the time that the engine asks for, and some more wait than run, so that no slot is idle
while rows are written. The last ones are smaller, so that little is left to write when the last point is done. Points
are never all in memory: those under way are, and no others.

A point that ends what runs it is found by running its company one by one, each where it can do no harm: the points of a
chunk that an engine lost, and those that were under way when a driver was killed.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from runq.errors import ConfigError, SweepError
from runq.sweeps._engine import Chunk, Engine, Finished
from runq.sweeps._metrics import matches
from runq.sweeps._store import Store
from runq.sweeps._target import Job, Point, Row, Rows, Target

__all__ = ["Drive", "Progress"]

# Points of a chunk: bounds what is in memory.
_CHUNK_MAX = 2000

# Chunks are not cut smaller than that because few points are left.
_CHUNK_MIN = 32

# How often a point may end what runs it.
_TRIES_MAX = 2

# Called with points done (failed ones included), how many there are if that is known, and how many failed.
Progress = Callable[[int, int | None, int], object]

_TOLD_EVERY_S = 0.1


class _Flight(NamedTuple):
    """A chunk under way. `isolated` ones hold one point that may end what runs it."""

    points: list[Point]
    isolated: bool


class Drive:
    """One run of a sweep's points."""

    def __init__(
        self,
        store: Store,
        sweep: int,
        target: Target,
        job: Job,
        engine: Engine,
        total: int | None,
        progress: Progress | None,
        metrics: Sequence[str] = (),
    ) -> None:
        self._store, self._sweep, self._target, self._job, self._engine = store, sweep, target, job, engine
        self._total, self._progress = total, progress
        self._numbers = itertools.count()
        self._flights: dict[int, _Flight] = {}
        self._attempts: dict[tuple[int, int], int] = {}
        self._suspects: list[Point] = []
        self._size = max(1, 2 * engine.slots)
        self._finished_at = time.monotonic()
        self._told_at = 0.0
        # Those that a user named and no row had yet.
        self._unseen = list(metrics)
        self._others = store.has_other_sweeps(sweep)
        # What was under way when a driver was killed.
        self._shadows = store.suspects(sweep)
        # Points that were looked at.
        self._seen = 0

    def run(self, points: Iterator[Point]) -> None:
        """Runs those of the points that have no row yet."""
        pending = self._pending(points)
        self._finished_at = time.monotonic()
        finished: Finished | None = None
        while True:
            chunks = self._cut(pending, self._engine.ahead - len(self._flights) + (finished is not None))
            # Rows and what follows them in one transaction.
            with self._store.transaction():
                if finished is not None:
                    self._take(finished)
                chunks += self._cut_suspects()
                for number, flight in chunks:
                    self._flights[number] = flight
                    self._store.begin(self._sweep, number, flight.points)
            for number, flight in chunks:
                self._submit(number, flight)
            if not self._flights:
                break
            self._tell()
            finished = self._engine.wait(_TOLD_EVERY_S)
        self._tell(is_last=True)

    def _cut(self, pending: Iterator[Point], count: int) -> list[tuple[int, _Flight]]:
        """So many chunks at most of points that must be run."""
        chunks: list[tuple[int, _Flight]] = []
        while len(chunks) < count and (some := list(itertools.islice(pending, self._wanted()))):
            if some := self._unanswered(self._unknown(some)):
                chunks.append((next(self._numbers), _Flight(some, isolated=False)))
        return chunks

    def _wanted(self) -> int:
        """Points of the next chunk: fewer towards the end."""
        if self._total is None:
            return self._size
        return min(self._size, max(_CHUNK_MIN, (self._total - self._seen) // 4))

    def _pending(self, points: Iterator[Point]) -> Iterator[Point]:
        """Points without a row, and those that are to be tried again."""
        while some := list(itertools.islice(points, _CHUNK_MAX)):
            known = self._store.known(self._sweep, some)
            if not known and not self._shadows:
                self._seen += len(some)
                yield from some
                continue
            for point in some:
                self._seen += 1
                key = (point.number, point.replicate)
                if key in known:
                    status, attempts = known[key]
                    if status != "pending":
                        continue
                    if attempts:
                        self._attempts[key] = attempts
                if self._shadows and any(first <= key <= last for first, last in self._shadows):
                    self._suspects.append(point)
                else:
                    yield point

    def _unknown(self, points: list[Point]) -> list[Point]:
        """Points that no other sweep of the store has run; those that one has are copied."""
        if not self._others:
            return points
        identities = self._identities(points)
        found = self._store.find(identity for identity in identities if isinstance(identity, bytes))
        schemas: dict[tuple[str, ...], int] = {}
        rows, rest = [], []
        for point, identity in zip(points, identities, strict=True):
            metrics = found.get(identity) if isinstance(identity, bytes) else None
            if metrics is None or not isinstance(identity, bytes):
                rest.append(point)
                continue
            present = {name: value for name, value in metrics.items() if value is not None}
            schema = schemas.setdefault(tuple(present), len(schemas))
            rows.append((point, Row(identity, None, False, 1, schema, tuple(present.values()))))
        if rows:
            self._store.write(self._sweep, None, list(schemas), rows, {}, reused=True)
        return rest

    def _unanswered(self, points: list[Point]) -> list[Point]:
        """Points that must be run; what the target knows of the others is written down."""
        answers = [(point, self._target.known(point)) for point in points]
        if all(answer is None for _, answer in answers):
            return points
        schemas: dict[tuple[str, ...], int] = {}
        rows = []
        for (point, answer), identity in zip(answers, self._identities(points), strict=True):
            if answer is not None and isinstance(identity, bytes):
                names, values = answer
                rows.append((point, Row(identity, None, False, 1, schemas.setdefault(names, len(schemas)), values)))
        self._store.write(self._sweep, None, list(schemas), rows, self._attempts_of(points))
        self._unseen = []
        settled = {(point.number, point.replicate) for point, _ in rows}
        return [point for point in points if (point.number, point.replicate) not in settled]

    def _attempts_of(self, points: Sequence[Point]) -> dict[tuple[int, int], int]:
        """Attempts that points had before."""
        keys = [(point.number, point.replicate) for point in points]
        return {key: self._attempts[key] for key in keys if key in self._attempts}

    def _identities(self, points: Sequence[Point]) -> Sequence[object]:
        identities = getattr(self._job, "identities", None)
        return identities(self._target.chunk(points)) if identities is not None else [None] * len(points)

    def _submit(self, number: int, flight: _Flight) -> None:
        chunk = Chunk(number, self._target.chunk(flight.points), len(flight.points))
        # Engines whose workers are other processes have nothing to keep a point from.
        submit = getattr(self._engine, "submit_alone", self._engine.submit) if flight.isolated else self._engine.submit
        submit(chunk)

    def _cut_suspects(self) -> list[tuple[int, _Flight]]:
        """Suspects one by one, so that the one that ends what runs it is found."""
        count = getattr(self._engine, "ahead_alone", 1) - sum(flight.isolated for flight in self._flights.values())
        some, self._suspects = self._suspects[: max(count, 0)], self._suspects[max(count, 0) :]
        return [(next(self._numbers), _Flight([point], isolated=True)) for point in some]

    def _take(self, finished: Finished) -> None:
        flight = self._flights.pop(finished.number)
        if finished.rows is None:
            self._lost(finished, flight)
            return
        rows = self._target.finish(flight.points, finished.rows)
        if not flight.isolated:
            self._adapt(len(flight.points))
        self._write(finished.number, flight.points, rows)

    def _lost(self, finished: Finished, flight: _Flight) -> None:
        if not flight.isolated:
            self._suspects += flight.points
            return
        # Once in company, once alone.
        row = Row(None, f"quarantined: it ended what ran it twice ({finished.lost})", True, _TRIES_MAX, 0, ())
        self._write(finished.number, flight.points, Rows([()], [row]))

    def _write(self, number: int, points: list[Point], rows: Rows) -> None:
        if len(rows.rows) != len(points):
            raise SweepError(f"a worker gave {len(rows.rows)} rows for {len(points)} points: its version is another")
        marked = rows.rows
        if any(row.is_given_up for row in marked):
            marked = [_quarantined(row) if row.is_given_up else row for row in marked]
        self._check_metrics(rows)
        attempts = {}
        if self._attempts:
            keys = [(point.number, point.replicate) for point in points]
            attempts = {key: self._attempts.pop(key) for key in keys if key in self._attempts}
        self._store.write(self._sweep, number, rows.schemas, list(zip(points, marked, strict=True)), attempts)

    def _check_metrics(self, rows: Rows) -> None:
        """Refuses metrics that the first results do not have."""
        if self._unseen and any(row.error is None for row in rows.rows):
            names = list(itertools.chain.from_iterable(rows.schemas))
            missing = [path for path in self._unseen if not any(matches(path, name) for name in names)]
            if missing:
                known = ", ".join(names[:4] or self._target.metrics[:4])
                rule = f"must be paths of the result, such as {known}"
                raise ConfigError("metrics", rule, ", ".join(missing))
            self._unseen = []

    def _adapt(self, points: int) -> None:
        """Aims the next chunk at the time that the engine asks for."""
        now = time.monotonic()
        took = max(now - self._finished_at, 1e-6) * self._engine.slots
        self._finished_at = now
        wanted = int(points * self._engine.chunk_s / took)
        self._size = min(max(1, (wanted + self._size) // 2), 2 * self._size, _CHUNK_MAX)

    def _tell(self, *, is_last: bool = False) -> None:
        now = time.monotonic()
        if self._progress is None or (now - self._told_at < _TOLD_EVERY_S and not is_last):
            return
        self._told_at = now
        done, failed = self._store.counts(self._sweep)
        self._progress(done + failed, self._total, failed)


def _quarantined(row: Row) -> Row:
    if (row.error or "").startswith("quarantined"):
        return row
    return row._replace(error=f"quarantined: the simulator panicked {row.tries} times ({row.error})")
