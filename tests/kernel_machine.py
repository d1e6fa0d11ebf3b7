"""Calls in random order: the rules that drive kernels side by side, and what is compared after each."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, ClassVar

from comparison import differences
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from kernels import HUGE, PAGE, Reference, state_of
from plain_memory import PlainMemory

PERMISSIONS = ["rw", "rw", "r", "rx", "rwx", ""]
NAMES = ["redis", "sh"]

PICKS = range(1, 65)
VALUES = range(1, 10)
FLAGS = [False, True]
ACTIONS: dict[str, tuple[int, dict[str, Sequence[Any]]]] = {}

Method = Callable[..., None]


def action(weight: int, **choices: Sequence[Any]) -> Callable[[Method], Method]:
    """A rule for hypothesis, and for `walk`, where it has a weight."""

    def decorate(method: Method) -> Method:
        ACTIONS[method.__name__] = weight, choices
        strategies: dict[str, Any] = {name: st.sampled_from(values) for name, values in choices.items()}
        decorator: Callable[[Method], Method] = rule(**strategies)
        return decorator(method)

    return decorate


# Small memories, so that it runs out.
OPTIONS: dict[str, list[Any]] = {
    "memory_size": ["8MiB", "256KiB", "300KiB", "1MiB", "5004KiB", "4MiB"],
    "placement": ["contiguous", "contiguous", "random", "fragmented"],
    "levels": [4, 4, 5],
    "swap_size": [0, 0, "16KiB", "64KiB", "4MiB"],
    "swap_policy": ["lru", "fifo", "clock", "random"],
    "stack_limit": ["8MiB", "64KiB"],
    "aslr": [False, True],
    "fork_policy": ["copy", "on-demand"],
    "processes_max": [32768, 32768, 4],
    "seed": [0, 1, 2**64 - 1],
}
options = st.fixed_dictionaries({name: st.sampled_from(choices) for name, choices in OPTIONS.items()})


class KernelMachine(RuleBasedStateMachine):
    """Drives the reference, and `others` beside it."""

    others: ClassVar[list[Any]] = []
    checks: ClassVar[list[str]] = ["kernels_are_equal", "nobody_reads_what_others_wrote"]

    @initialize(chosen=options)
    def boot(self, chosen: dict[str, Any]) -> None:
        self.start(chosen)
        self.furnish(self.call("spawn", 1, "redis"))

    def start(self, chosen: dict[str, Any]) -> None:
        self.reference = Reference(**chosen)
        self.kernels: list[Any] = [self.reference, *(other(**chosen) for other in self.others)]
        self.plain = PlainMemory()
        self.plain.spawn(1)
        self.free_at_boot = self.reference.frames_free
        memory = self.reference.memory
        self.in_use_at_boot = memory.frames.count - memory.frames.free - 1  # the root of init is counted apart

    # Helpers.

    def call(self, name: str, /, *arguments: Any, **given: Any) -> Any:
        """Makes a call in every kernel; all must say the same."""
        expected = self.reference.outcome(name, *arguments, **given)
        for other in self.kernels[1:]:
            found = sorted(differences({"": expected}, {"": other.outcome(name, *arguments, **given)}))
            assert not found, "\n".join([f"{name}{arguments}{given}", *found])
        if name == "spawn" and isinstance(expected, int):
            self.plain.spawn(expected)
        return expected

    def furnish(self, pid: int) -> None:
        """Gives a fresh process some memory."""
        self.call("mmap", pid, 16 * PAGE, name="heap")
        self.call("mmap", pid, 600 * PAGE, page_size="2MiB")

    def running(self) -> list[int]:
        return [pid for pid, process in self.reference.by_pid.items() if process.state == "ready" and pid != 1]

    def pick(self, pick: int) -> int:
        """A process; init when no other runs."""
        running = self.running()
        return running[pick % len(running)] if running else 1

    def region(self, pid: int, pick: int, allows: str = "") -> tuple[int, int]:
        """The bounds of a region, mappings most often; seldom one that does not allow what is to be done."""
        space = self.reference.by_pid[pid].space
        assert space is not None
        regions = space.regions.list
        if pick % 16:
            regions = [region for region in regions if allows in region.permissions]
        wanted = [region for region in regions if region.kind in ("mapping", "heap")] * 3 + regions
        if not wanted:
            return 0x400000, 0x401000
        region = wanted[pick % len(wanted)]
        return region.start, region.end

    def page(self, pid: int, pick: int, number: int, allows: str = "") -> int:
        start, end = self.region(pid, pick, allows)
        return start + PAGE * (number % ((end - start) // PAGE))

    def write_one(self, pid: int, address: int, value: int) -> bool:
        outcome = self.call("write", pid, address, value) if pid != 1 else None
        if not isinstance(outcome, dict):
            return False
        self.plain.write(pid, address, value)
        return True

    # Processes.

    @action(3, pick=PICKS, name=NAMES, from_init=FLAGS)
    def spawn(self, pick: int, name: str, from_init: bool) -> None:
        child = self.call("spawn", 1 if from_init else self.pick(pick), name)
        if isinstance(child, int):
            self.furnish(child)

    @action(4, pick=PICKS)
    def fork(self, pick: int) -> None:
        pid = self.pick(pick)
        child = self.call("fork", pid) if pid != 1 else None
        if isinstance(child, int):
            self.plain.fork(pid, child)

    @action(1, pick=PICKS, waits=FLAGS)
    def share_memory(self, pick: int, waits: bool) -> None:
        pid = self.pick(pick)
        if pid != 1:
            child = self.call("vfork" if waits else "clone_vm", pid)
            if isinstance(child, int):
                self.plain.clone_vm(pid, child)

    @action(1, pick=PICKS, name=NAMES)
    def exec(self, pick: int, name: str) -> None:
        pid = self.pick(pick)
        if pid != 1 and self.call("exec", pid, name) is None:
            self.plain.exec(pid)
            self.furnish(pid)

    @action(2, pick=PICKS, code=range(256))
    def exit(self, pick: int, code: int) -> None:
        if len(self.running()) > 2:
            self.call("exit", self.pick(pick), code)

    @action(1, pick=PICKS)
    def kill(self, pick: int) -> None:
        living = [pid for pid, process in self.reference.by_pid.items() if process.state != "zombie" and pid != 1]
        if len(living) > 2:
            self.call("kill", living[pick % len(living)])

    @action(3, pick=PICKS, is_init=FLAGS)
    def wait(self, pick: int, is_init: bool) -> None:
        self.call("wait", 1 if is_init else self.pick(pick))

    # Mappings.

    @action(
        4,
        pick=PICKS,
        pages=[1, 3, 8, 24, 200],
        permissions=PERMISSIONS[:1] * 8 + PERMISSIONS,
        shared=[False, False, True],
        name=["", "", "heap"],
    )
    def mmap(self, pick: int, pages: int, permissions: str, shared: bool, name: str) -> None:
        pid = self.pick(pick)
        size = PAGE * pages
        start = self.call("mmap", pid, size, permissions=permissions, shared=shared, name=name)
        if isinstance(start, int):
            self.plain.mmap(pid, start, size, shared=shared)

    @action(3, pick=PICKS, pages=[512, 512, 1024, 700, 1200, 511])
    def mmap_huge(self, pick: int, pages: int) -> None:
        self.call("mmap", self.pick(pick), PAGE * pages, page_size="2MiB")

    @action(1, pick=PICKS, at=PICKS, before=range(-4, 5), pages=range(1, 5))
    def mmap_there(self, pick: int, at: int, before: int, pages: int) -> None:
        """Around the start of a region: refused, if it is in use."""
        pid = self.pick(pick)
        self.call("mmap", pid, PAGE * pages, address=self.region(pid, at)[0] + PAGE * before)

    @action(
        6,
        pick=PICKS,
        at=PICKS,
        first=PICKS,
        pages=[1, 1, 2, 5, 16, 512, 600],
        what=["munmap", "discard"],
    )
    def remove(self, pick: int, at: int, first: int, pages: int, what: str) -> None:
        """From within a region on, and across those above it."""
        pid = self.pick(pick)
        start = self.page(pid, at, first * 37)
        end = start + PAGE * pages
        if pid != 1 and self.call(what, pid, start, end - start) is None:
            getattr(self.plain, what)(pid, start, end)

    @action(
        4,
        pick=PICKS,
        at=PICKS,
        first=PICKS,
        pages=[1, 2, 5, 512],
        permissions=PERMISSIONS,
    )
    def mprotect(self, pick: int, at: int, first: int, pages: int, permissions: str) -> None:
        pid = self.pick(pick)
        start = self.page(pid, at, first)
        end = min(start + PAGE * pages, self.region(pid, at)[1])
        if pid != 1:
            self.call("mprotect", pid, start, end - start, permissions)

    @action(3, pick=PICKS, pages=range(41))
    def brk(self, pick: int, pages: int) -> None:
        pid = self.pick(pick)
        space = self.reference.by_pid[pid].space
        assert space is not None
        new, old = space.heap_start + PAGE * pages, space.heap_end
        if self.call("brk", pid, PAGE * pages) is None and new < old:
            self.plain.munmap(pid, new, old)

    @action(4, pick=PICKS, at=PICKS, number=PICKS, call=["collapse", "split"])
    def change_size(self, pick: int, at: int, number: int, call: str) -> None:
        pid = self.pick(pick)
        self.call(call, pid, self.page(pid, at, number * 41))

    @action(3, pick=PICKS, at=PICKS, value=VALUES)
    def fill(self, pick: int, at: int, value: int) -> None:
        """Writes all pages of 2 MiB, which may be a huge page, and collapses them."""
        pid = self.pick(pick)
        start, end = self.region(pid, at, "w")
        first = -(-start // HUGE) * HUGE
        if first + HUGE <= end and self.write_one(pid, first, value):
            self.call("split", pid, first)
            if all(self.write_one(pid, first + PAGE * place, value) for place in range(0, 512, 1 + value % 2)):
                self.call("collapse", pid, first)

    # Accesses.

    @action(14, pick=PICKS, at=PICKS, number=PICKS, value=VALUES)
    def write(self, pick: int, at: int, number: int, value: int) -> None:
        pid = self.pick(pick)
        self.write_one(pid, self.page(pid, at, number * 29, "w"), value)

    @action(8, pick=PICKS, at=PICKS, number=PICKS, pages=[2, 5, 20, 200], value=VALUES)
    def write_many(self, pick: int, at: int, number: int, pages: int, value: int) -> None:
        pid = self.pick(pick)
        end = self.region(pid, at, "w")[1]
        first = self.page(pid, at, number, "w")
        for address in range(first, min(first + PAGE * pages, end), PAGE):
            if not self.write_one(pid, address, value + address // PAGE % 50):
                break

    @action(8, pick=PICKS, at=PICKS, number=PICKS, pages=range(1, 21))
    def read(self, pick: int, at: int, number: int, pages: int) -> None:
        pid = self.pick(pick)
        end = self.region(pid, at, "r")[1]
        first = self.page(pid, at, number * 29, "r")
        for address in range(first, min(first + PAGE * pages, end), PAGE):
            outcome = self.call("read", pid, address) if pid != 1 else None
            if not isinstance(outcome, list):
                break
            assert outcome[0] == self.plain.read(pid, address)

    @action(4, pick=PICKS, at=PICKS, number=PICKS, kind=["read", "write", "execute"])
    def access(self, pick: int, at: int, number: int, kind: str) -> None:
        pid = self.pick(pick)
        if pid != 1:
            self.call("access", pid, self.page(pid, at, number, kind[0].replace("e", "x")) + 8, kind)

    @action(3, pick=PICKS, below=[1, 1, 2, 3, 12, 13, 300, 2044, 2045], value=VALUES)
    def grow_stack(self, pick: int, below: int, value: int) -> None:
        pid = self.pick(pick)
        space = self.reference.by_pid[pid].space
        assert space is not None
        stacks = [region.start for region in space.regions.list if region.kind == "stack"]
        if stacks:
            self.write_one(pid, stacks[0] - PAGE * below, value)

    def walk(self, seed: int, steps: int) -> None:
        """Actions by their weights, from a seed: further than hypothesis goes, though it does not shrink."""
        random = Random(seed)
        self.boot(chosen={name: random.choice(choices) for name, choices in OPTIONS.items()})
        names = list(ACTIONS)
        for name in random.choices(names, [ACTIONS[each][0] for each in names], k=steps):
            arguments = {each: random.choice(values) for each, values in ACTIONS[name][1].items()}
            getattr(self, name)(**arguments)
            for check in self.checks:
                getattr(self, check)()
        self.teardown()

    # What must hold after every call.

    @invariant()
    def kernels_are_equal(self) -> None:
        if not hasattr(self, "kernels"):
            return
        self.state = state_of(self.reference)
        for other in self.kernels[1:]:
            other.audit()
            found = sorted(differences(self.state, state_of(other)))
            assert not found, "\n".join(found[:40])

    @invariant()
    def nobody_reads_what_others_wrote(self) -> None:
        for pid, process in getattr(self, "state", {}).get("processes", {}).items():
            if process["state"] == "zombie":
                continue
            seen = {
                int(vaddr, 16): value for page in process["pages"].values() for vaddr, value in page["contents"].items()
            }
            expected = {vaddr: self.plain.read(pid, vaddr) for vaddr in seen}
            expected |= self.plain.written(pid)
            assert seen == expected, f"process {pid}"

    def teardown(self) -> None:
        """All memory comes back when all have ended."""
        if not hasattr(self, "kernels"):
            return
        for pid in [pid for pid in self.reference.by_pid if pid != 1]:
            process = self.reference.by_pid.get(pid)
            if process is not None and process.state != "zombie":
                self.call("kill", pid)
        while isinstance(self.call("wait", 1), tuple):
            pass
        self.kernels_are_equal()
        assert [kernel.frames_free for kernel in self.kernels] == [self.free_at_boot] * len(self.kernels)
        assert [kernel.swap_pages_in_use for kernel in self.kernels] == [0] * len(self.kernels)
