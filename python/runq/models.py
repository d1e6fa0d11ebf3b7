"""Execution models as values: what a task of a scenario becomes. `docs/runtimes.md` says what each does.

>>> import runq
>>> runq.WorkStealing.go(workers=4)
Model(name='go', choices={'workers': 4})
>>> runq.models.load("thread-pool:200")
Model(name='thread-pool', choices={'workers': 200})
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from runq.errors import ConfigError

__all__ = [
    "EventLoop",
    "EventLoopPerCpu",
    "Model",
    "ProcessPerTask",
    "ThreadPerTask",
    "ThreadPool",
    "WorkStealing",
    "labels_of",
    "load",
    "load_all",
    "names",
    "plain",
]

# In the order in which they are compared.
_NAMES = (
    "process-per-task",
    "thread-per-task",
    "thread-pool",
    "event-loop",
    "event-loop-per-cpu",
    "go",
    "tokio",
    "java",
    "java-21",
    "work-stealing",
)


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model by name, and what is to be other than usual. Rules live in Rust and are held when the model is used.

    Attributes:
        name: one of `names()`.
        choices: values by name, tables within as dicts: `workers`, `threads_max`, `queues`, `costs`, `memory` and more.
    """

    name: str
    choices: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """What tables call it: its name, and how many workers it has if that was said."""
        workers = self.choices.get("workers")
        return self.name if workers is None else f"{self.name}:{workers}"

    def to_dict(self) -> dict[str, Any]:
        """The model as files have it: `{"go": {"workers": 4}}`."""
        return {self.name: self.choices}

    def with_choices(self, choices: Mapping[str, Any]) -> "Model":
        """The model with choices changed by path.

        >>> import runq
        >>> runq.WorkStealing.go().with_choices({"workers": 4, "queues.steal": "one"})
        Model(name='go', choices={'workers': 4, 'queues': {'steal': 'one'}})
        """
        changed: dict[str, Any] = msgspec.to_builtins(self.choices)
        for path, value in choices.items():
            *tables, last = path.split(".")
            node = changed
            for step in tables:
                node = node.setdefault(step, {})
                if not isinstance(node, dict):
                    raise ConfigError(f"model.{path}", f"must lead through tables; {step} is none", repr(node))
            node[last] = value
        return Model(self.name, changed)


def names() -> list[str]:
    """The names of all models.

    >>> import runq
    >>> runq.models.names()[:3]
    ['process-per-task', 'thread-per-task', 'thread-pool']
    """
    return list(_NAMES)


def load(model: "Model | str | Mapping[str, Any]") -> Model:
    """A model from itself, its name, `name:workers`, or a table as files have it.

    Raises:
        ConfigError: there is no such model.
    """
    if isinstance(model, Model):
        return _known(model)
    if isinstance(model, str):
        name, colon, workers = model.partition(":")
        if colon and not workers.isdecimal():
            raise ConfigError("model", "must be a name, or a name and a number of workers as in go:4", repr(model))
        return _known(Model(name, {"workers": int(workers)} if colon else {}))
    if isinstance(model, Mapping) and len(model) == 1:
        [(name, choices)] = model.items()
        if isinstance(choices, Mapping):
            return _known(Model(str(name), dict(choices)))
    raise ConfigError("model", "must be the name of a model, or a table with one such name", repr(model))


def load_all(models: "Sequence[Model | str | Mapping[str, Any]]") -> list[Model]:
    """Models of which none is there twice.

    Raises:
        ConfigError: it is no list of models, or one of them is like another.
    """
    if isinstance(models, (str, Model, Mapping)):
        raise ConfigError("models", "must be a list of models", repr(models))
    loaded = list(map(load, models))
    if not loaded:
        raise ConfigError("models", "must name at least one model", "[]")
    labels = labels_of(loaded)
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError("models", "must differ from one another", repr(label))
    return loaded


def labels_of(models: Sequence[Model]) -> list[str]:
    """What tables call models beside one another: labels, and what else is other than usual where these are equal.

    >>> import runq
    >>> runq.models.labels_of([runq.WorkStealing.go(), runq.WorkStealing.go(queues={"steal": "one"})])
    ['go', 'go (queues.steal=one)']
    """
    labels = [model.label for model in models]
    return [
        f"{label} ({choices})" if labels.count(label) > 1 and (choices := ", ".join(_texts(model.choices))) else label
        for label, model in zip(labels, models, strict=True)
    ]


def _texts(choices: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in choices.items():
        if isinstance(value, Mapping):
            yield from _texts(value, f"{path}{name}.")
        elif path or name != "workers":
            yield f"{path}{name}={value}"


def plain(model: Model) -> str | dict[str, Any]:
    """A model as files have it, its label where that says all of it; `load` takes it back.

    >>> import runq
    >>> [runq.models.plain(model) for model in (runq.ThreadPool(8), runq.WorkStealing(queues={"steal": "one"}))]
    ['thread-pool:8', {'work-stealing': {'queues': {'steal': 'one'}}}]
    """
    return model.label if set(model.choices) <= {"workers"} else model.to_dict()


def _known(model: Model) -> Model:
    if model.name not in _NAMES:
        raise ConfigError("model", f"must be one of {', '.join(_NAMES)}", repr(model.name))
    return model


def _model(name: str, workers: int | None, choices: dict[str, Any]) -> Model:
    return Model(name, choices if workers is None else {"workers": workers, **choices})


def ProcessPerTask(**choices: Any) -> Model:  # noqa: N802 - it names a model
    """A process for each task."""
    return _model("process-per-task", None, choices)


def ThreadPerTask(**choices: Any) -> Model:  # noqa: N802
    """A thread for each task (1:1)."""
    return _model("thread-per-task", None, choices)


def ThreadPool(threads: int = 64, **choices: Any) -> Model:  # noqa: N802
    """So many threads that take tasks from one queue.

    Args:
        threads: how many.
        choices: `queues={"capacity": n}` bounds the queue: who finds it full is turned away.
    """
    return _model("thread-pool", threads, choices)


def EventLoop(**choices: Any) -> Model:  # noqa: N802
    """One thread for all tasks (N:1): a blocking call of one stops all."""
    return _model("event-loop", None, choices)


def EventLoopPerCpu(workers: int | None = None, **choices: Any) -> Model:  # noqa: N802
    """An event loop for each cpu; tasks stay where they were put.

    Args:
        workers: how many; as many as cpus if absent.
        choices: what is to be other than usual.
    """
    return _model("event-loop-per-cpu", workers, choices)


class WorkStealing:
    """Tasks in user space on some threads that steal from one another (M:N).

    `WorkStealing(...)` has every choice open; `go`, `tokio` and `java` are those of these runtimes.

    >>> import runq
    >>> runq.WorkStealing(workers=2, queues={"steal": "one"}).to_dict()
    {'work-stealing': {'workers': 2, 'queues': {'steal': 'one'}}}
    """

    def __new__(cls, workers: int | None = None, **choices: Any) -> Model:  # type: ignore[misc]
        """A runtime of your own."""
        return _model("work-stealing", workers, choices)

    @staticmethod
    def go(workers: int | None = None, **choices: Any) -> Model:
        """Go 1.27; `workers` is GOMAXPROCS."""
        return _model("go", workers, choices)

    @staticmethod
    def tokio(workers: int | None = None, **choices: Any) -> Model:
        """Tokio's multi-threaded runtime."""
        return _model("tokio", workers, choices)

    @staticmethod
    def java(workers: int | None = None, *, version: int = 25, **choices: Any) -> Model:
        """Java's virtual threads; before version 24 a monitor keeps its carrier.

        Raises:
            ConfigError: there were no virtual threads.
        """
        if version < 21:
            raise ConfigError("version", "must be at least 21", str(version))
        return _model("java" if version >= 24 else "java-21", workers, choices)
