"""The exceptions of runq: all are `RunqError`."""

__all__ = [
    "ConfigError",
    "KernelError",
    "OutOfMemory",
    "ReplayError",
    "RunqError",
    "SegmentationFault",
    "SimulationError",
    "StoreError",
    "SweepError",
    "TraceError",
    "TraceFileError",
    "TraceNotFoundError",
    "TracePipeError",
]


class RunqError(Exception):
    """Bad input of any kind."""


class ConfigError(RunqError, ValueError):
    """A configuration that breaks a rule; prints as `path: rule, got value`."""

    def __init__(self, path: str, rule: str, value: str) -> None:
        super().__init__(path, rule, value)
        self.path = path
        self.rule = rule
        self.value = value

    def __str__(self) -> str:
        return f"{self.path}: {self.rule}, got {self.value}"


class TraceError(RunqError, ValueError):
    """A trace whose content is not what its format asks for; names the place, what was expected and what was there."""


class TraceFileError(TraceError, OSError):
    """A trace that the system refuses to read or write."""


class TraceNotFoundError(TraceFileError, FileNotFoundError):
    """A trace that is not there."""


class TracePipeError(TraceFileError, BrokenPipeError):
    """A trace that is written to a pipe that nobody reads any more."""


class ReplayError(RunqError):
    """A trace that the machine cannot replay to its end."""


class KernelError(RunqError):
    """A system call of a simulated process that was refused, or that ended the process."""


class SegmentationFault(KernelError):  # noqa: N818 (what every kernel calls it)
    """An access that no region allows. The process has ended; others go on."""

    def __init__(self, message: str, pid: int, address: int, access: str, region: str | None) -> None:
        super().__init__(message)
        self.pid = pid
        self.address = address
        self.access = access
        self.region = region


class OutOfMemory(KernelError):  # noqa: N818 (what every kernel calls it)
    """Memory was full and the calling process was ended for it; `pid` is None if nobody could be ended."""

    def __init__(self, message: str, pid: int | None) -> None:
        super().__init__(message)
        self.pid = pid


class SimulationError(RunqError):
    """A scenario that cannot be run to its end; names the process and what it asked for."""


class SweepError(RunqError):
    """A sweep that cannot go on; says what to do."""


class StoreError(SweepError):
    """A store of a sweep that cannot be used: damaged, full, in use, or of another version; names file and remedy."""
