"""How processes come and go: spawn, fork, vfork, exec, exit, kill, wait."""

from collections.abc import Callable

from .address_space import AddressSpace
from .errors import NoChildError, RefusedError
from .fork import fork
from .processes import INIT, KILLED, Process, Processes


class Lifecycle(Processes):
    def add(self, parent: int, name: str, make: Callable[[], AddressSpace]) -> int:
        self.living(parent)
        if len(self.by_pid) >= self.limit:
            raise RefusedError("too many processes")
        space = self.with_room(parent, make)
        self.last_pid += 1
        self.by_pid[self.last_pid] = Process(self.last_pid, parent, name, space)
        self.by_pid[parent].children.append(self.last_pid)
        return self.last_pid

    def spawn(self, parent: int, name: str) -> int:
        return self.add(parent, name, lambda: self.image(name))

    def fork(self, pid: int) -> int:
        def copy() -> AddressSpace:
            child, self.last_fork = fork(self.space(pid), self.fork_policy)
            return child

        return self.add(pid, self.living(pid).name, copy)

    def clone_vm(self, pid: int) -> int:
        space = self.space(pid)
        child = self.add(pid, self.by_pid[pid].name, lambda: space)
        space.users += 1
        return child

    def vfork(self, pid: int) -> int:
        child = self.clone_vm(pid)
        self.by_pid[pid].waits_for = child
        self.by_pid[pid].state = "waiting"
        return child

    def exec(self, pid: int, name: str) -> None:
        old = self.space(pid)
        self.by_pid[pid].space = self.with_room(pid, lambda: self.image(name))
        self.by_pid[pid].name = name
        self.leave(old)
        self.wake_parent(pid)

    def exit(self, pid: int, code: int = 0) -> None:
        if pid == INIT:
            raise RefusedError("init does not end")
        self.end(self.living(pid), code)

    def kill(self, pid: int) -> None:
        if pid == INIT:
            raise RefusedError("init does not end")
        self.end(self.living(pid), KILLED)

    def wait(self, pid: int) -> tuple[int, int | None] | None:
        """Takes the first child that has ended, in the order in which they became children."""
        if not self.living(pid).children:
            raise NoChildError
        for each in self.by_pid[pid].children:
            child = self.by_pid[each]
            if child.space is None:
                self.reap(child)
                return child.pid, child.exit_code
        return None
