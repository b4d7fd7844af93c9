"""Ctrl-C: it ends what waits, once, and loses nothing."""

from __future__ import annotations

import os
import signal
from textwrap import dedent
from typing import Any

import pytest
from program import program

from leak_check import descendants

START = """
import random

paralab.init(num_cpus=2)

@paralab.remote
def add(a, b=1):
    return a + b

class Storm(threading.Thread):
    '''Interrupts the main thread ``count`` times, at moments drawn from ``seed``.

    The next interrupt comes only when the last one has arrived, as an exception.
    '''

    def __init__(self, seed, count, most=0.002):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.left = count
        self.most = most
        self.go = threading.Semaphore(0)
        self.pause = threading.Event()
        self.main = threading.main_thread().ident

    def run(self):
        while True:
            self.go.acquire()
            if not self.left:
                return
            self.pause.wait(self.random.uniform(0, self.most))
            self.left -= 1
            signal.pthread_kill(self.main, signal.SIGINT)

def weather(storm, step):
    '''Runs ``step(number)`` until the storm is over; returns how many interrupts came.'''
    number = 0
    caught = []

    def came(report):
        # Python itself drops what is raised in a ``__del__`` method, and tells only this hook.
        assert report.exc_type is KeyboardInterrupt, report
        caught.append("in a finaliser")
        owed.append(1)

    def steps():
        nonlocal number
        while len(caught) < total:
            if owed:
                owed.clear()
                storm.go.release()
            number += 1
            step(number)

    # The next interrupt is asked for inside the try, so that none comes outside of it.  The loop
    # has a function of its own, as from Python 3.12 on the jump back to the head of a loop that
    # ends a try is not inside that try.
    owed = [1]
    sys.unraisablehook = came
    storm.start()
    while len(caught) < total:
        try:
            steps()
        except KeyboardInterrupt:
            caught.append("raised")
            owed.append(1)
    return len(caught)
"""
END = """
assert caught == total, (caught, total)
assert paralab.get([add.remote(n) for n in range(500)]) == [n + 1 for n in range(500)]
cluster = paralab.cluster_resources()
deadline = time.monotonic() + 5
while paralab.available_resources() != cluster:
    assert time.monotonic() < deadline, paralab.available_resources()
print("fine", caught)
"""
STEPS = {
    "get": """
        ref = add.remote(0)

        def step(number):
            global ref
            if number % 50 == 0:
                ref = add.remote(number)
            assert type(paralab.get(ref)) is int
            assert paralab.get(add.remote(number)) == number + 1
        """,
    "submit": """
        kept = {}

        def step(number):
            ref = add.remote(number)
            kept[number] = ref
            if len(kept) >= 300:
                while kept:
                    of, ref = kept.popitem()
                    assert paralab.get(ref) == of + 1
        """,
    "put": """
        kept = {}

        def step(number):
            kept[number] = paralab.put([number] * 10)
            if len(kept) >= 100:
                while kept:
                    of, ref = kept.popitem()
                    assert paralab.get(ref) == [of] * 10
        """,
    "put of a large value": """
        def step(number):
            ref = paralab.put(bytes([number % 256]) * 200_000)
            assert paralab.get(ref)[5] == number % 256
        """,
    "wait": """
        def step(number):
            refs = [add.remote(number + n) for n in range(5)]
            ready, rest = paralab.wait(refs, num_returns=3)
            assert len(ready) == 3 and len(rest) == 2
            assert sorted(paralab.get(ready + rest)) == [number + n + 1 for n in range(5)]
        """,
    "chain": """
        def step(number):
            ref = add.remote(number)
            for _ in range(10):
                ref = add.remote(ref)
            assert paralab.get(ref) == number + 11
        """,
    "actor": """
        @paralab.remote
        class Log:
            def __init__(self):
                self.seen = []

            def add(self, number):
                self.seen.append(number)
                return number

            def look(self):
                return self.seen

        log = Log.remote()
        submitted = []

        def step(number):
            ref = log.add.remote(number)
            submitted.append(number)
            if number % 20 == 0:
                assert paralab.get(ref) == number
            if number % 1000 == 0:
                look()

        def look():
            seen = paralab.get(log.look.remote())
            assert seen == sorted(set(seen)), "in order, each once"
            assert set(submitted) <= set(seen), "none is lost"
        """,
}


@pytest.mark.parametrize(
    "seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("what", STEPS)
def test_interrupts_at_any_moment_lose_nothing(what: str, seed: int) -> None:
    body = (
        START
        + dedent(STEPS[what])
        + f"\ntotal = 60\ncaught = weather(Storm({seed}, total), step)\n"
        + END
    )
    with program(body) as driver:
        code, out, err = driver.end()
        assert (code, out, err) == (0, "fine 60\n", "")


WAITING = """
@paralab.remote
def hold(path):
    with open(path, "w"):
        pass
    return open(path).read()

@paralab.remote
def pid():
    return os.getpid()
"""


@pytest.fixture
def fifo(tmp_path: Any) -> str:
    path = str(tmp_path / "fifo")
    os.mkfifo(path)
    return path


def test_ctrl_c_in_a_terminal_spares_the_workers(fifo: str) -> None:
    with program(
        f"""
        paralab.init(num_cpus=1)
        {WAITING.replace(chr(10), chr(10) + "        ")}
        before = paralab.get(pid.remote())
        ref = hold.remote({fifo!r})
        with open({fifo!r}):
            pass
        for _ in range(3):
            try:
                print("waits", flush=True)
                paralab.get(ref)
            except KeyboardInterrupt:
                print("interrupted", flush=True)
        with open({fifo!r}, "w") as file:
            file.write("value")
        print(paralab.get(ref), paralab.get(pid.remote()) == before)
        """
    ) as driver:
        for _ in range(3):
            assert driver.line() == "waits"
            os.killpg(driver.pid, signal.SIGINT)
            # The node and its zygote have left the group; a kernel may signal them all the same.
            for below in descendants(driver.pid):
                os.kill(below, signal.SIGINT)
            assert driver.line() == "interrupted"
        assert driver.end() == (0, "value True\n", "")


def test_ctrl_c_while_nothing_runs() -> None:
    with program(
        """
        paralab.init(num_cpus=1)
        f = paralab.remote(lambda: 1)
        paralab.get(f.remote())
        try:
            print("rests", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            print(paralab.get(f.remote()))
        """
    ) as driver:
        assert driver.line() == "rests"
        os.killpg(driver.pid, signal.SIGINT)
        assert driver.end() == (0, "1\n", "")


def test_ctrl_c_that_nobody_catches_ends_the_driver_as_python_does(fifo: str) -> None:
    with program(
        f"""
        paralab.init(num_cpus=1)
        {WAITING.replace(chr(10), chr(10) + "        ")}
        ref = hold.remote({fifo!r})
        with open({fifo!r}):
            pass
        print("waits", flush=True)
        paralab.get(ref)
        """
    ) as driver:
        assert driver.line() == "waits"
        os.killpg(driver.pid, signal.SIGINT)
        code, _out, err = driver.end(seconds=3)
        assert code == -signal.SIGINT
        assert err.rstrip().endswith("KeyboardInterrupt")
        assert err.count("Traceback") == 1


def test_a_handler_of_the_users_own(fifo: str) -> None:
    with program(
        f"""
        paralab.init(num_cpus=1)
        {WAITING.replace(chr(10), chr(10) + "        ")}
        seen = []

        def handler(number, frame):
            seen.append(number)
            print("seen", flush=True)
            if len(seen) == 4:
                raise LookupError("the fourth")

        signal.signal(signal.SIGINT, handler)
        ref = hold.remote({fifo!r})
        with open({fifo!r}):
            pass
        try:
            print("waits", flush=True)
            paralab.get(ref)
        except LookupError as error:
            print(error, flush=True)
        assert signal.getsignal(signal.SIGINT) is handler
        with open({fifo!r}, "w") as file:
            file.write("value")
        print(paralab.get(ref), len(seen))
        """
    ) as driver:
        assert driver.line() == "waits"
        for _ in range(4):
            os.kill(driver.pid, signal.SIGINT)
            assert driver.line() == "seen"
        assert driver.line() == "the fourth"
        assert driver.end() == (0, "value 4\n", "")


def test_an_ignored_ctrl_c_stays_ignored(fifo: str) -> None:
    with program(
        f"""
        paralab.init(num_cpus=1)
        {WAITING.replace(chr(10), chr(10) + "        ")}
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ref = hold.remote({fifo!r})
        with open({fifo!r}):
            pass
        print("waits", flush=True)
        sys.stdin.readline()
        thread = threading.Thread(target=lambda: open({fifo!r}, "w").write("value"))
        thread.start()
        print(paralab.get(ref))
        """
    ) as driver:
        assert driver.line() == "waits"
        os.killpg(driver.pid, signal.SIGINT)
        assert driver.end() == (0, "value\n", "")
