"""Runs a check in a process of its own, for as long as it may take, and explains how it ended.

::

    asker                            child (own process session, marked by a variable)
      │ ── function or code ──────────▶ │
      │ ◀── "calling answer" ────────── │   steps: the clock runs only in the learner's
      │ ◀── verdict ─────────────────── │
      │     or: too late ─ SIGUSR1 ───▶ │   writes the line at which it stands
      │ ◀── tasks that have not ended ─ │
      │ ── SIGKILL ───────────────────▶ │   its node ends the session; what is then left of all
                                            that carries the mark is killed

Everything that the child starts inherits the mark in its environment, whatever process group it
moves to.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import IO, Any, Self

from paralab.shown_text import shown_name, shown_text
from paralab_profiling.exercises import standing
from paralab_profiling.exercises.answers import Piece
from paralab_profiling.exercises.child import Request
from paralab_profiling.exercises.ladders import not_yet
from paralab_profiling.lessons.checking import CANNOT_JUDGE, Verdict
from paralab_profiling.svg import duration

SECONDS = 10.0
"""How long each of the learner's steps may take."""
OUR_SECONDS = 60.0
"""How long one of our own steps may take, such as starting paralab on a busy machine."""
GRACE = 3.0
"""Seconds in which a killed driver's node ends the rest by itself."""
ASKING = 10.0
"""Seconds in which a child that hangs may say what it waits for."""
MARK = "PARALAB_EXERCISE_CHECK"
_PRINTED = 20_000
"""Bytes of what the answer printed that are kept, the last ones."""
_START = (
    "import sys; from paralab_profiling.exercises.child import main;"
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)


def judge(
    number: int,
    *,
    pieces: Sequence[Piece] | None = None,
    function: bytes = b"",
    folder: Path | None = None,
    seconds: float = SECONDS,
) -> Verdict:
    """What the check of an exercise says of a learner's code, or of a pickled function.

    Args:
        number: of the exercise.
        pieces: the code; None if there is a function.
        function: made by cloudpickle; b"" if there is code.
        folder: where the code stands, and finds its own modules and files.
        seconds: how long each step of the learner's may take.
    """
    with _Child(Request(number, pieces, function, [str(folder)] if folder else []), folder) as run:
        return run.verdict(seconds)


def or_is_busy(load: float, processors: int) -> str:
    """Where others have most of the machine: that the answer may only have been slow; else "".

    Args:
        load: how many threads run or want to, as the system tells.
        processors: how many can.
    """
    if load < 2 * processors:
        return ""
    return (
        f"; or allow it more than that, with --seconds or seconds=: {round(load):,} programs want "
        f"the {processors:,} processor{'' if processors == 1 else 's'} of this machine now"
    )


class _Child:
    """The process, from its start until nothing is left of it."""

    def __init__(self, request: Request, folder: Path | None) -> None:
        self._request, self._folder = request, folder
        self._mark = uuid.uuid4().hex
        self._step, self._is_learners, self._thread = "starting Python", False, 0
        self._printed: deque[bytes] = deque()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._connection, far = Pipe()
            stack.callback(self._connection.close)
            stack.callback(far.close)
            self._traces: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            fds = far.fileno(), self._traces.fileno()
            # A node that the learner has running is not the one to check in.
            leave_out = ("PARALAB_ADDRESS", "RAY_ADDRESS")
            env = {name: value for name, value in os.environ.items() if name not in leave_out}
            env |= {MARK: self._mark, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            # Nor is it found there, and what a killed process leaves goes with the folder.
            folder = tempfile.TemporaryDirectory(
                prefix="paralab-check-", ignore_cleanup_errors=True
            )
            env["TMPDIR"] = stack.enter_context(folder)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, *map(str, fds)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=fds,
                start_new_session=True,
                env=env,
                cwd=self._folder,
            )
            stack.callback(self._end)
            far.close()
            self._pidfd = os.pidfd_open(self._process.pid)
            stack.callback(os.close, self._pidfd)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def verdict(self, seconds: float) -> Verdict:
        try:
            self._connection.send_bytes(pickle.dumps(self._request))
        except OSError:
            return self._ended()
        deadline = time.monotonic() + OUR_SECONDS
        while (message := self._message(deadline)) is not None:
            what, told = message
            if what == "verdict":
                wait([self._pidfd], OUR_SECONDS)
                return self._with_prints(told)
            if what == "ended":
                return self._ended()
            self._step, self._is_learners, self._thread = told
            deadline = time.monotonic() + (seconds if self._is_learners else OUR_SECONDS)
        return self._hung(seconds)

    def _message(self, deadline: float) -> tuple[str, Any] | None:
        """The next one of the child; ("ended", None) if it has; None at the deadline."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        sources: list[Connection | int] = [self._connection, self._pidfd, output]
        while True:
            ready = wait(sources, max(0.0, deadline - time.monotonic()))
            if output in ready:
                # Read even if nobody will see it: a full pipe would stop the answer.
                piece = os.read(output, 65_536)
                self._keep(piece)
                if not piece:
                    sources.remove(output)
            if self._connection in ready:
                try:
                    found: tuple[str, Any] = pickle.loads(self._connection.recv_bytes())
                except (EOFError, OSError):
                    return "ended", None
                return found
            if self._pidfd in ready:
                return "ended", None
            if time.monotonic() >= deadline:
                return None

    def _keep(self, piece: bytes) -> None:
        self._printed.append(piece[-_PRINTED:])
        while sum(map(len, self._printed)) > 2 * _PRINTED:
            self._printed.popleft()

    def _hung(self, seconds: float) -> Verdict:
        limit = duration(seconds if self._is_learners else OUR_SECONDS)
        if not self._is_learners:
            rows = [("measured", f"{self._step} took longer than {limit}")]
            rows += [("next", "wait until the machine is less busy, and check again")]
            return Verdict(CANNOT_JUDGE, "Cannot judge: this machine is too busy.", rows)
        where = self._where()
        return not_yet(
            "hung",
            f"{self._step} did not end within {limit}, and was stopped.",
            f"{where}{self._open_tasks()}",
            f"an end within {limit}",
            "what never ends gives no result and keeps its workers",
            "find out what has to happen so that this line goes on"
            + or_is_busy(os.getloadavg()[0], len(os.sched_getaffinity(0))),
        )

    def _where(self) -> str:
        """The line at which the answer stands."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        with contextlib.suppress(OSError):
            self._connection.send_bytes(b"?")
        self._open: tuple[tuple[str, str], ...] = ()
        # C code that holds the GIL keeps the child from answering, but not from writing its lines;
        # on a busy machine either may come first.
        limit = time.monotonic() + ASKING
        message, where = None, standing.NOT_SEEN
        while (message is None or where == standing.NOT_SEEN) and time.monotonic() < limit:
            if message is None:
                message = self._message(time.monotonic() + 0.2)
            elif wait([self._pidfd], 0.05):
                break
            self._traces.seek(0)
            where = standing.told(self._traces.read().decode(errors="replace"), self._thread)
        if message is not None and message[0] == "open":
            self._open = tuple(message[1])
        return where

    def _open_tasks(self) -> str:
        if not self._open:
            return ""
        counts = Counter((shown_name(name), state) for name, state in self._open)
        named = [f"{count} × {name} ({state})" for (name, state), count in counts.most_common(3)]
        more = f" and {len(counts) - 3} more kinds" if len(counts) > 3 else ""
        return f"; tasks that had not ended: {', '.join(named)}{more}"

    def _ended(self) -> Verdict:
        wait([self._pidfd], GRACE)
        code = self._process.poll()
        if code is None:
            how = "it closed its connection to the check"
        elif code < 0:
            name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
            how = f"it was killed by {name}"
            if -code == signal.SIGKILL:
                how += ", which is also what the system does when memory runs out"
        else:
            how = f"it ended with exit code {code}"
        if not self._is_learners:
            rows = [("measured", f"{self._step}: {how}"), ("next", "check again")]
            return self._with_prints(
                Verdict(CANNOT_JUDGE, "Cannot judge: the process of the check ended.", rows)
            )
        return self._with_prints(
            not_yet(
                "ended",
                f"the process was gone while {self._step}.",
                how,
                "a function that returns",
                "a process that is gone gives nobody its result",
                "look for os._exit, os.kill, a crash in C code, or for what takes all memory",
            )
        )

    def _with_prints(self, verdict: Verdict) -> Verdict:
        """With the last line that was printed, which may say why it has not passed."""
        text = b"".join(self._printed)[-_PRINTED:].decode(errors="replace")
        lines = [line for line in shown_text(text).splitlines() if line.strip()]
        if verdict.passed or not lines:
            return verdict
        return replace(verdict, rows=[*verdict.rows, ("printed last", shown_name(lines[-1]))])

    def _end(self) -> None:
        """Ends it and all that it has started; returns when nothing is left."""
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process.wait()
        deadline = time.monotonic() + GRACE
        while left := list(marked(self._mark)):
            # First the node cleans up; killed beside it, it would leave its folder behind.
            if time.monotonic() > deadline:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
            _wait_for_one(left, 0.2)


def _wait_for_one(pids: list[int], seconds: float) -> None:
    fds = []
    try:
        for pid in pids:
            with contextlib.suppress(OSError):
                fds.append(os.pidfd_open(pid))
        if len(fds) == len(pids):
            select.select(fds, [], [], seconds)
    finally:
        for fd in fds:
            os.close(fd)


def marked(mark: str) -> Iterator[int]:
    """Pids of the living processes that were started with this mark."""
    wanted = f"{MARK}={mark}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if wanted in file.read().split(b"\0"):
                        yield int(name)
            except OSError:  # gone, or somebody else's
                continue
