"""The machines that points begin with."""

from runq.errors import ConfigError
from runq.machine import Machine
from runq.replay import load_machine

__all__ = ["Machines"]


class Machines:
    """The machines of a sweep: one, or those of the axis `machine`."""

    def __init__(self, machine: object) -> None:
        self.base = load_machine(machine)
        self._texts: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, name: object) -> int:
        """Where the machine of a point stands in `texts`; None is the base."""
        key = name if isinstance(name, str) else ""
        if key not in self._places:
            if name is not None and not isinstance(name, str):
                raise ConfigError("over.machine", "must be names of machines or paths of TOML files", repr(name))
            text = (self.base if name is None else self._load(name)).to_json()
            self._places[key] = len(self._texts)
            self._texts.append(text)
        return self._places[key]

    @property
    def texts(self) -> list[str]:
        """All machines that were asked for, as JSON."""
        return self._texts

    def _load(self, name: str) -> Machine:
        try:
            return load_machine(name)
        except ConfigError as error:
            raise ConfigError("over.machine", error.rule, error.value) from None
