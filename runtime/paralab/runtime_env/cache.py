"""The user's folder of built environments: where it is, who uses which, and what goes.

    <cache>/<hash>.lock   held exclusively by who builds or removes, shared by nodes that use it;
                          changed last when somebody asked for it last
    <cache>/<hash>/       the environment

What nobody has asked for in a month, and no node holds, goes after the next one was built.  Only
the empty lock files stay: who waits for one must find the same file as who comes later.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path

KEEP_SECONDS = 30 * 86_400


def cache_folder() -> Path:
    """Where this user's environments are kept, made if need be.

    ``PARALAB_CACHE``, or ``paralab`` in the user's cache folder.

    Raises:
        PermissionError: others may write there, who could then run code as this user.
    """
    place = os.environ.get("PARALAB_CACHE")
    if place is None:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        place = os.path.join(os.path.expanduser(cache), "paralab")
    folder = Path(place, "environments")
    folder.mkdir(0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise PermissionError(
            f"{folder} must belong to you, and nobody else may write there: packages are "
            "installed into it. Remove it, or name another place by PARALAB_CACHE."
        )
    return folder


def open_lock(path: Path) -> int:
    """The descriptor of a lock file, which is made if need be; nobody holds it by that."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def hold(path: str) -> int:
    """Says that an environment is in use, until the descriptor that it returns is closed."""
    lock = open_lock(Path(path))
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pass  # somebody looks whether it may go: it may not, as it was asked for just now
    return lock


def clean(cache: Path, keep_seconds: float = KEEP_SECONDS) -> list[str]:
    """Removes what nobody has asked for in so long and nobody uses; the names of what went."""
    gone = []
    for path in sorted(cache.glob("*.lock")):
        home = path.with_suffix("")
        if not home.exists():
            continue
        lock = open_lock(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - os.fstat(lock).st_mtime > keep_seconds:
                shutil.rmtree(home, ignore_errors=True)
                gone.append(home.name)
        except BlockingIOError:
            pass  # in use
        finally:
            os.close(lock)
    return gone
