"""A slow, obvious model of virtual memory and processes, written from `docs/virtual-memory.md` alone.

Left out: what anything costs, TLB shootdowns, pages of 1 GiB, and `opt` (`reference_string` has it).
"""

from .kernel import Kernel

__all__ = ["Kernel"]
