"""Driver programs that run as processes of their own, so that they can be ended in any way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import paralab
from leak_check import children, descendants, describe_process, reap, wait_ended

SECONDS = 30.0
"""By when all of a session has gone after its driver's, or its node's, end, on any machine.

What stays at all stays for ever; that it takes 2 s at most is measured in the scorecard, E10.
"""
BEGINNING = """
import os, signal, sys, threading, time
import paralab
"""


class Program:
    """A running driver.

    Args:
        source: what it runs, after the imports of ``BEGINNING``.  It prints a line when it has
            come to where a test wants it.
    """

    def __init__(self, source: str) -> None:
        code = BEGINNING + dedent(source)
        path = os.pathsep.join([str(Path(paralab.__file__).parents[1]), *sys.path])
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,  # or a line read by itself takes the next ones from communicate()
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self.pid = self.process.pid

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode().rstrip("\n")
        assert line, self.end()
        return line

    def end(self, seconds: float = 60, line: str = "") -> tuple[int, str, str]:
        """Gives it ``line`` to read and waits for its end: exit code, and what more it says."""
        out, err = self.process.communicate(line.encode(), timeout=seconds)
        return self.process.returncode, out.decode(), err.decode()

    def named(self, name: str) -> list[int]:
        """Processes below it that carry this name."""
        return [pid for pid in descendants(self.pid) if process_name(pid) == name]


def process_name(pid: int) -> str:
    """What ``ps`` calls it."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def all_end(pids: set[int], seconds: float = SECONDS) -> None:
    """Asserts that every one of these processes ends in time."""
    deadline = time.monotonic() + seconds
    left = [pid for pid in pids if not wait_ended(pid, deadline - time.monotonic())]
    assert not left, [describe_process(pid) for pid in left]
    reap()


@contextmanager
def program(source: str) -> Iterator[Program]:
    """A driver that is gone, with all that it started, after the block."""
    started = Program(source)
    before = set(children(os.getpid())) - {started.pid}
    try:
        yield started
    finally:
        below = descendants(started.pid)
        for stream in (started.process.stdin, started.process.stdout, started.process.stderr):
            assert stream is not None
            stream.close()
        if started.process.poll() is None:
            started.process.send_signal(signal.SIGKILL)
            started.process.wait()
        all_end(below | (set(children(os.getpid())) - before))
