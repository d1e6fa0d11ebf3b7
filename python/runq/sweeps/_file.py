"""Sweeps as TOML files.

    target = "simulate"
    scenario = "fork-latency"
    repeat = 3

    [over]
    "scenario.resident" = ["64MiB", "1GiB"]
    "machine.kernel.fork.pte_clean_ns" = { from = 10, to = 40, steps = 4 }

`[[zip]]` tables hold axes that move together, `[[points]]` points one by one; all are multiplied in this order. With
`target = "compare"` the models are one more axis, the last: `models = ["go", "thread-pool:200"]`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from runq.errors import ConfigError
from runq.machine import Machine, Region, read_toml
from runq.replay import load_machine
from runq.scenario import is_path, split_assignment
from runq.service_scenario import is_service_path
from runq.simulate import DEFAULT_MACHINE, load_any, scenario_name
from runq.sweeps._repeat import until
from runq.sweeps._service import is_service
from runq.sweeps._space import points, zipped
from runq.sweeps._sweep import Sweep

__all__ = ["load_sweep", "sweep_of"]

_KEYS = (
    "target",
    "scenario",
    "trace",
    "format",
    "machine",
    "model",
    "models",
    "parameters",
    "options",
    "set",
    "over",
    "zip",
    "points",
    "where",
    "repeat",
    "seed",
    "seeds",
    "metrics",
)


def load_sweep(path: str | os.PathLike[str], assignments: Sequence[str] = ()) -> Sweep:
    """The sweep of a TOML file, with assignments such as `machine.caches.L1D.ways=16` or `seed=3` on top."""
    tree = read_toml(path)
    return sweep_of(tree, assignments, Path(path).parent)


def sweep_of(tree: Mapping[str, Any], assignments: Sequence[str] = (), folder: Path | None = None) -> Sweep:
    """The sweep of a table as files have it. Names of files in it are relative to `folder`."""
    for key in tree:
        if key not in _KEYS:
            raise ConfigError(key, f"must be one of {', '.join(_KEYS)}", repr(tree[key]))
    tree = dict(tree)
    verb = tree.setdefault("target", "replay" if "trace" in tree else "simulate")
    changes = [*_texts("set", tree.get("set", [])), *assignments]
    roots: dict[str, list[str]] = {"machine": [], "scenario": [], "options": []}
    for text in changes:
        path, value = split_assignment(text)
        root, dot, rest = path.partition(".")
        if path in ("seed", "repeat"):
            tree[path] = value
        elif dot and root in roots:
            roots[root].append(f"{rest}={text.partition('=')[2]}")
        else:
            raise ConfigError(path, "must be seed, repeat, or begin with machine., scenario. or options.", repr(text))
    keywords: dict[str, Any] = {}
    if verb == "simulate":
        _refuse(tree, roots, "simulate", ("models",))
        model = {"model": tree["model"]} if "model" in tree else {}
        keywords = _scenario(tree, roots, folder) | model
        # A service runs on no machine, and its target says so of one that is given.
        if "machine" in tree or roots["machine"] or not is_service(keywords["scenario"]):
            keywords["machine"] = _machine(tree, roots, folder, DEFAULT_MACHINE)
    elif verb == "compare":
        keywords = _compare(tree, roots, folder)
    elif verb == "replay":
        keywords = _replay(tree, roots, folder)
    return Sweep(
        verb,
        over=_over(tree),
        where=_texts("where", tree.get("where", [])),
        repeat=_repeat(tree.get("repeat", 1)),
        seed=tree.get("seed", 0),
        seeds=tree.get("seeds", "common"),
        metrics=None if "metrics" not in tree else _texts("metrics", tree["metrics"]),
        **keywords,
    )


def _scenario(tree: Mapping[str, Any], roots: Mapping[str, list[str]], folder: Path | None) -> dict[str, Any]:
    _refuse(tree, roots, tree["target"], ("trace", "format", "options"))
    if "scenario" not in tree:
        raise ConfigError("scenario", "must be given to simulate: a name or a TOML file", "nothing")
    scenario: Any = _beside(tree["scenario"], folder)
    values = dict(_table("parameters", tree.get("parameters", {})))
    paths = [text for text in roots["scenario"] if _changes_path(text)]
    values |= dict(split_assignment(text) for text in roots["scenario"] if text not in paths)
    if scenario_name(scenario) is None or paths:
        if values and scenario_name(scenario) is not None:
            from runq import scenarios

            scenario, values = scenarios.load(scenario, **values), {}
        scenario = load_any(scenario).with_set(*paths)
    return {"scenario": scenario, **values}


def _compare(tree: Mapping[str, Any], roots: Mapping[str, list[str]], folder: Path | None) -> dict[str, Any]:
    from runq._compare import chosen_machine

    _refuse(tree, roots, "compare", ("model",))
    models = {"models": _models(tree["models"])} if "models" in tree else {}
    scenario = _scenario({"scenario": "web-service", **tree}, roots, folder)
    return scenario | {"machine": _machine(tree, roots, folder, chosen_machine(None))} | models


def _replay(tree: Mapping[str, Any], roots: Mapping[str, list[str]], folder: Path | None) -> dict[str, Any]:
    _refuse(tree, roots, "replay", ("scenario", "parameters", "model", "models"))
    if "trace" not in tree:
        raise ConfigError("trace", "must be given to replay: the path of a file", "nothing")
    options = dict(_table("options", tree.get("options", {}))) | dict(map(split_assignment, roots["options"]))
    if "regions" in options:
        options["regions"] = [Region(**region) for region in options["regions"]]
    trace = _beside(tree["trace"], folder)
    return {"trace": trace, "format": tree.get("format"), "machine": _machine(tree, roots, folder, "golden"), **options}


def _machine(
    tree: Mapping[str, Any], roots: Mapping[str, list[str]], folder: Path | None, default: str | Machine
) -> Machine:
    machine = load_machine(_beside(tree.get("machine", default), folder))
    return machine.with_set(*roots["machine"]) if roots["machine"] else machine


def _over(tree: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = [_table("over", tree["over"])] if "over" in tree else []
    zips = tree.get("zip", [])
    for part in zips if isinstance(zips, list) else [zips]:
        parts.append(zipped(_table("zip", part)))
    if "points" in tree:
        rows = tree["points"]
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise ConfigError("points", "must be tables of axes, [[points]]", repr(rows))
        parts.append(points(rows))
    if not parts and tree["target"] != "compare":
        raise ConfigError("over", "must be given: the axes of the sweep (or [[zip]], or [[points]])", "nothing")
    return parts


def _repeat(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    known = ("until", "within", "confidence", "at_least", "at_most")
    if "until" not in value or not set(value) <= set(known):
        raise ConfigError(
            "repeat", f"must be a number, or a table of until (a metric) and {', '.join(known[1:])}", str(value)
        )
    rest = {key: part for key, part in value.items() if key != "until"}
    return until(value["until"], **rest)


def _refuse(tree: Mapping[str, Any], roots: Mapping[str, list[str]], verb: str, keys: Sequence[str]) -> None:
    for key in keys:
        if key in tree or roots.get(key):
            raise ConfigError(key, f"must be left out of a sweep of {verb}", repr(tree.get(key, roots.get(key))))


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(name, "must be a table", repr(value))
    return value


def _models(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(one, (str, Mapping)) for one in value):
        raise ConfigError("models", "must be a list of names or tables of models", repr(value))
    return value


def _texts(name: str, value: Any) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise ConfigError(name, "must be a list of texts", repr(value))
    return values


def _beside(name: Any, folder: Path | None) -> Any:
    """A file beside the sweep's own, if there is one of that name."""
    if folder is not None and isinstance(name, str) and (folder / name).is_file():
        return str(folder / name)
    return name


def _changes_path(assignment: str) -> bool:
    path = assignment.partition("=")[0].strip()
    return is_path(path) or is_service_path(path)
