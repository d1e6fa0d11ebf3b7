"""The most memory that a process had, for tests that measure one of their own.

`ru_maxrss` is no measure of that: a process begins with what its parent had when it was started.
"""

import re
from pathlib import Path

__all__ = ["peak_bytes"]


def peak_bytes() -> int:
    """Bytes of this process that were in memory at the most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "Linux tells it"
    return int(found[1]) << 10
