"""Swap: the slots, and the policies that choose the frame to be swapped out."""

from dataclasses import dataclass

from ..rng import Stream
from .frames import below


class Policy:
    """A list of frames, the next victim first; `clock` keeps a referenced bit with each."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.stream = Stream(seed, "vm.swap", 0)
        self.order: list[int] = []
        self.referenced: set[int] = set()

    def insert(self, pfn: int) -> None:
        if pfn not in self.order:
            self.order.append(pfn)
            self.referenced.add(pfn)

    def touch(self, pfn: int) -> None:
        if pfn in self.order:
            self.referenced.add(pfn)
            if self.name == "lru":
                self.order.remove(pfn)
                self.order.append(pfn)

    def remove(self, pfn: int) -> None:
        if pfn in self.order:
            if self.name == "random":  # the last one takes its place
                last = self.order.pop()
                self.order = [last if each == pfn else each for each in self.order]
            else:
                self.order.remove(pfn)

    def victim(self) -> int | None:
        if not self.order:
            return None
        if self.name == "random":
            return self.order[below(self.stream, len(self.order))]
        while self.name == "clock" and self.order[0] in self.referenced:
            self.referenced.remove(self.order[0])
            self.order.append(self.order.pop(0))  # the hand goes on, and what lies behind it comes last
        return self.order[0]


@dataclass
class Slot:
    contents: int
    references: int = 0
    pfn: int | None = None  # the frame that shows the same, as long as other entries still say "swapped out"


class Swap:
    def __init__(self, slots: int, policy: str, seed: int) -> None:
        self.count = slots
        self.slots: dict[int, Slot] = {}  # those in use
        self.empty: list[int] = []  # those that were in use, the one that became empty last at the end
        self.policy = Policy(policy, seed)

    def slot_of(self, pfn: int) -> int | None:
        return next((number for number, slot in self.slots.items() if slot.pfn == pfn), None)

    def slot_for(self, pfn: int, contents: int) -> int:
        """The slot that still holds the page, or an empty one."""
        number = self.slot_of(pfn)
        if number is None:
            number = self.empty.pop() if self.empty else len(self.slots)
            self.slots[number] = Slot(contents)
        assert self.slots[number].contents == contents
        return number

    def gain(self, number: int) -> None:
        self.slots[number].references += 1

    def lose(self, number: int) -> None:
        self.slots[number].references -= 1
        if self.slots[number].references == 0:
            del self.slots[number]
            self.empty.append(number)

    def forget(self, pfn: int) -> None:
        """A frame is freed."""
        self.policy.remove(pfn)
        number = self.slot_of(pfn)
        if number is not None:
            self.slots[number].pfn = None
