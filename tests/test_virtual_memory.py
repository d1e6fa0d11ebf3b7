"""The simulated kernel against the slow reference model: all that can be seen, after every call."""

from typing import Any, ClassVar

import pytest
from hypothesis import settings
from kernel_machine import KernelMachine
from kernels import HUGE, PAGE, Simulator


class SimulatorMachine(KernelMachine):
    others: ClassVar[list[Any]] = [Simulator]


TestSimulator = SimulatorMachine.TestCase
TestSimulator.settings = settings(stateful_step_count=40)


@pytest.mark.parametrize("seed", range(40))
def test_long_walk_shows_what_the_reference_shows(seed: int) -> None:
    SimulatorMachine().walk(seed, 60)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 2000, 100))
def test_longer_walks_show_what_the_reference_shows(seed: int) -> None:
    for each in range(seed, seed + 100):
        SimulatorMachine().walk(each, 100)


class SideBySide:
    """Calls by hand: made in both kernels, which are compared after each."""

    def __init__(self, **options: Any) -> None:
        self.machine = SimulatorMachine()
        self.machine.start({"swap_size": 0, "stack_limit": "8MiB", "aslr": False, "memory_size": "8MiB"} | options)

    def __call__(self, name: str, /, *arguments: Any, **options: Any) -> Any:
        result = self.machine.call(name, *arguments, **options)
        self.machine.kernels_are_equal()
        return result

    def fill(self, pid: int, start: int, pages: int, value: int = 1) -> None:
        for page in range(pages):
            self.machine.call("write", pid, start + page * PAGE, value)
        self.machine.kernels_are_equal()

    def values(self, address: int, *pids: int) -> list[int]:
        return [self("read", pid, address)[0] for pid in pids]


@pytest.mark.parametrize("policy", ["fifo", "lru", "clock", "random"])
def test_write_to_a_page_that_came_back_from_the_swap_stays_hidden_from_the_child(policy: str) -> None:
    both = SideBySide(memory_size="256KiB", swap_size="1MiB", swap_policy=policy)
    pid = both("spawn", 1, "redis")
    page, others = both("mmap", pid, PAGE), both("mmap", pid, 100 * PAGE, name="others")
    both("write", pid, page, 7)
    child = both("fork", pid)
    for access in ("read", "write"):
        both.fill(pid, others, 100)
        both("access", pid, page, access)
        both("write", pid, page, 8)
        assert both.values(page, pid, child) == [8, 7]


def test_write_right_that_is_given_back_hides_writes_to_swapped_pages_too() -> None:
    both = SideBySide(memory_size="256KiB", swap_size="1MiB", swap_policy="fifo")
    pid = both("spawn", 1, "redis")
    page, others = both("mmap", pid, PAGE), both("mmap", pid, 100 * PAGE, name="others")
    both("write", pid, page, 7)
    child = both("fork", pid)
    both.fill(pid, others, 100)
    both("read", pid, page)
    both("mprotect", pid, page, PAGE, "r")
    both("mprotect", pid, page, PAGE, "rw")
    both("write", pid, page, 8)
    assert both.values(page, pid, child) == [8, 7]


def test_shared_mapping_lives_until_its_last_part_goes() -> None:
    both = SideBySide()
    pid = both("spawn", 1, "redis")
    start = both("mmap", pid, 5 * PAGE, shared=True)
    both.fill(pid, start, 5)
    child = both("fork", pid)
    both("munmap", pid, start + PAGE, PAGE)
    both("munmap", pid, start + 3 * PAGE, PAGE)
    both("exit", pid)
    assert both("read", child, start + PAGE)[0] == 1
    both("exit", child)


def test_both_sides_of_a_fork_split_the_same_huge_page_and_swap() -> None:
    both = SideBySide(memory_size="4MiB", swap_size="4MiB", swap_policy="lru")
    pid = both("spawn", 1, "redis")
    start, others = both("mmap", pid, HUGE, page_size="2MiB"), both("mmap", pid, 900 * PAGE, name="others")
    both("write", pid, start, 1)
    child = both("fork", pid)
    assert [both("write", each, start, each)["fault"] for each in (pid, child)] == ["huge_cow", "huge_cow"]
    both.fill(pid, others, 900)
    assert both.values(start, pid, child) == [pid, child]


def test_swap_forgets_frames_that_are_freed_with_a_huge_page() -> None:
    both = SideBySide(memory_size="4MiB", swap_size="4MiB", swap_policy="fifo")
    pid, other = both("spawn", 1, "redis"), both("spawn", 1, "redis")
    start = both("mmap", pid, HUGE, page_size="2MiB")
    both("write", pid, start, 1)
    child = both("fork", pid)
    both("write", pid, start, 2)
    both("exit", pid)
    both("exit", child)
    mapping = both("mmap", other, 1100 * PAGE)
    both.fill(other, mapping, 1100)


def test_stack_grows_by_accesses_alone_that_it_allows() -> None:
    both = SideBySide()
    pid = both("spawn", 1, "redis")
    stack = both.machine.reference.regions_of(pid)[-1]["start"]
    both("mprotect", pid, stack, 4 * PAGE, "r")
    assert both("read", pid, stack - PAGE)[1]["stack_grew"]
    assert both("write", pid, stack - 2 * PAGE, 1) == "segmentation fault"


def test_stack_growth_is_counted_when_memory_has_to_be_found_for_it() -> None:
    both = SideBySide(memory_size="256KiB")
    large, small = both("spawn", 1, "redis"), both("spawn", 1, "redis")
    stack = both.machine.reference.regions_of(small)[-1]["start"]
    start = both("mmap", large, 60 * PAGE)
    page = 0
    while both.machine.reference.frames_free:
        both("write", large, start + page * PAGE, 1)
        page += 1
    assert both("write", small, stack - PAGE, 1)["stack_grew"]
    assert both.machine.reference.rows()[small]["faults"] == {"first_touch": 1, "stack_growth": 1}


def test_text_is_executable_and_data_is_not() -> None:
    both = SideBySide()
    pid = both("spawn", 1, "redis")
    both("access", pid, 0x400000, "execute")
    data = both("mmap", pid, 2 * PAGE, permissions="rwx")
    both("write", pid, data, 1)
    both("write", pid, data + PAGE, 1)
    both("mprotect", pid, data, PAGE, "rw")
    entries = [both.machine.reference.walk(pid, address)[1] >> 63 for address in (0x400000, data, data + PAGE)]
    assert entries == [0, 1, 0]


def test_init_and_who_shares_its_memory_are_not_ended_for_memory() -> None:
    both = SideBySide(memory_size="256KiB")
    sharer, pid = both("clone_vm", 1), both("spawn", 1, "redis")
    for each, pages in ((sharer, 40), (pid, 30)):
        start = both("mmap", each, pages * PAGE)
        both.fill(each, start, pages)
    assert [row["exit_code"] for row in both.machine.reference.rows().values()] == [None, None, 137]


def test_child_of_vfork_that_outlives_its_parent_wakes_nobody() -> None:
    both = SideBySide()
    pid = both("spawn", 1, "redis")
    child = both("vfork", pid)
    both("kill", pid)
    both("exec", child, "sh")
    both("exit", child)


def test_neighbours_join_on_both_sides() -> None:
    both = SideBySide()
    pid = both("spawn", 1, "redis")
    start = both("mmap", pid, 3 * PAGE)
    both("munmap", pid, start + PAGE, PAGE)
    both("mmap", pid, PAGE, address=start + PAGE)
    stack = both.machine.reference.regions_of(pid)[-1]["start"]
    both("mprotect", pid, stack, PAGE, "r")
    both("mprotect", pid, stack, PAGE, "rw")
    assert [row["kind"] for row in both.machine.reference.regions_of(pid)] == ["text", "data", "mapping", "stack"]


def test_heap_ends_where_brk_put_it_whatever_was_unmapped() -> None:
    both = SideBySide()
    pid = both("spawn", 1, "redis")
    heap = 0x400000 + 8 * PAGE
    both("brk", pid, 4 * PAGE)
    both("munmap", pid, heap + 3 * PAGE, PAGE)
    both("brk", pid, 4 * PAGE)
    assert both("write", pid, heap + 2 * PAGE, 1)["fault"] == "first_touch"
    assert both("write", pid, heap + 3 * PAGE, 1) == "segmentation fault"
