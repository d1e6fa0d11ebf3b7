"""Page replacement on reference strings: the laws that the reference keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.reference_string import faults

POLICIES = ["fifo", "lru", "clock", "opt"]
BELADY = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]

strings = st.lists(st.integers(0, 7), max_size=60)
frame_counts = st.integers(1, 9)


def test_fifo_shows_the_anomaly_of_belady() -> None:
    assert [faults(BELADY, frames, "fifo") for frames in (3, 4)] == [9, 10]
    assert [faults(BELADY, frames, "opt") for frames in (3, 4)] == [7, 6]


@given(strings, frame_counts)
def test_opt_faults_least(pages: list[int], frames: int) -> None:
    assert all(faults(pages, frames, "opt") <= faults(pages, frames, policy) for policy in POLICIES)


@pytest.mark.parametrize("policy", ["lru", "opt"])
@given(pages=strings, frames=frame_counts)
def test_stack_policies_never_get_worse_with_more_frames(policy: str, pages: list[int], frames: int) -> None:
    assert faults(pages, frames + 1, policy) <= faults(pages, frames, policy)


@pytest.mark.parametrize("policy", POLICIES)
@given(pages=strings, frames=frame_counts)
def test_every_page_faults_once_at_least_and_once_only_where_all_fit(
    policy: str, pages: list[int], frames: int
) -> None:
    assert len(set(pages)) <= faults(pages, frames, policy) <= len(pages)
    assert faults(pages, max(len(set(pages)), 1), policy) == len(set(pages))


@given(strings)
def test_one_frame_leaves_no_choice(pages: list[int]) -> None:
    assert len({faults(pages, 1, policy) for policy in POLICIES}) == 1
