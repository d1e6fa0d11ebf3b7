"""The lock of a driver: one process at a time runs sweeps into a store.

It lies beside the store, as `s.db-driver`, and is the system's: it ends with the process, however that ends. SQLite's
own locks guard each transaction; this one keeps two drivers from running the same points.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from types import TracebackType

from runq.errors import StoreError

__all__ = ["DriverLock"]


class DriverLock:
    """Held in a `with` block; refused while another process holds it."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._path = f"{store}-driver"
        self._file: int | None = None

    def is_held(self) -> bool:
        """Whether a driver is at work."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(file)
        return False

    def __enter__(self) -> None:
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreError(
                f"{self._path}: {error.strerror}; name a store in a directory that can be written"
            ) from None
        if not self._take(self._file):
            who = os.read(self._file, 200).decode(errors="replace").strip() or "another process"
            os.close(self._file)
            self._file = None
            raise StoreError(
                f"{self._store}: {who} is running a sweep into it: wait for it (`runq sweep status {self._store}`), "
                "or name another store"
            ) from None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        except OSError:
            # A full disk: the lock holds all the same, only without a name.
            pass

    def _take(self, file: int) -> bool:
        """Takes the lock; `is_held` of another process may have it for a moment."""
        for wait in (0.01, 0.05, 0.1, 0.0):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(wait)
            else:
                return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
