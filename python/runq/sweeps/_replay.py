"""Sweeps over machines and options on one trace: `runq.replay` at every point."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from runq import _core
from runq._source import trace_source
from runq.errors import ConfigError
from runq.machine import Machine
from runq.sweeps._machines import Machines
from runq.sweeps._native import NativeJob, chunk_of, native_job
from runq.sweeps._target import Point, Rows

if TYPE_CHECKING:
    from runq.sweeps._one_pass import OnePass

__all__ = ["Target"]

_OPTIONS = (
    "skip",
    "warmup",
    "limit",
    "dependent",
    "address_spaces",
    "by_thread",
    "by_ip",
    "regions",
    "engine",
)


class Target:
    """A trace through machines. Axes: `seed`, `machine`, `machine.PATH`, `options.X`. The trace is held in memory."""

    verb = "replay"
    metrics = (
        "accesses",
        "cycles",
        "latency_cycles",
        "page_walks",
        "levels.*.reads",
        "levels.*.writes",
        "levels.*.misses",
        "levels.*.write_backs",
        "tlbs",
        "digest",
    )
    zero = ()

    def __init__(self, trace: object, machine: object, *, format: str | None = None, **options: Any) -> None:
        for name in options:
            if name not in _OPTIONS:
                raise ConfigError(f"options.{name}", f"must be one of {', '.join(_OPTIONS)}", repr(options[name]))
        self._machines = Machines(machine)
        self._options = {name: _option(value) for name, value in options.items()}
        source = trace_source(trace)
        self._path = str(Path(source.object).absolute()) if isinstance(source.object, str) else None
        self._format = format
        self._trace = _core.SweepTrace(source.object, format=format, name=source.name)
        self._names: Sequence[str] = ()
        self._metrics: Sequence[str] = self.metrics
        self._paths: list[tuple[str, int]] = []
        self._machine_axis: int | None = None
        self._passes: OnePass | None = None

    def bind(self, names: Sequence[str], metrics: Sequence[str]) -> None:
        """Takes the axes."""
        self._names, self._metrics = names, metrics
        self._paths, self._machine_axis = [], None
        for place, name in enumerate(names):
            root, _, rest = name.partition(".")
            if name == "machine":
                self._machine_axis = place
            elif rest and (root == "machine" or (root == "options" and rest.partition(".")[0] in _OPTIONS)):
                self._paths.append((name, place))
            elif name != "seed":
                rule = f"must be seed, machine, machine.PATH or options.X with X one of {', '.join(_OPTIONS)}"
                raise ConfigError(f"over.{name}", rule, repr(name))

    def axes(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """None but those that are given."""
        return {}

    def job(self) -> NativeJob:
        """What the core needs beside chunks."""
        return native_job(
            "replay",
            [name for name, _ in self._paths],
            [path for path in self._metrics if path != "tree"],
            tree="tree" in self._metrics,
            options=self._options,
            trace=self._trace,
        )

    def chunk(self, points: Sequence[Point]) -> bytes:
        """Points with their machines."""
        places, axis = [place for _, place in self._paths], self._machine_axis
        rows = []
        for point in points:
            values = point.values
            machine = self._machines.place(None if axis is None else values[axis])
            rows.append((machine, 0, point.seed, [values[place] for place in places]))
        return chunk_of(rows, machines=self._machines.texts)

    def prepare(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Counts the misses of many caches in one pass, where that is all that is asked for."""
        from runq.sweeps._one_pass import plan_passes

        self._passes = None
        only_machines = all(name.startswith("machine.") for name, _ in self._paths)
        if only_machines and not set(self._options) - {"dependent"} and self._is_geometry():
            self._passes = plan_passes(self._distinct(values), self._trace, self._metrics)

    def known(self, point: Point) -> tuple[tuple[str, ...], tuple[Any, ...]] | None:
        """The misses of the caches of a point, if a pass has counted them."""
        return None if self._passes is None else self._passes.answer(self._key(point.values))

    def finish(self, points: Sequence[Point], rows: Rows) -> Rows:
        """Adds the whole result if it is asked for."""
        if "tree" not in self._metrics:
            return rows
        schemas = [(*names, "tree") for names in rows.schemas]
        return Rows(schemas, [row._replace(values=(*row.values, row.tree), tree=None) for row in rows.rows])

    def _is_geometry(self) -> bool:
        """Whether caches are what changes."""
        return any(name.startswith("machine.caches") for name, _ in self._paths)

    def _distinct(self, values: Iterable[tuple[Any, ...]]) -> Iterator[tuple[str, Machine]]:
        """Each different machine once, with its key; those that break a rule are left to the core."""
        seen: set[str] = set()
        for row in values:
            key = self._key(row)
            if key in seen:
                continue
            seen.add(key)
            name = None if self._machine_axis is None else row[self._machine_axis]
            text = self._machines.texts[self._machines.place(name)]
            assignments = [f"{path.partition('.')[2]}={json.dumps(row[place])}" for path, place in self._paths]
            try:
                machine = msgspec.json.decode(_core.machine_set(text, assignments), type=Machine).resolve()
            except ConfigError:
                continue
            yield key, machine

    def _key(self, values: tuple[Any, ...]) -> str:
        """What tells the machine of a point from others."""
        name = None if self._machine_axis is None else values[self._machine_axis]
        return repr((name, [values[place] for _, place in self._paths]))

    def definition(self) -> dict[str, Any]:
        """Trace by its path and digest, machine and options."""
        return {
            "trace": self._path,
            "trace_digest": self._trace.digest().hex(),
            "format": self._format,
            "machine": {"of": json.loads(self._machines.base.to_json())},
            **self._options,
        } | ({} if self._path is not None else {"unnamed": "a trace that is no file"})


def _option(value: Any) -> Any:
    """NumPy's integers become Python's, regions tables."""
    if hasattr(value, "__index__") and not isinstance(value, bool):
        return operator.index(value)
    return msgspec.to_builtins(value)
