"""Pages that a Redis snapshot copies under writes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runq.machine import Machine
from runq.scenarios.snapshot import ENTRY_BYTES, OBJECT_BYTES, value_slot_bytes
from runq.scenarios.snapshot import Parameters as SnapshotParameters
from runq.validation._experiment import Column, Experiment, Parameters, Prediction, Tell
from runq.validation._run import NotRun, fork, op, run, wait

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EXPERIMENT"]

_PAGE = 4096
_HOT = 100
# Pages that a busy client dirties beside the keys: the row of 80000 keys, hot1s, setrange8, less pools and base.
_CLIENT_PAGES = 21
# How long a client writes beside each save, at the row's rate: rows count what it writes during saves alone. Nobody
# wrote that time down; it is inferred from how far values drift from save to save, one number for both servers.
_UNCOUNTED_S = 0.4
_PATTERNS = ("none", "uniform", "hot1s", "hot1c")
_COMMANDS = ("set", "setrange8")
_KEYS_MAX = 1 << 26
_WRITES_MAX = 1 << 26


class RedisBgsave:
    """Pages of 4 KiB that BGSAVE copies, by keys, length of values, command and skew of the writes.

    Rows are successive saves of the same server as long as keys and length stay: a SET moves its value to the slot
    that the SET before it freed, so that SETs of any key scatter the values of neighbouring ones. The writes are the
    measured ones: so many, over so many keys. Before each save the client writes for 0.4 s that rows do not count.
    `hot1s` is every hundredth key, `hot1c` the first hundredth of them.
    """

    file = "redis_bgsave.csv"
    columns = (
        Column("n_keys"),
        Column("value_bytes"),
        Column("pattern", is_number=False),
        Column("command", is_number=False),
        Column("writes_during_save"),
        Column("distinct_keys_written"),
        Column("writes_per_s"),
    )
    metric = "cow_pages_4k"
    unit = "pages"
    measured = ("cow_pages_4k",)

    def predict(self, rows: Sequence[Parameters], machine: Machine, seed: int, tell: Tell) -> list[Prediction]:
        """One run a row, on servers that live as long as rows are of them."""
        predictions = []
        server: _Server | None = None
        for done, row in enumerate(rows):
            tell(done, len(rows))
            problem = _problem(row)
            if problem:
                predictions.append(Prediction(None, problem))
                continue
            if server is None or server.shape != (row["n_keys"], row["value_bytes"]):
                server = _Server(int(row["n_keys"]), int(row["value_bytes"]), seed)
            pages = server.dirty_pages(row)
            try:
                predictions.append(Prediction(_pages_copied(server, pages, machine, seed)))
            except NotRun as reason:
                predictions.append(Prediction(None, str(reason)))
        return predictions


def _problem(row: Parameters) -> str:
    if row["pattern"] not in _PATTERNS or row["command"] not in _COMMANDS:
        return f"pattern {row['pattern']}, command {row['command']} is not known"
    limits = {"n_keys": _KEYS_MAX, "value_bytes": 1 << 29, "writes_during_save": _WRITES_MAX}
    for name, limit in limits.items():
        value = row[name]
        if not isinstance(value, int) or value > limit:
            return f"{name} must be a whole number up to {limit}"
    if row["n_keys"] == 0 or row["value_bytes"] == 0:
        return "n_keys and value_bytes must be at least 1"
    return ""


class _Server:
    """Where the bytes of each key lie."""

    def __init__(self, keys: int, value_bytes: int, seed: int) -> None:
        import numpy as np

        self.shape = (keys, value_bytes)
        self.keys = keys
        self.value_bytes = value_bytes
        self.slot_bytes = value_slot_bytes(value_bytes)
        self._draws = np.random.Generator(np.random.PCG64(seed))
        # Values lie as they were inserted; behind them is one free slot.
        self._slots = np.arange(keys, dtype=np.int64)
        self._free = keys
        self._hash_places = self._draws.permutation(keys)

    def pool_bytes(self) -> dict[str, int]:
        """How large each pool is."""
        return {
            "values": (self.keys + 1) * self.slot_bytes + _PAGE,
            "objects": self.keys * OBJECT_BYTES,
            "entries": self.keys * ENTRY_BYTES,
        }

    def dirty_pages(self, row: Parameters) -> "dict[str, NDArray[np.int64]]":
        """Pages of each pool that the writes of a row dirty; SETs move values on, those before the save too."""
        keys = self._written_keys(row)
        if len(keys) == 0:
            return {}
        if row["command"] == "set":
            uncounted = min(_WRITES_MAX, round(float(row["writes_per_s"]) * _UNCOUNTED_S))
            self._move(self._draws.choice(self._candidates(row), size=uncounted))
        objects = keys * OBJECT_BYTES // _PAGE
        if row["command"] == "setrange8":
            return {"values": self._slots[keys] * self.slot_bytes // _PAGE, "objects": objects}
        import numpy as np

        first = self._move(keys) * self.slot_bytes
        last = first + self.value_bytes
        values = np.concatenate([first // _PAGE, last // _PAGE])
        return {"values": values, "objects": objects, "entries": self._hash_places[keys] * ENTRY_BYTES // _PAGE}

    def _written_keys(self, row: Parameters) -> "NDArray[np.int64]":
        """So many writes over so many keys, in random order."""
        import numpy as np

        candidates = self._candidates(row)
        distinct = min(int(row["distinct_keys_written"]), len(candidates))
        if distinct == 0:
            return np.arange(0)
        chosen = self._draws.choice(candidates, size=distinct, replace=False)
        more = self._draws.choice(chosen, size=max(0, int(row["writes_during_save"]) - distinct))
        return self._draws.permutation(np.concatenate([chosen, more]))

    def _candidates(self, row: Parameters) -> "NDArray[np.int64]":
        """Keys that the pattern of a row writes."""
        import numpy as np

        hot = max(1, self.keys // _HOT)
        return {
            "uniform": np.arange(self.keys),
            "hot1s": np.arange(hot) * _HOT % self.keys,
            "hot1c": np.arange(hot),
            "none": np.arange(0),
        }[str(row["pattern"])]

    def _move(self, keys: "NDArray[np.int64]") -> "NDArray[np.int64]":
        """Runs SETs of these keys. Returns the slot that each one writes: that which the one before it freed."""
        import numpy as np

        count = len(keys)
        order = np.argsort(keys, kind="stable")
        is_again = np.zeros(count, dtype=bool)
        is_again[1:] = keys[order][1:] == keys[order][:-1]
        # What write i frees is what its key had: from the start, or since an earlier write j, which got what write j-1
        # freed. Entry i+1 stands for what write i frees, entry 0 for the slot that is free at the start.
        earlier = np.arange(count + 1)
        earlier[order[is_again] + 1] = order[np.flatnonzero(is_again) - 1]
        while True:
            further = earlier[earlier]
            if np.array_equal(further, earlier):
                break
            earlier = further
        freed = np.concatenate([[self._free], self._slots[keys]])[earlier]
        # Of equal keys the last write stays.
        self._slots[keys] = freed[:-1]
        self._free = int(freed[-1])
        written: NDArray[np.int64] = freed[:-1]
        return written


def _pages_copied(server: _Server, pages: "dict[str, NDArray[np.int64]]", machine: Machine, seed: int) -> float:
    """Copies that the parent's writes cost while the child saves."""
    import numpy as np

    base_pages = SnapshotParameters().base_pages + (_CLIENT_PAGES if pages else 0)
    pools = server.pool_bytes() | {"base": _PAGE * base_pages}
    load: list[dict[str, Any]] = []
    for name, size in pools.items():
        load += [op("mmap", region=name, size=size), op("touch", region=name)]
    writes = [
        op("touch", region=name, pattern="list", indices=np.unique(indices).tolist()) for name, indices in pages.items()
    ]
    program = [*load, fork(op("sleep", ns=10**12)), op("touch", region="base"), *writes, op("kill"), wait]
    return float(run(program, machine, seed).faults["cow_copy"])


EXPERIMENT: Experiment = RedisBgsave()
