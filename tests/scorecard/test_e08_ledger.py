"""E8: what calls of actors promise while actors, and the workers that feed them, are killed.

Each call writes a line into its actor's ledger, a file that is only appended to.  Afterwards the
ledgers tell what was run, how often and in which order, whatever the callers were told.

========================= ===================================================================
options                   promise
========================= ===================================================================
none                      at most once, in order; after the actor's death not at all
max_restarts              at most once, in order; what was under way at a death may be lost
and max_task_retries      at least once; the first runs of the calls are in order
========================= ===================================================================
"""

from __future__ import annotations

import os
import random
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.engine import current
from paralab.exceptions import ActorDiedError, ActorUnavailableError
from paralab.ids import actor_id, object_id

SEED = 8


@paralab.remote(max_retries=50)
def number(n: int) -> int:
    return n


@paralab.remote(num_cpus=0, max_retries=-1)
def number_after(n: int, go: str) -> int:
    """The number, once there is a file called ``go``."""
    while not os.path.exists(go):
        threading.Event().wait(0.01)
    return n


@paralab.remote(num_cpus=0)
class Ledger:
    def __init__(self, path: str) -> None:
        self.path = path

    def write(self, n: int, seconds: float) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.write(descriptor, f"{n}\n".encode())
        finally:
            os.close(descriptor)
        threading.Event().wait(seconds)
        return n


class Killer(threading.Thread):
    """Kills an actor that has got on since it was killed last, or the worker of a task."""

    def __init__(self, every: float, ledgers: list[Any], folder: Path) -> None:
        super().__init__()
        self.killed = {"actor": 0, "worker": 0}
        self._every = every
        self._ids = [each._actor_id.hex() for each in ledgers]
        self._files = [folder / str(n) for n in range(len(ledgers))]
        self._sizes = [0] * len(ledgers)
        """Of the ledgers when their actors were killed last."""
        self._ended = threading.Event()
        self._chosen = random.Random(SEED)

    def run(self) -> None:
        while not self._ended.wait(self._every):
            self._kill_actor()
            self._kill_worker()

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _kill_actor(self) -> None:
        at = self._chosen.randrange(len(self._ids))
        size = self._files[at].stat().st_size if self._files[at].exists() else 0
        if size > self._sizes[at]:
            pid = next(
                a["pid"]
                for a in current().info("actors")
                if actor_id(object_id(*a["ref"])).hex() == self._ids[at]
            )
            if pid and self._kill("actor", pid):
                self._sizes[at] = size

    def _kill_worker(self) -> None:
        actors = {each["pid"] for each in current().info("actors")}
        pids = [w["pid"] for w in current().info("workers") if w["pid"] not in actors]
        if pids and self._chosen.random() < 0.3:
            self._kill("worker", self._chosen.choice(pids))

    def _kill(self, kind: str, pid: int) -> bool:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed[kind] += 1
        return True


def runs_of(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def answer(ref: Any) -> Any:
    try:
        return paralab.get(ref, timeout=60)
    except (ActorDiedError, ActorUnavailableError) as error:
        return error


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("restarts", "retries"), [(0, 0), (-1, 0), (-1, -1)], ids=["none", "restarts", "retries"]
)
def test_calls_keep_their_promise(
    restarts: int, retries: int, scorecard: Any, tmp_path: Path, shutdown_after: None
) -> None:
    paralab.init(num_cpus=2)
    actors, calls, every = (20, 500, 0.1) if scorecard.full else (4, 40, 0.04)
    options = {"max_restarts": restarts, "max_task_retries": retries}
    ledgers = [Ledger.options(**options).remote(str(tmp_path / str(n))) for n in range(actors)]
    paralab.get([each.__ray_ready__.remote() for each in ledgers])
    go = tmp_path / "go"
    last = number_after.remote(calls - 1, str(go))
    killer = Killer(every, ledgers, tmp_path)
    killer.start()
    try:
        # Arguments are tasks, some of which lose their workers; they must not upset the order.
        refs = [
            [
                *[each.write.remote(number.remote(n), 0.01) for n in range(calls - 1)],
                each.write.remote(last, 0.01),
            ]
            for each in ledgers
        ]
        eventually(lambda: killer.killed["actor"] or not killer.is_alive(), 120)
        go.touch()  # before that no ledger is full, so there is somebody to be killed
        answers = [[answer(ref) for ref in of_one] for of_one in refs]
    finally:
        killer.end()
    assert killer.killed["actor"] >= 1
    lost = duplicated = reordered = untold = 0
    for at, told in enumerate(answers):
        runs = runs_of(tmp_path / str(at))
        first_runs = list(dict.fromkeys(runs))
        answered = [n for n, value in enumerate(told) if value == n]
        assert all(value == n or isinstance(value, Exception) for n, value in enumerate(told))
        lost += len(set(answered) - set(runs))
        duplicated += len(runs) - len(first_runs)
        reordered += sum(a > b for a, b in pairwise(first_runs))
        untold += len(told) - len(answered)
    assert (lost, reordered) == (0, 0)
    if retries:
        assert untold == 0
    else:
        assert duplicated == 0
    killed = f"{killer.killed['actor']} actors and {killer.killed['worker']} workers killed"
    scorecard.figure(
        "E8",
        f"{actors} actors × {calls} calls, max_restarts={restarts}, max_task_retries={retries}, "
        f"{killed}: answered but not run / run twice / out of order / ended in an error",
        f"{lost} / {duplicated} / {reordered} / {untold}",
    )
    here = f"max_restarts={restarts}, max_task_retries={retries}"
    scorecard.figure(
        "E8", f"lost or out of order, {here}", lost + reordered, short="{} lost or out of order"
    )
    if retries:
        scorecard.figure("E8", f"errors, {here}", untold, short="with retries {} errors")
    else:
        scorecard.figure("E8", f"run twice, {here}", duplicated, short="without {} run twice")
