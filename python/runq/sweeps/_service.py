"""Sweeps over services: `runq.simulate` of clients and what they call, at every point."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from runq.errors import ConfigError
from runq.scenarios import module, outcome, parameters
from runq.service_result import service_result
from runq.service_scenario import ServiceScenario, is_service_path
from runq.simulate import load_any, scenario_name
from runq.sweeps._load import load_path
from runq.sweeps._native import NativeJob, chunk_of, native_job
from runq.sweeps._outcome import needs_tree, with_outcomes
from runq.sweeps._target import Point, Rows

__all__ = ["Target", "is_service"]


def is_service(scenario: object) -> bool:
    """Whether it is a service, or the name or file of one."""
    return isinstance(scenario, ServiceScenario) or (
        scenario is not None and isinstance(load_any(scenario), ServiceScenario)
    )


class Target:
    """Services, which run on no machine. Axes: `seed`, `scenario.PARAMETER`, `scenario.PATH`."""

    verb = "simulate"
    metrics: tuple[str, ...] = ("totals", "latency_ns", "dependency", "stampede", "digest")
    zero: tuple[str, ...] = ()

    def __init__(self, scenario: object, machine: object = None, model: object = None, **values: Any) -> None:
        for name, value in (("machine", machine), ("model", model)):
            if value is not None:
                raise ConfigError(name, "must not be given for a service, which runs on none", repr(value)[:60])
        self._name = scenario_name(scenario)
        self._values = values
        if self._name is None and values:
            first = next(iter(values))
            raise ConfigError(f"scenario.{first}", "must be for a service that comes with runq", repr(scenario))
        loaded = load_any(scenario)
        assert isinstance(loaded, ServiceScenario), "others have a target of their own"
        self._service = loaded if self._name is None else self._build({})
        self._changed: list[tuple[str, int]] = []
        self._paths: list[tuple[str, int]] = []
        self._metrics: Sequence[str] = self.metrics

    def bind(self, names: Sequence[str], metrics: Sequence[str]) -> None:
        """Sorts the axes: paths that the core changes, and parameters of which services are built here."""
        self._metrics = metrics
        self._changed, self._paths = [], []
        for place, name in enumerate(names):
            root, _, rest = name.partition(".")
            if root == "scenario" and is_service_path(rest):
                path = load_path(self._service.to_dict(), rest) if rest.startswith("load.") else rest
                self._paths.append((f"scenario.{path}", place))
            elif root == "scenario" and rest and self._name is not None:
                self._changed.append((rest, place))
            elif name != "seed":
                rule = "must be seed, or scenario.X with a parameter or path X of the service"
                raise ConfigError(f"over.{name}", rule, repr(name))

    def axes(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """None but those that are given."""
        return {}

    def job(self) -> NativeJob:
        """What the core needs beside chunks."""
        paths = [name for name, _ in self._paths]
        return native_job("service", paths, self._metrics, tree=needs_tree(self._metrics))

    def chunk(self, points: Sequence[Point]) -> bytes:
        """Points with their services; each stands there once."""
        texts: dict[str, int] = {}
        text, rows = 0, []
        for point in points:
            if self._changed or not texts:
                service = self._build(self._changes(point)) if self._changed else self._service
                text = texts.setdefault(service.to_json(), len(texts))
            rows.append((0, text, point.seed, [point.values[place] for _, place in self._paths]))
        return chunk_of(rows, scenarios=list(texts))

    def prepare(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Each simulation is its own."""

    def known(self, point: Point) -> None:
        """Each simulation is run."""

    def finish(self, points: Sequence[Point], rows: Rows) -> Rows:
        """Adds what the service is about, read from the whole result."""
        return with_outcomes(points, rows, self._metrics, self._outcome)

    def definition(self) -> dict[str, Any]:
        """Service and parameters."""
        scenario: Any = self._name if self._name is not None else {"of": self._service.to_dict()}
        return {"scenario": scenario, **self._values}

    def _outcome(self, point: Point, tree: str) -> dict[str, Any]:
        if self._name is None:
            return {}
        changes = self._changes(point)
        assignments = [f"{path.partition('.')[2]}={json.dumps(point.values[place])}" for path, place in self._paths]
        result = service_result(tree, 0.0, self._build(changes).with_set(*assignments), point.seed)
        return outcome(self._name, parameters(self._name, **(self._values | changes)), result)

    def _build(self, changes: dict[str, Any]) -> ServiceScenario:
        assert self._name is not None, "only services that come with runq have parameters"
        made: Any = module(self._name)
        built = made.build(parameters(self._name, **(self._values | changes)))
        assert isinstance(built, ServiceScenario)
        return built

    def _changes(self, point: Point) -> dict[str, Any]:
        return {name: point.values[place] for name, place in self._changed}
