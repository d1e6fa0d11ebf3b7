"""The reference model of virtual memory by itself: rules worked out by hand, isolation, and books that balance."""

from collections import Counter
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis.stateful import invariant
from kernel_machine import KernelMachine
from kernels import HUGE, PAGE, Reference
from reference.virtual_memory.frames import MAX_ORDER, Frames
from reference.virtual_memory.page_table import Leaf, Pointer, Swapped

DEFAULTS: dict[str, Any] = {"memory_size": "8MiB", "swap_size": 0, "stack_limit": "8MiB", "aslr": False}


class ReferenceMachine(KernelMachine):
    """The rules without a simulator; counts are counted again from the page tables up."""

    checks: ClassVar[list[str]] = [*KernelMachine.checks, "books_balance"]

    @invariant()
    def books_balance(self) -> None:
        if not hasattr(self, "reference"):
            return
        memory = self.reference.memory
        references: Counter[int] = Counter()
        slots: Counter[int] = Counter()
        tables = list(memory.all_tables())
        for table in tables:
            assert table.entries or table.level == self.reference.levels
            for entry in table.entries.values():
                if isinstance(entry, Leaf):
                    references.update(pfn for pfn in entry.frames() if pfn)
                elif isinstance(entry, Swapped):
                    slots[entry.slot] += 1
                else:
                    assert isinstance(entry, Pointer)
                    references[entry.table.pfn] += 1
        references.update(pfn for each in memory.objects for pfn in each.frames.values())
        assert references == +memory.frames.references
        assert slots == {number: slot.references for number, slot in memory.swap.slots.items()}
        used = set(references) | {table.pfn for table in tables}
        free = free_frames(memory.frames)
        assert len(used) == memory.frames.count - len(free) - self.in_use_at_boot
        assert not used & free
        assert set(memory.swap.policy.order) <= used - {table.pfn for table in tables}


def free_frames(frames: Frames) -> set[int]:
    """The free frames; their blocks are as large as they can be."""
    blocks = {(first, order) for order, firsts in frames.blocks.items() for first in firsts}
    assert not any((first ^ (1 << order), order) in blocks for first, order in blocks if order < MAX_ORDER)
    assert all(first % (1 << order) == 0 for first, order in blocks)
    free = [pfn for first, order in blocks for pfn in range(first, first + (1 << order))]
    assert len(free) == len(set(free)) == frames.free
    return set(free)


TestReference = ReferenceMachine.TestCase
TestReference.settings = settings(stateful_step_count=40)


@pytest.mark.parametrize("seed", range(10))
def test_long_walk_keeps_isolation_and_books(seed: int) -> None:
    ReferenceMachine().walk(seed, 60)


def faults_of(kernel: Reference, pid: int) -> dict[str, int]:
    return dict(kernel.rows()[pid]["faults"])


def test_first_blocks_are_the_largest_and_a_frame_comes_from_the_smallest_that_suffices() -> None:
    frames = Frames(11, "contiguous", 0)
    assert {order: blocks for order, blocks in frames.blocks.items() if blocks} == {
        0: {1, 10},
        1: {2, 8},
        2: {4},
    }
    assert [frames.take(0), frames.take(0), frames.take(0), frames.take(2), frames.take(2)] == [1, 10, 2, 4, None]


def test_page_goes_from_zero_page_to_a_frame_of_its_own_and_is_copied_after_fork() -> None:
    kernel = Reference(**DEFAULTS)
    pid = kernel.spawn(1, "redis")
    heap = kernel.mmap(pid, PAGE)
    touches = [kernel.read(pid, heap)[1], kernel.write(pid, heap, 7), kernel.write(pid, heap, 8)]
    assert [touch.fault for touch in touches] == ["zero_page", "write_after_zero", None]
    child = kernel.fork(pid)
    assert (kernel.write(pid, heap, 9).fault, kernel.write(child, heap, 10).fault) == ("cow_copy", "reuse")
    assert (kernel.peek(pid, heap), kernel.peek(child, heap)) == (9, 10)
    assert faults_of(kernel, pid) == {"zero_page": 1, "write_after_zero": 1, "cow_copy": 1}


def test_write_to_a_shared_huge_page_splits_it_on_one_side() -> None:
    kernel = Reference(**DEFAULTS)
    pid = kernel.spawn(1, "redis")
    heap = kernel.mmap(pid, HUGE, page_size="2MiB")
    assert kernel.write(pid, heap + 5 * PAGE, 1).fault == "huge_first_touch"
    child = kernel.fork(pid)
    assert kernel.write(child, heap, 2).fault == "huge_cow"
    assert (kernel.walk(pid, heap)[2], kernel.walk(child, heap)[2]) == (2, 1)
    assert (kernel.read(child, heap + 5 * PAGE)[0], kernel.peek(pid, heap)) == (1, 0)


def test_on_demand_fork_shares_tables_until_one_writes() -> None:
    kernel = Reference(**DEFAULTS, fork_policy="on-demand")
    pid = kernel.spawn(1, "redis")
    heap = kernel.mmap(pid, 2 * PAGE)
    pfn = kernel.write(pid, heap, 1).pfn
    child = kernel.fork(pid)
    assert kernel.last_fork["shared_tables"] == 1
    assert (kernel.references(pfn), kernel.walk(pid, heap)[0][3]) == (1, kernel.walk(child, heap)[0][3])
    assert kernel.write(child, heap + PAGE, 2).fault == "first_touch"
    assert kernel.references(pfn) == 2
    assert kernel.write(pid, heap, 3).fault == "cow_copy"


def test_memory_that_runs_out_ends_the_largest_process() -> None:
    kernel = Reference(**DEFAULTS | {"memory_size": "256KiB"})
    large, small = kernel.spawn(1, "large"), kernel.spawn(1, "small")
    for pid, pages in ((large, 40), (small, 30)):
        heap = kernel.mmap(pid, pages * PAGE)
        for page in range(pages):
            kernel.write(pid, heap + page * PAGE, 1)
    assert [row["exit_code"] for row in kernel.rows().values()] == [None, 137, None]


def test_page_that_is_swapped_out_comes_back_with_its_contents() -> None:
    kernel = Reference(**DEFAULTS | {"memory_size": "256KiB", "swap_size": "256KiB"}, swap_policy="fifo")
    pid = kernel.spawn(1, "redis")
    heap = kernel.mmap(pid, 80 * PAGE)
    for page in range(80):
        kernel.write(pid, heap + page * PAGE, page + 1)
    value, touch = kernel.read(pid, heap)
    assert (value, touch.fault) == (1, "swap_in")
    assert kernel.swap_pages_in_use == 80 - kernel.rows()[pid]["resident_pages"]
