"""What can be wrong with the file of a store, and what to do about it."""

import os
import sqlite3
from pathlib import Path

from runq.errors import StoreError

__all__ = ["check_file", "is_archived", "remedy"]


def check_file(path: str) -> None:
    """Refuses what is no store, and one that was cut off, before SQLite touches it."""
    if not Path(path).is_file():
        raise StoreError(f"{path}: is no regular file; name another")
    try:
        with Path(path).open("rb") as file:
            head = file.read(100)
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}; name a file that can be read and written") from error
    if size == 0:
        return
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        raise StoreError(
            f"{path}: is no store of a sweep, or its beginning is damaged; restore a copy, or name another file"
        )
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    expected = page * int.from_bytes(head[28:32], "big")
    log = Path(f"{path}-wal")
    # A disk that was full leaves the file short and all of it in the log.
    if size < expected and not (log.exists() and log.stat().st_size):
        raise StoreError(
            f"{path}: was cut off: it should have {expected} bytes and has {size}; it is left as it is: restore a "
            f"copy, or save what is there with `sqlite3 {path} .recover`, and begin another store"
        )


def is_archived(path: str) -> bool:
    """Whether nobody writes there, so that it can be read without the files that writers share."""
    log = Path(f"{path}-wal")
    is_writable = os.access(path, os.W_OK) and os.access(Path(path).absolute().parent, os.W_OK)
    return not is_writable and not (log.exists() and log.stat().st_size)


def remedy(error: sqlite3.Error, path: str) -> str:
    code = (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
    text = str(error)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return (
            f"cannot be written ({text}): the disk or quota is full; all finished chunks are in it: make room, "
            f"then `runq sweep resume {path}`"
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return (
            f"is damaged ({text}); it is left as it is: restore a copy, or save what is there with "
            f"`sqlite3 {path} .recover`, and begin another store"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"is in use by another program ({text}): wait for it, then `runq sweep resume {path}`"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"cannot be opened or written ({text}): name a file in a directory that can be written"
    if "no such table" in text or "no such column" in text:
        return f"was changed by another program ({text}): restore a copy, or begin another store"
    return text
