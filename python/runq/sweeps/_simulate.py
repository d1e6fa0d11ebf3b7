"""Sweeps over scenarios: `runq.simulate` at every point."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from runq.errors import ConfigError
from runq.models import load as load_model
from runq.scenario import Scenario, is_path
from runq.scenarios import module, outcome, parameters
from runq.simulate import DEFAULT_MACHINE, changed_model, load_scenario, scenario_name, with_model
from runq.simulate_result import result_of
from runq.sweeps._load import load_path
from runq.sweeps._machines import Machines
from runq.sweeps._native import NativeJob, chunk_of, native_job
from runq.sweeps._outcome import needs_tree, with_outcomes
from runq.sweeps._target import Point, Rows

__all__ = ["Target"]

# Built scenarios that are kept, by their parameters.
_KEPT_MAX = 4096


class _Done(NamedTuple):
    """A result as the core hands it back."""

    result: str
    simulate_seconds: float
    threads: dict[str, bytes]
    events: dict[str, Any] | None = None


class Target:
    """Scenarios on machines.

    Axes: `seed`, `machine`, `machine.PATH`, `scenario`, `scenario.PARAMETER`, `scenario.PATH`, `model`, `model.CHOICE`.
    """

    verb = "simulate"
    metrics: tuple[str, ...] = ("makespan_ns", "ledger", "faults", "measures", "memory", "digest")
    zero: tuple[str, ...] = ("faults.",)

    def __init__(self, scenario: object, machine: object = None, model: Any = None, **values: Any) -> None:
        self._name = scenario_name(scenario)
        self._scenario = None if self._name is not None else load_scenario(scenario)
        if self._name is None and values:
            first = next(iter(values))
            raise ConfigError(f"scenario.{first}", "must be for a scenario that comes with runq", repr(scenario))
        self._values = values
        if self._name is not None:
            load_scenario(self._name)
            self._parameters(self._name, {})
        self._machines = Machines(DEFAULT_MACHINE if machine is None else machine)
        self._model = None if model is None else load_model(model)
        self._built: dict[str, str] = {}
        # Axes that are no paths: `machine`, `scenario` and `model` by name, parameters and choices by theirs.
        self._places: dict[str, int] = {}
        self._changed: list[tuple[str, int]] = []
        self._chosen: list[tuple[str, int]] = []
        self._paths: list[tuple[str, int]] = []
        self._names: Sequence[str] = ()
        self._metrics: Sequence[str] = self.metrics

    def bind(self, names: Sequence[str], metrics: Sequence[str]) -> None:
        """Sorts the axes: paths that the core changes, and parameters of which scenarios are built here."""
        self._names, self._metrics = names, metrics
        self._places, self._changed, self._chosen, self._paths = {}, [], [], []
        for place, name in enumerate(names):
            root, _, rest = name.partition(".")
            if name in ("seed", "machine", "scenario", "model"):
                self._places[name] = place
            elif root == "model" and rest:
                self._chosen.append((rest, place))
            elif root == "machine" and rest:
                self._paths.append((name, place))
            elif root == "scenario" and rest:
                if is_path(rest):
                    self._paths.append((name, place))
                elif rest.startswith("load."):
                    self._paths.append((f"scenario.{load_path(self._first(), rest)}", place))
                elif self._name is None and "scenario" not in names:
                    rule = (
                        "must be a path of the scenario (kernel.X, locks.X, processes[0].X, load.X, memory, until_ns)"
                    )
                    raise ConfigError(f"over.{name}", rule, repr(rest))
                else:
                    self._changed.append((rest, place))
            else:
                rule = (
                    "must be seed, machine, scenario, model, machine.PATH, scenario.X with a parameter or path X, "
                    "or model.X with a choice X"
                )
                raise ConfigError(f"over.{name}", rule, repr(name))

    def axes(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """None but those that are given."""
        return {}

    def paths(self) -> list[str]:
        """The axes that the core changes."""
        return [name for name, _ in self._paths]

    def job(self) -> NativeJob:
        """What the core needs beside chunks."""
        return native_job("simulate", self.paths(), self._metrics, tree=needs_tree(self._metrics))

    def chunk(self, points: Sequence[Point]) -> bytes:
        """Points with their machines and scenarios; each scenario stands there once."""
        texts: dict[str, int] = {}
        text, rows = 0, []
        places = [place for _, place in self._paths]
        has_machines = "machine" in self._places
        is_one = not (self._changed or self._chosen or {"scenario", "model"} & self._places.keys())
        for point in points:
            values = point.values
            if not (is_one and texts):
                text = texts.setdefault(self._text(point), len(texts))
            machine = self._machines.place(self._value("machine", point) if has_machines else None)
            rows.append((machine, text, point.seed, [values[place] for place in places]))
        return chunk_of(rows, machines=self._machines.texts, scenarios=list(texts))

    def prepare(self, values: Iterable[tuple[Any, ...]]) -> None:
        """Each simulation is its own."""

    def known(self, point: Point) -> None:
        """Each simulation is run."""

    def finish(self, points: Sequence[Point], rows: Rows) -> Rows:
        """Adds what the scenario is about, read from the whole result."""
        return with_outcomes(points, rows, self._metrics, self._outcome)

    def definition(self) -> dict[str, Any]:
        """Scenario, parameters and machine."""
        scenario: Any = self._name if self._scenario is None else {"of": self._scenario.to_dict()}
        model = {} if self._model is None else {"model": self._model.to_dict()}
        machine = {"of": json.loads(self._machines.base.to_json())}
        return {"scenario": scenario, "machine": machine, **model, **self._values}

    def _outcome(self, point: Point, tree: str) -> dict[str, Any]:
        name = self._value("scenario", point) or self._name
        if name is None:
            return {}
        values = self._parameters(name, self._changes(point))
        scenario = Scenario(name=name, processes=())
        result = result_of(cast(Any, _Done(tree, 0.0, {})), scenario, self._machines.base, point.seed)
        return outcome(name, values, result)

    def _first(self) -> dict[str, Any]:
        """The scenario that the sweep begins with, as files have it."""
        if self._scenario is not None:
            return self._scenario.to_dict()
        assert self._name is not None, "a target has a scenario or the name of one"
        return load_scenario(module(self._name).build(self._parameters(self._name, {}))).to_dict()

    def _text(self, point: Point) -> str:
        """The scenario of a point as JSON, without what the core changes in it."""
        name, model = self._value("scenario", point), self._value("model", point)
        changes, choices = self._changes(point), {path: point.values[place] for path, place in self._chosen}
        # As a text, since 1 and true are one key.
        key = repr((name, changes, model, choices))
        if key not in self._built:
            if len(self._built) >= _KEPT_MAX:
                self._built.clear()
            if name is not None and not isinstance(name, str):
                raise ConfigError("over.scenario", "must be names of scenarios", repr(name))
            of_name = self._name if name is None else name
            if of_name is None:
                assert self._scenario is not None, "a target has a scenario or the name of one"
                scenario = self._scenario
            else:
                scenario = load_scenario(module(of_name).build(self._parameters(of_name, changes)))
            asked = self._model if model is None else model
            self._built[key] = with_model(scenario, changed_model(scenario, asked, choices)).to_json()
        return self._built[key]

    def _changes(self, point: Point) -> dict[str, Any]:
        return {name: point.values[place] for name, place in self._changed}

    def _parameters(self, name: str, changes: dict[str, Any]) -> msgspec.Struct:
        return parameters(name, **(self._values | changes))

    def _value(self, axis: str, point: Point) -> Any:
        place = self._places.get(axis)
        return None if place is None else point.values[place]
