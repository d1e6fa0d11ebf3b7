"""`scenario.load.X`: the one load of a scenario, wherever it stands in a program."""

from collections.abc import Iterator, Mapping
from typing import Any

from runq.errors import ConfigError

__all__ = ["load_path"]

_FIELDS = ("arrivals", "requests", "until_ns", "in_flight_max")


def load_path(tree: Mapping[str, Any], rest: str) -> str:
    """The path of a value of the load, without the kind of its arrivals if that is left out.

    >>> load_path({"load": {"arrivals": {"poisson": {"rate_per_s": 800}}}}, "load.rate_per_s")
    'load.arrivals.poisson.rate_per_s'
    """
    loads = [("load", tree["load"])] if "load" in tree else list(_loads(tree.get("processes", []), "processes"))
    if len(loads) != 1:
        rule = f"must be for a scenario with one load; this has {len(loads)}"
        raise ConfigError(f"over.scenario.{rest}", rule, repr(rest))
    path, load = loads[0]
    field = rest.partition(".")[2]
    if field.partition(".")[0].partition("[")[0] in _FIELDS:
        return f"{path}.{field}"
    kind = next(iter(load.get("arrivals", {})), "poisson")
    return f"{path}.arrivals.{kind}.{field}"


def _loads(node: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All loads of ops that serve, with their paths."""
    if isinstance(node, Mapping):
        if node.get("op") == "serve" and isinstance(node.get("load"), Mapping):
            yield f"{path}.load", node["load"]
        for name, part in node.items():
            yield from _loads(part, f"{path}.{name}")
    elif isinstance(node, (list, tuple)):
        for place, part in enumerate(node):
            yield from _loads(part, f"{path}[{place}]")
