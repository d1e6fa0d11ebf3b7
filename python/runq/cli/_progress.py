"""One line of progress on stderr, if somebody sees it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runq.replay import Progress
from runq.simulate import SimulateProgress

__all__ = ["event_line", "point_line", "point_text", "progress_line", "progress_text", "row_line"]

_CLEAR = "\r\x1b[2K"

# Characters of a bar.
_BAR = 20


@contextmanager
def progress_line() -> Iterator[Progress | None]:
    """Gives what shows progress; `None` unless stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    start = time.monotonic()

    def show(consumed: int, total: int | None, accesses: int) -> None:
        text = progress_text(consumed, total, accesses, time.monotonic() - start)
        sys.stderr.write(f"{_CLEAR}{text}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


@contextmanager
def event_line() -> Iterator[SimulateProgress | None]:
    """Gives what shows the progress of a simulation; `None` unless stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    start = time.monotonic()

    def show(now_ns: float, events: int) -> None:
        rate = events / max(time.monotonic() - start, 1e-3) / 1e6
        sys.stderr.write(f"{_CLEAR}{now_ns / 1e6:,.3f} ms simulated, {events / 1e6:,.1f} M events, {rate:,.1f} M/s")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


@contextmanager
def row_line() -> Iterator[Callable[[int, int], object] | None]:
    """Gives what shows how many rows are done; `None` unless stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return

    def show(done: int, total: int) -> None:
        sys.stderr.write(f"{_CLEAR}{done:,} of {total:,} done")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


@contextmanager
def point_line() -> Iterator[Callable[[int, int | None, int], object] | None]:
    """Gives what shows the points of a sweep, their rate and the time left; `None` unless stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    start = time.monotonic()
    first: list[int] = []

    def show(done: int, total: int | None, failed: int) -> None:
        # What was there before is not of this run.
        if not first:
            first.append(done)
        text = point_text(done, total, failed, done - first[0], time.monotonic() - start)
        sys.stderr.write(f"{_CLEAR}{text}")
        sys.stderr.flush()

    try:
        yield show
    finally:
        sys.stderr.write(_CLEAR)
        sys.stderr.flush()


def point_text(done: int, total: int | None, failed: int, new: int, seconds: float) -> str:
    """How far a sweep is: `[#####      ]  45 %, 900 of 2,000 points, 3 failed, 101.0/s, 0:11 left`."""
    rate = new / max(seconds, 1e-3)
    parts = [f"{done:,} of {total:,} points" if total else f"{done:,} points", f"{rate:,.1f}/s"]
    if failed:
        parts.insert(1, f"{failed:,} failed")
    if total:
        share = min(done / total, 1)
        parts.insert(0, f"[{'#' * int(_BAR * share):{_BAR}}] {100 * share:3.0f} %")
        if new and seconds >= 1:
            left = round((total - done) / rate)
            parts.append(f"{left // 60}:{left % 60:02} left")
    return ", ".join(parts)


def progress_text(consumed: int, total: int | None, accesses: int, seconds: float) -> str:
    """How far, how fast, how long still: `45 %, 12.3 M accesses, 51.0 M/s, 0:12 left`."""
    parts = [f"{accesses / 1e6:,.1f} M accesses", f"{accesses / max(seconds, 1e-3) / 1e6:,.1f} M/s"]
    if total:
        share = min(consumed / total, 1.0)
        parts.insert(0, f"{100 * share:3.0f} %")
        if share > 0 and seconds >= 1:
            left = round(seconds * (1 - share) / share)
            parts.append(f"{left // 60}:{left % 60:02} left")
    return ", ".join(parts)
