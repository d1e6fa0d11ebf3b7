"""Jobs written in Python, for engines whose workers are other processes."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from runq.sweeps._target import Job, Point, Row, Rows

__all__ = ["PoisonTarget"]


class PoisonJob:
    """Squares the value of a point; one value ends the process."""

    def __init__(self, poison: int) -> None:
        self.poison = poison

    def run(self, chunk: bytes) -> Rows:
        values = json.loads(chunk)
        if self.poison in values:
            os._exit(7)
        return Rows(
            [("square",)], [Row(str(value).encode().rjust(16), None, False, 1, 0, (value**2,)) for value in values]
        )


class PoisonTarget:
    """A target whose points are numbers."""

    verb = "simulate"
    metrics = ("square",)
    zero = ()

    def __init__(self, poison: int) -> None:
        self._poison = poison

    def bind(self, names: Sequence[str], metrics: Sequence[str]) -> None:
        pass

    def axes(self, names: Sequence[str]) -> dict[str, list[Any]]:
        return {}

    def job(self) -> Job:
        return PoisonJob(self._poison)

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
