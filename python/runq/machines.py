"""Machines that come with runq: `names()` tells which, `load(name)` gives one.

Each is a TOML file whose table `[sources]` says for every number where it comes from: read in a source (S), measured
(M), or general knowledge that is still to be checked (K).
"""

from pathlib import Path
from typing import Any

from runq.errors import ConfigError
from runq.machine import Machine, load_toml

__all__ = ["load", "names", "source_text"]

# A plain path: importlib.resources alone takes a third of the import of the package.
_FOLDER = Path(__file__).parent / "data" / "machines"


def names() -> list[str]:
    """The names of the machines, sorted.

    >>> import runq
    >>> "golden" in runq.machines.names()
    True
    """
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def source_text(name: str) -> str:
    """The TOML file of a machine, with the source of every number."""
    if name not in names():
        raise ConfigError("machine", f"must be a TOML file or one of {', '.join(names())}", name)
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")


def load(name: str, **overrides: Any) -> Machine:
    """The machine of that name, with fields replaced.

    >>> import runq
    >>> runq.machines.load("golden", mlp=8).mlp
    8
    """
    return Machine.from_dict({**load_toml(source_text(name).encode(), name), **overrides})
