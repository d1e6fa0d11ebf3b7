"""Channels in memory on one cpu, step by step: written from `docs/channels.md`, slow and obvious."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reference.locks import LocksOnOneCpu
from reference.threads import NEVER, Op, Thread


@dataclass(eq=False)
class Channel:
    capacity: int
    length: int = 0
    senders: list[tuple[Thread, int]] = field(default_factory=list)
    receivers: list[tuple[Thread, int]] = field(default_factory=list)
    sent: int = 0
    received: int = 0
    waited_to_send: int = 0
    waited_to_receive: int = 0
    users: set[int] = field(default_factory=set)


class ChannelsOnOneCpu(LocksOnOneCpu):
    """`capacities` says of each channel in memory how many messages it holds."""

    def __init__(
        self,
        costs: Mapping[str, int],
        processes: Sequence[tuple[int, Sequence[Op]]],
        capacities: Mapping[str, int],
        slice_: int = NEVER,
    ) -> None:
        super().__init__(costs, processes, {}, slice_)
        self.channels = {name: Channel(capacity) for name, capacity in capacities.items()}

    def enter(self, thread: Thread, name: str) -> Channel:
        channel = self.channels[name]
        channel.users.add(thread.pid)
        alive = sum(other.pid == thread.pid and other.ended is None for other in self.threads)
        self.pay("user", self.costs["mutex_alone" if alive == 1 and len(channel.users) == 1 else "mutex"])
        channel.senders = [(other, since) for other, since in channel.senders if other.ended is None]
        channel.receivers = [(other, since) for other, since in channel.receivers if other.ended is None]
        return channel

    def let_go(self, other: Thread) -> None:
        self.pay("syscall", self.costs["futex_wake"])
        self.wake(other)

    def op_send(self, thread: Thread, op: Op) -> None:
        channel = self.enter(thread, op["channel"])
        if channel.receivers:
            receiver, since = channel.receivers.pop(0)
            channel.sent += 1
            channel.received += 1
            channel.waited_to_receive += self.now - since
            self.let_go(receiver)
        elif channel.length < channel.capacity:
            channel.length += 1
            channel.sent += 1
        else:
            channel.senders.append((thread, self.now))
            self.call_and_block(thread, self.costs["futex_wait"], ("send", op["channel"]))

    def op_recv(self, thread: Thread, op: Op) -> None:
        channel = self.enter(thread, op["channel"])
        if not channel.length and not channel.senders:
            channel.receivers.append((thread, self.now))
            self.call_and_block(thread, self.costs["futex_wait"], ("recv", op["channel"]))
            return
        channel.received += 1
        if channel.senders:
            # Its message takes the place of the one that goes, or goes itself where nothing is held.
            sender, since = channel.senders.pop(0)
            channel.sent += 1
            channel.waited_to_send += self.now - since
            self.let_go(sender)
        else:
            channel.length -= 1
