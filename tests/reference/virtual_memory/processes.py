"""Processes: who exists, whose memory is whose, and how one ends."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ..rng import Stream
from .address_space import AddressSpace
from .errors import NoFrameError, OutOfMemoryError, RefusedError
from .fork import COUNTS, Work
from .memory import Memory
from .regions import Object

INIT = 1
KILLED = 128 + 9

Result = TypeVar("Result")


@dataclass(eq=False)
class Process:
    pid: int
    parent: int
    name: str
    space: AddressSpace | None
    state: str = "ready"
    exit_code: int | None = None
    faults: Counter[str] = field(default_factory=Counter)
    children: list[int] = field(default_factory=list)
    waits_for: int | None = None  # the child of vfork
    is_adopted: bool = False


class Processes:
    def __init__(
        self, memory: Memory, *, levels: int, stack_limit: int, aslr: bool, fork_policy: str, limit: int, seed: int
    ) -> None:
        self.memory = memory
        self.levels = levels
        self.stack_limit = stack_limit
        self.fork_policy = fork_policy
        self.limit = limit
        self.aslr = aslr
        self.seed = seed
        self.images: dict[str, Object] = {}
        self.images_made = 0
        init = Process(INIT, INIT, "init", self.image("init"), state="waiting")
        self.by_pid = {INIT: init}
        self.last_pid = INIT
        self.last_fork: Work = dict.fromkeys(COUNTS, 0)

    def image(self, name: str) -> AddressSpace:
        """A fresh address space; all who run an image share its text."""
        space = AddressSpace(self.memory, self.levels)
        if self.images.get(name) not in self.memory.objects:
            self.images[name] = Object()
            self.memory.objects.append(self.images[name])
        draws = Stream(self.seed, "vm.aslr", self.images_made) if self.aslr else None
        self.images_made += 1
        space.lay_out(draws, self.stack_limit, self.images[name])
        return space

    def living(self, pid: int) -> Process:
        process = self.by_pid.get(pid)
        if process is None or process.space is None:
            raise RefusedError(f"process {pid} does not live")
        return process

    def space(self, pid: int) -> AddressSpace:
        space = self.living(pid).space
        assert space is not None
        return space

    def with_room(self, pid: int, call: Callable[[], Result]) -> Result:
        """Makes a call of a process; as long as memory runs out for it, the largest process ends."""
        while True:
            try:
                return call()
            except NoFrameError:
                self.kill_the_largest(pid)

    def kill_the_largest(self, pid: int) -> None:
        """Ends the process with the most resident pages, the youngest of several, and all who share its memory."""
        spaces = {each.pid: each.space for each in self.by_pid.values() if each.space is not None}
        of_init = spaces[INIT]
        sizes = [(space.resident_pages(), each) for each, space in spaces.items() if space is not of_init]
        if not sizes:
            raise OutOfMemoryError(INIT)
        largest = spaces[max(sizes)[1]]
        victims = [each for each, space in spaces.items() if space is largest]
        for victim in victims:
            self.end(self.by_pid[victim], KILLED)
        if pid in victims:
            raise OutOfMemoryError(pid)

    def leave(self, space: AddressSpace) -> None:
        space.users -= 1
        if space.users == 0:
            space.end()

    def wake_parent(self, pid: int) -> None:
        for process in self.by_pid.values():
            if process.waits_for == pid:
                process.waits_for = None
                process.state = "ready"

    def end(self, process: Process, code: int) -> None:
        assert process.pid != INIT
        assert process.space is not None
        process.state, process.exit_code, process.waits_for = "zombie", code, None
        self.leave(process.space)
        process.space = None
        self.wake_parent(process.pid)
        for pid in process.children:
            child = self.by_pid[pid]
            child.parent, child.is_adopted = INIT, True
            self.by_pid[INIT].children.append(pid)
            if child.space is None:
                self.reap(child)
        process.children = []
        if process.is_adopted:
            self.reap(process)

    def reap(self, process: Process) -> None:
        self.by_pid[process.parent].children.remove(process.pid)
        del self.by_pid[process.pid]
