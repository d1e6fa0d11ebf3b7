"""The most memory that a process had, for tests that measure one of their own.

`ru_maxrss` is no measure of that: a process begins with what its parent had when it was started.
"""

import re
import subprocess
import sys
from pathlib import Path

__all__ = ["growth_bytes", "peak_bytes"]


def peak_bytes() -> int:
    """Bytes of this process that were in memory at the most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None, "Linux tells it"
    return int(found[1]) << 10


def growth_bytes(before: str, work: str) -> int:
    """By how much `work` raises the peak of a process of its own that has run `before`."""
    measure = ["from peak_memory import peak_bytes", "peak = peak_bytes()", work, "print(peak_bytes() - peak)"]
    program = "\n".join([f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})", before, *measure])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(done.stdout)
