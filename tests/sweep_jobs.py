"""Jobs written in Python, for engines whose workers are other processes."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

from runq.sweeps._target import Job, Point, Row, Rows

__all__ = ["PoisonTarget"]


class PoisonJob:
    """Squares the value of a point, which may take a while; one value ends the process."""

    def __init__(self, poison: int, seconds: float = 0.0) -> None:
        self.poison, self.seconds = poison, seconds

    def run(self, chunk: bytes) -> Rows:
        values = json.loads(chunk)
        if self.poison in values:
            os._exit(7)
        time.sleep(self.seconds * len(values))
        return Rows(
            [("square",)], [Row(str(value).encode().rjust(16), None, False, 1, 0, (value**2,)) for value in values]
        )


class PoisonTarget:
    """A target whose points are numbers."""

    verb = "simulate"
    metrics: tuple[str, ...] = ("square",)
    zero: tuple[str, ...] = ()

    def __init__(self, poison: int, seconds: float = 0.0) -> None:
        self._poison, self._seconds = poison, seconds

    def bind(self, names: Sequence[str], metrics: Sequence[str]) -> None:
        pass

    def axes(self, names: Sequence[str]) -> dict[str, list[Any]]:
        return {}

    def job(self) -> Job:
        return PoisonJob(self._poison, self._seconds)

    def chunk(self, points: Sequence[Point]) -> bytes:
        return json.dumps([point.values[0] for point in points]).encode()

    def prepare(self, values: Iterable[tuple[Any, ...]]) -> None:
        pass

    def known(self, point: Point) -> None:
        return None

    def finish(self, points: Sequence[Point], rows: Rows) -> Rows:
        return rows

    def definition(self) -> dict[str, Any]:
        return {"poison": self._poison}
