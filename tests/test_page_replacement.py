"""Page replacement on reference strings: the simulator against the reference."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.reference_string import faults
from runq import page_replacement

FRAMES = list(range(1, 10))

strings = st.lists(st.integers(0, 7) | st.sampled_from([2**40, 2**64 - 1]), max_size=80)


@pytest.mark.parametrize("policy", ["fifo", "lru", "clock", "opt"])
@given(pages=strings)
def test_policy_faults_as_the_reference(policy: Any, pages: list[int]) -> None:
    rows = page_replacement(pages, frames=FRAMES, policy=policy)
    assert [row.frames for row in rows] == FRAMES
    assert [row.faults for row in rows] == [faults(pages, frames, policy) for frames in FRAMES]
    assert all(row.hits + row.faults == len(pages) for row in rows)


@given(pages=strings, seed=st.integers(0, 2**64 - 1))
def test_random_is_no_better_than_opt_and_the_same_for_a_seed(pages: list[int], seed: int) -> None:
    rows = page_replacement(pages, frames=FRAMES, policy="random", seed=seed)
    assert rows == page_replacement(pages, frames=FRAMES, policy="random", seed=seed)
    assert all(faults(pages, row.frames, "opt") <= row.faults <= len(pages) for row in rows)
    assert rows[-1].faults == len(set(pages)) or len(set(pages)) > FRAMES[-1]
