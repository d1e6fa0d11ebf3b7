"""The machines of the benchmarks: the `golden` preset with one thing changed, one row of the table each."""

from typing import NamedTuple

import runq


class Row(NamedTuple):
    """A machine, and the millions of references a second that one cpu shall do on mix20m and on sort."""

    name: str
    text: str
    changes: tuple[str, ...]
    mix20m_goal: float
    sort_goal: float

    def machine(self) -> runq.Machine:
        return runq.machines.load("golden").with_set(*self.changes)


def _all(policy: str) -> tuple[str, ...]:
    return ("tlbs=[]", *(f"caches.{level}.replacement={policy}" for level in ("L1D", "L2", "L3")))


_WALKS = (
    "tlbs.STLB.entries=1536",
    "tlbs.STLB.ways=12",
    'page_walk.structure_caches=[{"level": 2, "entries": 32}, {"level": 3, "entries": 4}]',
)

ROWS = (
    Row("presented", "3 levels, LRU, write-backs presented", ("tlbs=[]",), 60, 250),
    Row("hidden", "3 levels, LRU, write-backs not presented", ("tlbs=[]", "present_write_backs=false"), 80, 300),
    Row("tlbs", "the first, both TLBs, random placement", ("placement=random",), 40, 180),
    Row("walks", "the same, 1536/12, walks through the caches", ("placement=random", *_WALKS), 25, 180),
    Row("tree-plru", "the first with tree-PLRU", _all("tree-plru"), 50, 200),
    Row("srrip", "the first with SRRIP", _all("srrip"), 50, 200),
)
