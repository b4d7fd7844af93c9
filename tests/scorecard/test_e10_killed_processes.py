"""E10: processes of a session are killed, alone and together; soon nothing of it is left.

The test process is a subreaper with a temporary folder of its own, so whatever a session starts
is found below it, even if its parent has gone.  A worker or the zygote alone is replaced, and the
session goes on.  If driver, node and zygote die together nobody is left who could remove their
folder: the next start does.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from program import Program

from leak_check import descendants, describe_process, names_in, reap, wait_ended
from paralab.process import session_folder
from patience import patient

GOAL = 2.0
"""Seconds in which all is gone, on a machine that has nothing else to do."""
PATIENCE = 5.0
"""How long is waited to see by how much the goal is missed."""
ROLES = ("driver", "node", "zygote", "worker")
LOST = {"node": "LocalNodeDied", "worker": "ActorDiedError"}
"""What a driver may end in if such a process is killed: the worker may be the actor."""
SEED = 10
START = """
paralab.init(num_cpus=2)

@paralab.remote(max_retries=-1)
def add(a, b=1):
    return a + b

@paralab.remote
class Counter:
    def add(self, data):
        return len(data)

counter = Counter.remote()
paralab.get([add.remote(1), add.remote(2), counter.add.remote(b"")])
kept = paralab.put(bytes(300_000))
"""
LOAD = """
def work():
    refs = []
    try:
        while True:
            refs.append(add.remote(bytes(200_000), b"1"))
            refs += [add.remote(n) for n in range(50)]
            if len(refs) > 300:
                paralab.get(refs)
                refs.clear()
    except (paralab.exceptions.LocalNodeDied, RuntimeError, ValueError):
        pass  # the node was killed, or the session was shut down

threading.Thread(target=work, daemon=True).start()
paralab.get([add.remote(n) for n in range(300)])
"""
READY = """
print("ready", flush=True)
sys.stdin.readline()
"""
GO_ON = """
assert paralab.get([add.remote(n) for n in range(100)]) == list(range(1, 101))
assert len(paralab.get(kept)) == 300_000
assert paralab.get(Counter.remote().add.remote(b"abc")) == 3
print("went on", flush=True)
"""
WHOLE = START + "paralab.shutdown()"
SEQUENCES = [order for size in (1, 2, 3) for order in permutations(ROLES, size)]


def pids_of(driver: Program) -> dict[str, list[int]]:
    return {
        "driver": [driver.pid],
        "node": driver.named("paralab-node"),
        "zygote": driver.named("paralab-zygote"),
        "worker": driver.named("paralab-worker")[:1],
    }


def kill(pids: list[int]) -> None:
    """Kills them, together, and waits for their ends: before that nobody can know of them."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for pid in pids:
        assert wait_ended(pid, patient(PATIENCE)), describe_process(pid)


def seconds_until_gone(before: set[int]) -> float:
    """How long until no process is below this one that was not there before."""
    begun = time.monotonic()
    while new := descendants(os.getpid()) - before:
        for pid in new:
            assert wait_ended(pid, begun + patient(PATIENCE) - time.monotonic()), describe_process(
                pid
            )
        reap()
    return time.monotonic() - begun


def folder() -> Path:
    return Path(os.environ["TMPDIR"])


def shared() -> set[str]:
    """Names of ours in shared memory: there is none at any time.  Others have theirs."""
    return {name for name in os.listdir("/dev/shm") if "paralab" in name}


def killed(order: tuple[str, ...], source: str, before: set[int]) -> float:
    """Kills the processes of a session in this order; returns seconds until nothing is left."""
    names = names_in(folder())
    driver = Program(source + READY + GO_ON)
    seconds = 0.0
    try:
        assert driver.line() == "ready"
        victims = pids_of(driver)
        kill([pid for role in order for pid in victims[role]])
        if "driver" not in order and "node" not in order:
            code, out, err = driver.end(line="\n")
            assert (code, out, err) == (0, "went on\n", ""), (order, code, out, err)
        elif "driver" not in order:
            # The driver lives on, and removes the folder when it notices.
            seconds = seconds_until_gone(before | {driver.pid})
            code, out, err = driver.end(line="\n")
            assert (code, out) == (1, ""), (order, code, out)
            assert "LocalNodeDied: The node process" in err, (order, err)
        seconds = max(seconds, seconds_until_gone(before))
    finally:
        driver.process.kill()
        driver.process.communicate()
    if {"driver", "node", "zygote"} <= set(order):
        assert session_folder.running(on_their_own=False) == []
    assert names_in(folder()) == names, order
    assert shared() == set(), order
    return seconds


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("source", [START, START + LOAD], ids=["rest", "load"])
def test_nothing_is_left(source: str, scorecard: Any) -> None:
    before = descendants(os.getpid())
    orders = SEQUENCES
    if not scorecard.full:
        orders = random.Random(SEED + len(source)).sample(SEQUENCES, 6)
    slowest = max((killed(order, source, before), order) for order in orders)
    at = "under load" if LOAD in source else "at rest"
    assert slowest[0] < (GOAL if scorecard.full else patient(PATIENCE)), slowest
    scorecard.figure(
        "E10",
        f"driver, node, zygote, worker killed {at}, up to three together, {len(orders)} "
        f"orders: until nothing is left, at most ({', '.join(slowest[1])})",
        round(slowest[0], 2),
        "s",
        "Ray: 4 s, session folders stay; loky leaves processes and semaphores",
        short=f"{{}} {at}",
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_left_at_any_moment_of_start_and_end(scorecard: Any) -> None:
    """A process of a session that starts, works a little and ends is killed at some moment."""
    before = descendants(os.getpid())
    chosen = random.Random(SEED)
    times = 100 if scorecard.full else 8
    slowest, what = 0.0, ""
    begun = time.monotonic()
    assert Program(WHOLE).end() == (0, "", "")
    whole = time.monotonic() - begun
    for _ in range(times):
        names = names_in(folder())
        driver = Program(WHOLE)
        role, after = chosen.choice(ROLES), chosen.uniform(0.0, whole)
        threading.Event().wait(after)
        kill(pids_of(driver)[role])
        if role != "driver":  # it may end in an error of its own, or well, but it must end
            driver.process.wait(20)
        begun = time.monotonic()
        kill([driver.pid])
        driver.process.wait()
        seconds_until_gone(before)
        seconds = time.monotonic() - begun
        _out, err = driver.process.communicate()
        if role in LOST and driver.process.returncode > 0:
            assert LOST[role] in err.decode(), (after, err.decode())
        else:
            assert err == b"", (role, after, err.decode())
        session_folder.running(on_their_own=False)
        assert names_in(folder()) == names, (role, after)
        assert shared() == set(), (role, after)
        if seconds > slowest:
            slowest, what = seconds, f"{role} after {after:.2f} s"
    assert slowest < (GOAL if scorecard.full else patient(PATIENCE)), what
    scorecard.figure(
        "E10",
        f"{times} times, a process killed at some moment of start, work and end: until nothing is "
        f"left, at most ({what})",
        round(slowest, 2),
        "s",
        short="{} at any moment of start, work and end",
    )


@pytest.mark.slow
def test_a_driver_ends_with_work_in_flight(scorecard: Any) -> None:
    """It ends by itself; tasks that nobody waits for have half a second to print."""
    before = descendants(os.getpid())
    driver = Program(START + LOAD + "print('ends', flush=True)\n")
    assert driver.line() == "ends"
    begun = time.monotonic()
    assert driver.end() == (0, "", "")
    seconds_until_gone(before)
    seconds = time.monotonic() - begun
    assert seconds < (1.0 if scorecard.full else patient(PATIENCE))
    scorecard.figure(
        "E10", "a driver ends with work in flight: until nothing is left", round(seconds, 2), "s"
    )
