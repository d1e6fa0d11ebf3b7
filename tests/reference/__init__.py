"""Slow, obvious models of what `runq replay` does, written from `docs/memory-model.md` alone.

They say what is right: property tests compare every counter of the simulator with them. Pure Python, no speed.
"""

from .replay import replay

__all__ = ["replay"]
