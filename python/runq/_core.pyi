"""The Rust half: converts, simulates without the GIL, converts back. Private; use `runq`."""

from collections.abc import Callable
from typing import Any, final

__all__ = [
    "Replayed",
    "__version__",
    "arrow_stream",
    "machine_check",
    "machine_resolve",
    "machine_set",
    "replay",
    "replay_json",
    "trace_convert",
    "trace_info",
]

__version__: str

@final
class Replayed:
    @property
    def result(self) -> str: ...
    @property
    def simulate_seconds(self) -> float: ...
    @property
    def read_seconds(self) -> float: ...
    @property
    def format(self) -> str | None: ...
    @property
    def compression(self) -> str | None: ...

def arrow_stream(columns: list[tuple[str, list[int | None] | list[str]]]) -> object: ...
def machine_check(machine: str) -> str: ...
def machine_resolve(machine: str) -> str: ...
def machine_set(machine: str, assignments: list[str]) -> str: ...
def replay(
    source: Any,
    machine: str,
    options: str,
    *,
    format: str | None = None,
    name: str = "stream",
    progress: Callable[[int, int | None, int], object] | None = None,
) -> Replayed: ...
def replay_json(machine: str, options: str, columns: dict[str, Any], chunk: int) -> str: ...
def trace_convert(
    source: Any,
    target: str,
    *,
    format: str | None = None,
    to: str | None = None,
    compression: str | None = None,
    name: str = "stream",
    progress: Callable[[int, int | None, int], object] | None = None,
) -> str: ...
def trace_info(
    source: Any,
    *,
    format: str | None = None,
    name: str = "stream",
    progress: Callable[[int, int | None, int], object] | None = None,
) -> str: ...
