"""What can go wrong, and how a routine deep down says that it has to be tried again."""


class RefusedError(Exception):
    """A call that is refused and changes nothing that a process sees."""


class NoChildError(RefusedError):
    """Waiting without children."""


class SegmentationFaultError(RefusedError):
    """A denied access. It has ended the process."""


class OutOfMemoryError(RefusedError):
    """The process that wanted a frame was itself the one with the most resident pages."""

    def __init__(self, victim: int) -> None:
        super().__init__(f"out of memory: killed process {victim}")
        self.victim = victim


class NoFrameError(Exception):
    """No frame is free and none can be swapped out."""


class AgainError(Exception):
    """A page was swapped out to make room, perhaps the one in hand: look again."""
