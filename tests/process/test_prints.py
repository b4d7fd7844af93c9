"""What tasks print: as it happens, with a label, harmless, folded, and never lost."""

# ruff: noqa: T201 -- printing is what is tested

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually

import paralab


class Shown:
    """What the driver has shown so far in this test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._out = self._err = ""

    def out(self) -> str:
        out, err = self._capsys.readouterr()
        self._out += out
        self._err += err
        return self._out

    def err(self) -> str:
        self.out()
        return self._err


@pytest.fixture
def shown(
    session: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Shown:
    # However slow the machine is, what comes again comes soon enough to be folded.
    monkeypatch.setattr("paralab.process.prints.FOLD_SECONDS", 1_000.0)
    # And the node has time to pass on what it has, when the session ends.
    monkeypatch.setattr("paralab.process.driver.END_SECONDS", 60.0)
    return Shown(capsys)


@paralab.remote
def say(*words: Any, **options: Any) -> int:
    print(*words, **options)
    return os.getpid()


@paralab.remote
class Speaker:
    def say(self, text: str) -> None:
        print(text)


@paralab.remote
def complain(text: str) -> int:
    sys.stderr.write(text)
    return os.getpid()


@paralab.remote
def say_by(way: str, text: str) -> int:
    if way == "os.write":
        os.write(1, text.encode() + b"\n")
    elif way == "subprocess":
        subprocess.run([sys.executable, "-c", f"print({text!r})"], check=True)
    elif way == "stderr of subprocess":
        subprocess.run([sys.executable, "-c", f"raise SystemExit({text!r})"], check=False)
    elif way == "thread":
        thread = threading.Thread(target=print, args=(text,))
        thread.start()
        thread.join()
    elif way == "buffer":
        sys.stdout.buffer.write(text.encode() + b"\n")
    elif way == "fork":
        if not (child := os.fork()):
            print(text)
            os._exit(0)
        os.waitpid(child, 0)
    return os.getpid()


@paralab.remote
class Talker:
    def say(self, text: str) -> int:
        print(text)
        return os.getpid()


def test_a_line_is_there_when_get_returns(shown: Shown) -> None:
    pid = paralab.get(say.remote("hello", 1))
    assert re.search(rf"\(\S*say pid={pid}\) hello 1\n", shown.out())


def test_an_unfinished_line_is_there_when_get_returns(shown: Shown) -> None:
    pid = paralab.get(say.remote("no end", end=""))
    assert re.search(rf"\(\S*say pid={pid}\) no end\n", shown.out())


def test_stderr_is_stderr(shown: Shown) -> None:
    pid = paralab.get(complain.remote("oh\n"))
    assert re.search(rf"\(\S*complain pid={pid}\) oh\n", shown.err())
    assert "oh" not in shown.out()


def test_a_line_is_there_while_the_task_runs(shown: Shown, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    @paralab.remote
    def work() -> str:
        print("begun")
        return open(fifo).read()

    ref = work.remote()
    eventually(lambda: "begun\n" in shown.out())
    assert paralab.wait([ref], timeout=0) == ([], [ref])
    fifo.write_text("go")
    assert paralab.get(ref) == "go"


def test_a_line_is_there_while_the_driver_does_something_else(shown: Shown) -> None:
    ref = say.remote("by itself")
    deadline = time.monotonic() + 60
    while "by itself" not in shown.out():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)  # no call of paralab's
    del ref


@pytest.mark.parametrize("way", ["os.write", "subprocess", "thread", "buffer", "fork"])
def test_whichever_way_it_is_written(way: str, shown: Shown) -> None:
    pid = paralab.get(say_by.remote(way, f"by {way}"))
    eventually(lambda: f"pid={pid}) by {way}\n" in shown.out())


def test_the_error_output_of_a_child_process(shown: Shown) -> None:
    paralab.get(say_by.remote("stderr of subprocess", "a child's complaint"))
    eventually(lambda: "a child's complaint\n" in shown.err())


def test_nested_tasks_and_actors(shown: Shown) -> None:
    @paralab.remote
    def outer() -> list[int]:
        talker = Talker.remote()
        pids = [say.remote("in a task"), talker.say.remote("in an actor")]
        return list(paralab.get(pids))

    task, actor = paralab.get(outer.remote())
    eventually(lambda: "in a task" in shown.out() and "in an actor" in shown.out())
    assert f"say pid={task}) in a task\n" in shown.out()
    assert f"(Talker pid={actor}) in an actor\n" in shown.out()


def test_an_actor_prints_as_what_it_calls_itself(shown: Shown) -> None:
    @paralab.remote
    class Named:
        def __init__(self, name: str) -> None:
            self.name = name
            print("makes itself")

        async def say(self) -> int:
            print("speaks")
            return os.getpid()

        def __repr__(self) -> str:
            return f"Named {self.name}"

    named = Named.remote("Ada")
    pid = paralab.get(named.say.remote())
    assert f"(Named pid={pid}) makes itself\n(Named Ada pid={pid}) speaks\n" in shown.out()


def test_a_last_line_before_a_violent_end(shown: Shown) -> None:
    @paralab.remote(max_retries=0)
    def end(number: int) -> None:  # in each line, or equal ones that meet would be folded
        print(f"to stdout {number}")
        sys.stderr.write(f"to stderr {number}\n")
        os.write(1, b"to the pipe, unfinished %d" % number)
        os.kill(os.getpid(), 9)

    for number in range(10):
        with pytest.raises(paralab.exceptions.WorkerCrashedError, match=f"to stderr {number}"):
            paralab.get(end.remote(number))
    paralab.shutdown()
    paralab.init(num_cpus=2)
    assert len(re.findall(r"\) to stdout \d\n", shown.out())) == 10
    assert len(re.findall(r"\) to stderr \d\n", shown.err())) == 10
    assert len(re.findall(r"\) to the pipe, unfinished \d\n", shown.out())) == 10


def test_repeats_are_folded(shown: Shown) -> None:
    one, two = Speaker.remote(), Speaker.remote()
    paralab.get(one.say.remote("the same"))
    paralab.get([two.say.remote("the same") for _ in range(49)])
    paralab.get(one.say.remote("another"))
    assert shown.out().count("the same\n") == 1
    assert "[the line above came 49 more times; from 2 processes in all]" in shown.out()


def test_a_flood_is_shown_whole_and_in_order(shown: Shown) -> None:
    @paralab.remote
    def flood() -> None:
        for number in range(20_000):
            print(f"line {number}")

    paralab.get(flood.remote(), timeout=100)
    numbers = [int(n) for n in re.findall(r"\) line (\d+)\n", shown.out())]
    assert numbers == list(range(20_000))


def test_a_flood_from_a_child_process(shown: Shown) -> None:
    @paralab.remote
    def flood() -> None:
        code = "for n in range(20_000): print('number', n)"
        subprocess.run([sys.executable, "-c", code], check=True)

    paralab.get(flood.remote(), timeout=100)
    eventually(lambda: "number 19999\n" in shown.out())
    numbers = [int(n) for n in re.findall(r"\) number (\d+)\n", shown.out())]
    assert numbers == list(range(20_000))


def test_work_goes_on_beside_a_flood(shown: Shown, tmp_path: Path) -> None:
    stop = tmp_path / "stop"

    @paralab.remote
    def flood() -> int:
        number = 0
        while not stop.exists():
            number += 1
            print(f"line {number}")
        return number

    flooding = flood.remote()
    eventually(lambda: "line 100\n" in shown.out())
    for _ in range(50):
        paralab.get(say.remote("me too"), timeout=60)
    stop.touch()
    last = paralab.get(flooding, timeout=60)
    assert f"line {last}\n" in shown.out()


def test_log_to_driver(shown: Shown) -> None:
    paralab.shutdown()
    try:
        paralab.init(num_cpus=1, log_to_driver=False)
        paralab.get(say.remote("secret"))
        paralab.get(complain.remote("secret\n"))
        paralab.get(say_by.remote("os.write", "secret"))
        paralab.shutdown()
    finally:
        paralab.init(num_cpus=2)
    assert "secret" not in shown.out() + shown.err()


@pytest.mark.parametrize(
    "last",
    [
        lambda: paralab.get(say.remote("last")),
        lambda: paralab.get(say_by.remote("os.write", "last")),
        lambda: paralab.get(say_by.remote("subprocess", "last")),
        lambda: paralab.get(nested_last.remote()),
    ],
)
def test_nothing_is_lost_at_shutdown(last: Callable[[], Any], shown: Shown) -> None:
    try:
        last()
        paralab.shutdown()
        assert "last\n" in shown.out()
    finally:
        paralab.init(num_cpus=2)


def test_a_count_is_not_lost_at_shutdown(shown: Shown) -> None:
    try:
        speakers = [Speaker.remote() for _ in range(3)]
        paralab.get([speaker.say.remote("the same") for speaker in speakers])
        paralab.shutdown()
        assert "came 2 more times" in shown.out()
    finally:
        paralab.init(num_cpus=2)


@paralab.remote
def nested_last() -> None:
    paralab.get(say.remote("nested last"))


def ended_program(program: str) -> tuple[str, str, int]:
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    return ran.stdout, ran.stderr, ran.returncode


def test_what_nobody_waits_for_is_seen_before_the_program_ends() -> None:
    # However slow the machine is: what is waited for is there before the time is over.
    out, err, code = ended_program("""
import paralab, paralab.lifecycle
paralab.lifecycle.LINGER_SECONDS = 50.0
paralab.init(num_cpus=1)
say = paralab.remote(lambda *words: print(*words))
first = say.remote("first")
say.remote("second", first)
""")
    assert re.findall(r"\) (first|second None)\n", out) == ["first", "second None"]
    assert (err, code) == ("", 0)


def test_the_end_of_a_program_is_not_put_off_for_long() -> None:
    assert ended_program("""
import time, paralab
paralab.init(num_cpus=1)
last = paralab.remote(lambda: time.sleep(1000)).remote()
""") == ("", "", 0)
