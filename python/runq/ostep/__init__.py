"""The exercises of the book "Operating Systems: Three Easy Pieces", with the answers of its homework tools.

>>> from runq import ostep
>>> ostep.paging_policy([1, 2, 3, 1, 4, 1], policy="LRU", cachesize=3).hits
2
>>> ostep.fork("a+b,b+c,b-").steps[-1].children
{'a': ('c',), 'c': ()}
"""

from runq.ostep.fork_tree import ForkResult, Step, fork
from runq.ostep.lottery import LotteryResult, lottery
from runq.ostep.mlfq import MlfqJob, MlfqResult, mlfq
from runq.ostep.multi import CpuUse, MultiResult, multi
from runq.ostep.paging_policy import Access, PagingResult, paging_policy
from runq.ostep.process_run import ProcessRunResult, process_run
from runq.ostep.scheduler import JobTimes, SchedulerResult, Slice, scheduler

__all__ = [
    "Access",
    "CpuUse",
    "ForkResult",
    "JobTimes",
    "LotteryResult",
    "MlfqJob",
    "MlfqResult",
    "MultiResult",
    "PagingResult",
    "ProcessRunResult",
    "SchedulerResult",
    "Slice",
    "Step",
    "fork",
    "lottery",
    "mlfq",
    "multi",
    "paging_policy",
    "process_run",
    "scheduler",
]
