"""Asking processes to look at themselves for some seconds, and bringing home what they saw.

All of it goes by surveys, which the I/O thread of a process answers while its task runs.  Twice a
second each process is asked what it has seen so far: that is the sign by which a sampler knows that
it is still wanted, and if the process ends or Ctrl-C comes, what was seen until then is there.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any

from paralab.engine import Engine, Survey, current
from paralab.local_mode.engine import LocalEngine
from paralab_profiling.attaching.outside import look
from paralab_profiling.attaching.sampled import profile_of
from paralab_profiling.attaching.targets import AttachError, Target, found, is_stopped
from paralab_profiling.profilers.result import Profile

METHODS = ("sampler", "py-spy")
INTERVAL = 0.01
LONGEST = 3_600.0
EVERY, MOST_SECONDS = 0.5, 3.0
"""Seconds from question to question, and with hundreds of processes."""
ANSWER_SECONDS = 2.0
"""How long a process may take to answer.  One whose GIL is kept takes longer, and is not waited
for before the end."""
LAST_SECONDS = 10.0
"""How long it is waited for at the end, where nothing else was seen."""


def attach(
    target: Any = None,
    seconds: float = 5.0,
    *,
    method: str = "sampler",
    interval: float = INTERVAL,
    namespace: str | None = None,
) -> Profile:
    """Profiles what already runs, for some seconds; nothing has to be prepared or restarted.

    Ctrl-C ends it early and gives what was seen until then.

    Args:
        target: an actor's handle or name, the ref of a running task (which is looked at until it
            ends), the pid of a worker, "driver" (the program that submits the work, seen from a
            second driver or the shell), a list of these, or None for all workers.
        seconds: how long, up to an hour.
        method: "sampler": a thread in the process looks at all others.  It cannot look while a call
            into C keeps the GIL; such looks are counted as missed.  "py-spy": another program looks
            from outside, also at processes that hang; it has to be installed and permitted.
        interval: seconds from look to look, 0.001 to 1.
        namespace: of an actor that is given by its name; by default the session's own, or any
            other where that name is the only one.

    Returns:
        Wall-clock seconds of each function, under the tasks and methods that ran.

    Raises:
        AttachError: the target has ended, never existed, is not of this session or runs nowhere
            yet; or nobody may look at it that way.  Nothing has been started then.
        RuntimeError: paralab is not running, see ``paralab.init``.
        TypeError, ValueError: an argument is wrong.
    """
    _check(seconds, method, interval)
    if method == "py-spy":
        return look(target, seconds, interval, namespace)
    engine = current()
    if isinstance(engine, LocalEngine):
        raise AttachError(
            "In local mode a task runs in the thread that submits it, so nothing runs beside "
            "attach(). Profile the program itself, or call init() without local_mode."
        )
    targets = found(engine, target, namespace)
    answers = _Asking(engine, targets, seconds, interval).answers()
    numbers = {each.pid: each.number for each in targets}
    return profile_of(answers, numbers)


def _check(seconds: Any, method: Any, interval: Any) -> None:
    for name, value, least, most in (
        ("seconds", seconds, 0.0, LONGEST),
        ("interval", interval, 0.001, 1.0),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"{name}={value!r}: expected a number of seconds.")
        if not math.isfinite(value) or not least <= value <= most or value == 0:
            bound = f"{least:g} to {most:g}" if least else f"more than 0 and at most {most:g}"
            raise ValueError(f"{name}={value!r}: expected {bound} seconds.")
    if method not in METHODS:
        raise ValueError(f"method={method!r}: expected {' or '.join(map(repr, METHODS))}.")


class _Asking:
    """One round of looking, from the start of the samplers to their end."""

    def __init__(
        self, engine: Engine, targets: Sequence[Target], seconds: float, interval: float
    ) -> None:
        self._engine = engine
        self._targets = targets
        self._seconds = seconds
        self._seen: dict[int, dict[str, Any]] = {}
        self._gone: set[int] = set()
        self._silent: set[int] = set()
        self._id = uuid.uuid4().hex
        self._wish = {
            "targets": {
                str(each.pid): each.only and (each.only[0].hex(), each.only[1]) for each in targets
            },
            "seconds": seconds,
            "interval": interval,
            "asked": time.monotonic_ns(),
            "asker": (os.getpid(), threading.get_ident()),
        }

    def answers(self) -> list[dict[str, Any]]:
        """What the processes saw.

        Raises:
            AttachError: none of them saw anything.
        """
        end = time.monotonic() + self._seconds
        every = min(MOST_SECONDS, max(EVERY, len(self._targets) / 100))
        try:
            try:
                self._ask("start")
                while not self._is_over() and (left := end - time.monotonic()) > 0:
                    time.sleep(min(every, left))
                    if left > every:
                        self._ask("look")
            finally:
                self._ask("stop")
        except KeyboardInterrupt:
            if not any(each.get("looks") for each in self._seen.values()):
                raise
        return self._checked()

    def _ask(self, do: str) -> None:
        # Only the start says who is meant: a thousand processes hear all that is said.
        text = json.dumps({**(self._wish if do == "start" else {}), "do": do, "id": self._id})
        seconds = LAST_SECONDS if do == "stop" and not self._seen else ANSWER_SECONDS
        self._hear(self._engine.survey(f"sampling {text}", 0, seconds))

    def _hear(self, survey: Survey) -> None:
        pids = {each.pid for each in self._targets}
        told = {each.pid: each.answer for each in survey.told if each.pid in pids}
        for pid, answer in told.items():
            if answer is not None and ("stacks" in answer or pid not in self._seen):
                self._seen[pid] = answer
        if not survey.silent:
            self._gone = pids - told.keys()
        self._silent = pids - told.keys() - self._gone

    def _is_over(self) -> bool:
        """Whether none of them will see more."""
        over = {pid for pid, answer in self._seen.items() if answer.get("over", True)}
        return all(each.pid in over | self._gone for each in self._targets)

    def _checked(self) -> list[dict[str, Any]]:
        useful = [each for each in self._seen.values() if "stacks" in each]
        if any(each["looks"] for each in useful):
            return useful
        raise AttachError("Nothing was seen. " + " ".join(map(self._why_not, self._targets)))

    def _why_not(self, target: Target) -> str:
        what = target.what[:1].upper() + target.what[1:]
        answer = self._seen.get(target.pid)
        if answer is not None and "error" in answer:
            return f"{what}: {answer['error']}."
        if target.pid in self._gone:
            return f"{what} ended before it was looked at."
        if is_stopped(target.pid):
            return (
                f"{what} is stopped by a signal, and no thread of it runs: kill -CONT {target.pid} "
                "lets it go on, and method='py-spy' looks at it as it is."
            )
        return (
            f"{what} did not answer for {self._seconds + LAST_SECONDS:.3g} s: a call into C "
            "keeps the GIL. method='py-spy' looks at it from outside."
        )
