"""A process for points that may end what runs them, one after the other.

The parent pickles the job and then chunks into its input, one at a time, and reads their rows from its output. If it
ends, that chunk has ended it; those behind it go to another process. `python -m runq.sweeps._alone` is the child.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import BinaryIO

from runq.sweeps._engine import Chunk, Finished
from runq.sweeps._target import Job, Rows

__all__ = ["Alone"]

# Of all processes the one to end first where memory runs out.
_OOM_SCORE = "1000"


class Alone:
    """Runs chunks one by one in a process of their own."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._waiting: deque[Chunk] = deque()
        self._done: queue.SimpleQueue[tuple[subprocess.Popen[bytes], Rows | str | None]] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a chunk is under way."""
        return bool(self._waiting)

    def submit(self, chunk: Chunk) -> None:
        """Queues a chunk."""
        self._waiting.append(chunk)
        if len(self._waiting) == 1:
            self._send()

    def wait(self, timeout_s: float) -> Finished | None:
        """The chunk that is done, or that has ended the process."""
        try:
            process, answer = self._done.get(timeout=timeout_s) if timeout_s > 0 else self._done.get_nowait()
        except queue.Empty:
            return None
        if process is not self._process:
            return None
        chunk = self._waiting.popleft()
        if answer is None:
            self._end()
        if self._waiting:
            self._send()
        if isinstance(answer, Rows):
            return Finished(chunk.number, answer)
        return Finished(chunk.number, None, "its worker died" if answer is None else answer)

    def stop(self) -> None:
        """Ends the process."""
        self._waiting.clear()
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._reader is not None:
            self._reader.join()
        assert process.stdin is not None, "it was started with a pipe"
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()

    def _send(self) -> None:
        """Gives the first chunk to the process, a new one if there is none."""
        if self._process is None:
            self._process = self._start()
        assert self._process.stdin is not None, "it was started with a pipe"
        # Of a process that has ended, the reader tells.
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(self._waiting[0].content, self._process.stdin)
            self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "runq.sweeps._alone"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, args=(process,), name="runq-sweep-alone", daemon=True)
        self._reader.start()
        assert process.stdin is not None, "it was started with a pipe"
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(sys.path, process.stdin)
            pickle.dump(self._job, process.stdin)
            process.stdin.flush()
        return process

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None, "it was started with a pipe"
        with process.stdout:
            try:
                while True:
                    self._done.put((process, pickle.load(process.stdout)))
            except (EOFError, OSError, pickle.UnpicklingError):
                self._done.put((process, None))


def _main(source: BinaryIO, sink: BinaryIO) -> None:
    """What the process does: ends with its input, also in the middle of a chunk."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    sys.path[:] = pickle.load(source)
    job: Job = pickle.load(source)
    chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_run, args=(job, chunks, sink), daemon=True).start()
    with contextlib.suppress(EOFError):
        while True:
            chunks.put(pickle.load(source))
    os._exit(0)


def _run(job: Job, chunks: queue.SimpleQueue[bytes], sink: BinaryIO) -> None:
    while True:
        try:
            answer: Rows | str = job.run(chunks.get())
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(answer, sink)
            sink.flush()


if __name__ == "__main__":
    _main(sys.stdin.buffer, sys.stdout.buffer)
