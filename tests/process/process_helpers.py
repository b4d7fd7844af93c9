"""What the tests of the processes share."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from paralab.engine import current

LARGE = 300_000
"""Bytes of a value that goes to the store."""


def eventually(check: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Asks until ``check()`` is true; each question is a round trip to the node.

    The pauses between them grow: who asks without end takes the processor from what it waits for.
    """
    deadline = time.monotonic() + seconds
    pause = 0.0
    while not (found := check()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {check}"
        current().info("workers")
        time.sleep(pause)
        pause = min(pause + 0.001, 0.02)
    return found


def stored() -> int:
    """How many objects the store holds."""
    return int(current().info("store")["objects"])


def workers() -> list[dict[str, Any]]:
    """The node's workers that have said their pid; one that is being forked has none yet."""
    found: list[dict[str, Any]] = current().info("workers")
    return [worker for worker in found if worker["pid"]]


def kill(pid: int) -> None:
    """SIGKILL; the process may have ended already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def open_files(pid: int) -> dict[str, str]:
    """Paths below /proc of a process's open files, and what they lead to."""
    found = {}
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed since the folder was read
            found[str(path)] = os.readlink(path)
    return found


@contextmanager
def interrupted_in(function: str) -> Iterator[None]:
    """A block that gets a SIGINT as soon as the main thread is in a function of this name."""
    main = threading.main_thread().ident
    assert main is not None
    over = threading.Event()

    def is_there() -> bool:
        frame: FrameType | None = sys._current_frames()[main]
        while frame is not None and frame.f_code.co_name != function:
            frame = frame.f_back
        return frame is not None

    def watch() -> None:
        while not over.wait(0.005):
            if is_there():
                signal.pthread_kill(main, signal.SIGINT)
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def make_wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """A wheel with a single module, as a builder would make it."""
    module = name.replace("-", "_")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in files) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(file, text)
    return path
