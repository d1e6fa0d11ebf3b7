"""The exceptions of runq: all are `RunqError`."""

__all__ = [
    "ConfigError",
    "ReplayError",
    "RunqError",
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
