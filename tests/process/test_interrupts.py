"""Ctrl-C: it ends what waits, once, and loses nothing.

At any moment of anything is a row of the scorecard, E18.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from program import program

from leak_check import descendants

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
        code, _out, err = driver.end()
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
