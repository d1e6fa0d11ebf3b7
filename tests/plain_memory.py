"""The plainest model of isolation: what every process last wrote to every page, in a dictionary."""

from typing import Any

PAGE = 4096

Key = tuple[str, int, int]  # ("private", space, page) or ("shared", object, page of the object)


class PlainMemory:
    """Values by address space and page. It knows nothing of frames, faults, swap or tables."""

    def __init__(self) -> None:
        self.space: dict[int, int] = {}
        self.values: dict[Key, int] = {}
        self.shared: dict[tuple[int, int], Key] = {}
        self.next = 0

    def new(self) -> int:
        self.next += 1
        return self.next

    def spawn(self, pid: int) -> None:
        self.space[pid] = self.new()

    exec = spawn

    def clone_vm(self, pid: int, child: int) -> None:
        self.space[child] = self.space[pid]

    def fork(self, pid: int, child: int) -> None:
        old, new = self.space[pid], self.new()
        self.space[child] = new
        self.values |= {
            (kind, new, page): v for (kind, at, page), v in self.values.items() if (kind, at) == ("private", old)
        }
        self.shared |= {(new, page): key for (at, page), key in self.shared.items() if at == old}

    def key(self, pid: int, vaddr: int) -> Key:
        page = vaddr // PAGE
        return self.shared.get((self.space[pid], page), ("private", self.space[pid], page))

    def write(self, pid: int, vaddr: int, value: int) -> None:
        self.values[self.key(pid, vaddr)] = value

    def read(self, pid: int, vaddr: int) -> int:
        return self.values.get(self.key(pid, vaddr), 0)

    def mmap(self, pid: int, start: int, size: int, *, shared: bool) -> None:
        if shared:
            to = self.new()
            for number in range(-(-size // PAGE)):
                self.shared[self.space[pid], start // PAGE + number] = ("shared", to, number)

    def discard(self, pid: int, start: int, end: int) -> None:
        """Private pages show zeros again; an object keeps what it holds."""
        for page in range(start // PAGE, -(-end // PAGE)):
            self.values.pop(("private", self.space[pid], page), None)

    def munmap(self, pid: int, start: int, end: int) -> None:
        self.discard(pid, start, end)
        for page in range(start // PAGE, -(-end // PAGE)):
            self.shared.pop((self.space[pid], page), None)

    def written(self, pid: int) -> dict[int, Any]:
        """Address and value of all that the process wrote to private pages."""
        mine = ("private", self.space[pid])
        return {page * PAGE: value for (kind, at, page), value in self.values.items() if (kind, at) == mine}
