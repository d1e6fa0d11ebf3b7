"""Processes that compute and do I/O on one CPU, as OSTEP's `process-run.py` plays them, tick by tick.

An I/O takes a tick to start and one to be handled when it is done; any number of them are under way at once. Names and
defaults of options and the use of random numbers are those of the tool, so that the same seed gives the same exercise.
Source: cpu-intro/process-run.py of remzi-arpacidusseau/ostep-homework at 6c6cfc7.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from random import Random

import msgspec

from runq.errors import ConfigError

__all__ = ["IO_DONES", "SWITCHES", "ProcessRunResult", "Tick", "play", "prepare", "process_run"]

# When another process runs: once one starts I/O or ends, or once one ends alone.
SWITCHES = ("SWITCH_ON_IO", "SWITCH_ON_END")
# When a process whose I/O is done runs: in its turn, or at once.
IO_DONES = ("IO_RUN_LATER", "IO_RUN_IMMEDIATE")

_COMPUTE, _IO, _HANDLE = "cpu", "io", "io_done"

_MOST_PROCESSES = 1000
_MOST_INSTRUCTIONS = 1_000_000
# Ticks times processes: each is a word of the output.
_MOST_STATES = 10_000_000


class ProcessRunResult(msgspec.Struct, frozen=True, kw_only=True):
    """What happens, tick by tick.

    Attributes:
        total_time: ticks until every process is done.
        cpu_busy: ticks in which an instruction ran.
        io_busy: ticks in which an I/O was under way.
        ticks: for each tick what every process does: `RUN:cpu`, `RUN:io` (starts I/O), `RUN:io_done` (handles that it
            is done), `READY`, `BLOCKED`, `DONE`, or `RUNNING` where it has the CPU and no instruction.
    """

    total_time: int
    cpu_busy: int
    io_busy: int
    ticks: tuple[tuple[str, ...], ...]

    def to_json(self) -> str:
        """Everything as one line of JSON: what `--json` prints."""
        return msgspec.json.encode(self).decode()


class Tick(msgspec.Struct, frozen=True):
    """What every process does, whether one ran an instruction, how many I/Os are under way, whether one was done."""

    states: tuple[str, ...]
    is_busy: bool
    ios: int
    is_io_done: bool


class _Cpu:
    """The processes, one of which is current: it runs, or it was the last to."""

    def __init__(self, programs: Sequence[Sequence[str]], switch: str, iodone: str, iolength: int) -> None:
        self._left = [deque(program) for program in programs]
        # invariant: at most one is RUNNING, and that is the current one
        self.states = ["READY"] * len(programs)
        self._switches_on_io = switch == "SWITCH_ON_IO"
        self._runs_at_once = iodone == "IO_RUN_IMMEDIATE"
        self._io_length = iolength
        # Processes whose I/O is under way, and the tick in which it is done; in order of that tick.
        self._ios: deque[tuple[int, int]] = deque()
        self._current = 0
        self.states[0] = "RUNNING"

    def tick(self, time: int) -> Tick:
        """Plays the tick `time`; they are from 1."""
        done = self._take_done_ios(time)
        for process in done:
            self._wake(process)
            self._end_if_empty()
        current = self._current
        instruction = ""
        shown = list(self.states)
        if self.states[current] == "RUNNING" and self._left[current]:
            instruction = self._left[current].popleft()
            shown[current] = f"RUN:{instruction}"
        ios = len(self._ios)
        if instruction == _IO:
            self.states[current] = "BLOCKED"
            self._ios.append((time + self._io_length + 1, current))
            if self._switches_on_io:
                self._run_next()
        self._end_if_empty()
        return Tick(tuple(shown), bool(instruction), ios, bool(done))

    def _take_done_ios(self, time: int) -> list[int]:
        """Processes whose I/O is done by now, in order of their numbers."""
        done = []
        while self._ios and self._ios[0][0] <= time:
            done.append(self._ios.popleft()[1])
        return sorted(done)

    def _wake(self, process: int) -> None:
        """Makes a process ready whose I/O is done; it runs if it has to at once, or if nobody else does."""
        self.states[process] = "READY"
        is_running = self.states[self._current] == "RUNNING"
        if is_running and self._runs_at_once:
            self.states[self._current] = "READY"
        if self._runs_at_once or not is_running:
            self._run(process)

    def _end_if_empty(self) -> None:
        if self.states[self._current] == "RUNNING" and not self._left[self._current]:
            self.states[self._current] = "DONE"
            self._run_next()

    def _run_next(self) -> None:
        """Runs the next process that is ready, in order of their numbers after the current one, if there is one."""
        count = len(self.states)
        for process in range(self._current + 1, self._current + 1 + count):
            if self.states[process % count] == "READY":
                self._run(process % count)
                return

    def _run(self, process: int) -> None:
        self._current = process
        self.states[process] = "RUNNING"


def process_run(
    processlist: str = "",
    *,
    program: str = "",
    iolength: int = 5,
    switch: str = "SWITCH_ON_IO",
    iodone: str = "IO_RUN_LATER",
    seed: int = 0,
) -> ProcessRunResult:
    """Runs processes that compute and do I/O.

    >>> process_run(program="i:c4", iolength=5).total_time
    7
    >>> process_run(program="i:c4", iolength=5, switch="SWITCH_ON_END").total_time
    11

    Args:
        processlist: `"5:100,3:50"` is a process of 5 instructions that all compute, and one of 3 each of which computes
            with a chance of 50 percent and does I/O else.
        program: what every process does, instead: `"c7,i,c1:c3"` is one that computes for 7, does I/O and computes for
            1, and one that computes for 3.
        iolength: ticks between the start of an I/O and the tick in which it is handled.
        switch: `SWITCH_ON_IO` or `SWITCH_ON_END`: whether another process runs while one waits.
        iodone: `IO_RUN_LATER` or `IO_RUN_IMMEDIATE`: when a process runs whose I/O is done.
        seed: of `processlist`.

    Raises:
        ConfigError: an option is out of its range, or there is no process, or the run is too long to tell.
    """
    programs = prepare(processlist, program=program, iolength=iolength, switch=switch, iodone=iodone, seed=seed)
    ticks = tuple(play(programs, iolength=iolength, switch=switch, iodone=iodone))
    return ProcessRunResult(
        total_time=len(ticks),
        cpu_busy=sum(tick.is_busy for tick in ticks),
        io_busy=sum(tick.ios > 0 for tick in ticks),
        ticks=tuple(tick.states for tick in ticks),
    )


def prepare(processlist: str, *, program: str, iolength: int, switch: str, iodone: str, seed: int) -> list[list[str]]:
    """Checks the options of `process_run` and gives the instructions of each process."""
    if switch not in SWITCHES:
        raise ConfigError("switch", f"must be one of {', '.join(SWITCHES)}", repr(switch))
    if iodone not in IO_DONES:
        raise ConfigError("iodone", f"must be one of {', '.join(IO_DONES)}", repr(iodone))
    if iolength < 0:
        raise ConfigError("iolength", "must be at least 0", str(iolength))
    name, texts = ("program", program.split(":")) if program else ("processlist", processlist.split(","))
    if len(texts) > _MOST_PROCESSES:
        raise ConfigError(name, f"must be at most {_MOST_PROCESSES} processes", f"{len(texts)} of them")
    rng = Random(seed)
    programs = []
    # As if nothing ever ran while an I/O is under way. A process takes a tick even where it has no instructions.
    time = 0
    for place, text in enumerate(texts):
        path = f"{name}[{place}]"
        instructions = _parse_program(path, text) if program else _random_program(rng, path, text)
        programs.append(instructions)
        time += len(instructions) + instructions.count(_IO) * (iolength + 1) + 1
        states = time * len(texts)
        if states > _MOST_STATES:
            shown = f"at least {states}" if states < 10**18 else "far more"
            raise ConfigError(name, f"must take at most {_MOST_STATES} ticks times processes", shown)
    return programs


def play(programs: Sequence[Sequence[str]], *, iolength: int, switch: str, iodone: str) -> Iterator[Tick]:
    """Runs `programs` to their end; what comes out need not be kept."""
    cpu = _Cpu(programs, switch, iodone, iolength)
    time = 0
    while any(state != "DONE" for state in cpu.states):
        time += 1
        yield cpu.tick(time)


def _parse_program(path: str, text: str) -> list[str]:
    instructions: list[str] = []
    for word in text.split(","):
        if word == "i":
            instructions += (_IO, _HANDLE)
            continue
        count = _count(word[1:]) if word.startswith("c") else None
        if count is None:
            raise ConfigError(path, "must be instructions: cN (computes for N) or i (I/O)", repr(word))
        _check_count(path, len(instructions) + count)
        instructions += [_COMPUTE] * count
    return instructions


def _random_program(rng: Random, path: str, text: str) -> list[str]:
    left, _, right = text.partition(":")
    count = _count(left)
    try:
        percent = float(right)
    except ValueError:
        percent = -1.0
    # Written so that NaN is refused too.
    if count is None or not 0 <= percent <= 100:
        rule = "must be X:Y, a number of instructions and the chance in percent that one is of the CPU"
        raise ConfigError(path, rule, repr(text))
    _check_count(path, count)
    instructions: list[str] = []
    for _ in range(count):
        instructions += (_COMPUTE,) if rng.random() < percent / 100.0 else (_IO, _HANDLE)
    return instructions


def _count(text: str) -> int | None:
    """A number of instructions; none if that is something else."""
    try:
        count = int(text)
    except ValueError:
        return None
    return count if count >= 0 else None


def _check_count(path: str, count: int) -> None:
    """Refuses what memory should not hold."""
    if count > _MOST_INSTRUCTIONS:
        shown = str(count) if count < 10**18 else "far more"
        raise ConfigError(path, f"must be at most {_MOST_INSTRUCTIONS} instructions", shown)
