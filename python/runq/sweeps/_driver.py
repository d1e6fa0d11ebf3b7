"""The driver: takes points as they come, leaves out what is known, keeps the engine busy, and stores rows.

Chunks are cut so that one takes the time that the engine asks for, and some more wait than run, so that no slot is idle
while rows are written. Points are never all in memory: those under way are, and no others.
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

    def run(self, points: Iterator[Point]) -> None:
        """Runs those of the points that have no row yet."""
        ahead = self._engine.ahead
        pending = self._pending(points)
        self._finished_at = time.monotonic()
        while True:
            while len(self._flights) < ahead and (some := list(itertools.islice(pending, self._size))):
                if some := self._unanswered(self._unknown(some)):
                    self._submit(some)
            self._submit_suspect()
            if not self._flights:
                break
            self._tell()
            finished = self._engine.wait(_TOLD_EVERY_S)
            if finished is not None:
                self._take(finished)
        self._tell(is_last=True)

    def _pending(self, points: Iterator[Point]) -> Iterator[Point]:
        """Points without a row, and those that are to be tried again."""
        while some := list(itertools.islice(points, _CHUNK_MAX)):
            known = self._store.known(self._sweep, some)
            for point in some:
                status, attempts = known.get((point.number, point.replicate), ("pending", 0))
                if status == "pending":
                    if attempts:
                        self._attempts[point.number, point.replicate] = attempts
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

    def _submit(self, points: list[Point], *, isolated: bool = False) -> None:
        number = next(self._numbers)
        content = self._target.chunk(points)
        self._store.begin(self._sweep, number, len(points))
        self._flights[number] = _Flight(points, isolated)
        self._engine.submit(Chunk(number, content, len(points)))

    def _submit_suspect(self) -> None:
        """One point after the other of the chunks that were lost, so that the one that ends its worker is found."""
        if self._suspects and not any(flight.isolated for flight in self._flights.values()):
            self._submit([self._suspects.pop(0)], isolated=True)

    def _take(self, finished: Finished) -> None:
        flight = self._flights.pop(finished.number)
        if finished.rows is None:
            self._lost(finished, flight)
            return
        rows = self._target.finish(flight.points, finished.rows)
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
        marked = [
            row if not row.is_given_up or (row.error or "").startswith("quarantined") else _quarantined(row)
            for row in rows.rows
        ]
        self._check_metrics(rows)
        attempts = {
            key: self._attempts.pop(key)
            for point in points
            if (key := (point.number, point.replicate)) in self._attempts
        }
        self._store.write(self._sweep, number, rows.schemas, list(zip(points, marked, strict=True)), attempts)

    def _check_metrics(self, rows: Rows) -> None:
        """Refuses metrics that the first results do not have."""
        if self._unseen and any(row.error is None for row in rows.rows):
            names = list(itertools.chain.from_iterable(rows.schemas))
            missing = [path for path in self._unseen if not any(matches(path, name) for name in names)]
            if missing:
                rule = f"must be paths of the result, such as {', '.join(names[:4])}"
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
    return row._replace(error=f"quarantined: the simulator panicked {row.tries} times ({row.error})")
