"""What tasks print: as it happens, with a label, harmless, folded, and never lost."""

# ruff: noqa: T201 -- printing is what is tested

from __future__ import annotations

import io
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
from paralab.process.prints import PrintedLines, PrintStream, harmless


class Screen:
    """A driver's two streams, and what is shown on them."""

    def __init__(self, show: bool = True) -> None:
        self.files = {"stdout": io.StringIO(), "stderr": io.StringIO()}
        self.lines = PrintedLines(show, self.files.__getitem__)

    def out(self) -> list[str]:
        return self.files["stdout"].getvalue().splitlines(keepends=True)

    def err(self) -> list[str]:
        return self.files["stderr"].getvalue().splitlines(keepends=True)


class TestPrintedLines:
    def test_labels(self) -> None:
        screen = Screen()
        screen.lines("f", 7, "stdout", "one\ntwo\n")
        screen.lines("", 8, "stdout", "three\n")
        screen.lines("", 0, "stderr", "four\n")
        assert screen.out() == ["(f pid=7) one\n", "(f pid=7) two\n", "(pid=8) three\n"]
        assert screen.err() == ["four\n"]

    def test_repeats_are_counted(self) -> None:
        screen = Screen()
        for pid in (1, 2, 3, 3, 1):
            screen.lines("f", pid, "stdout", "same\n")
        screen.lines("f", 1, "stdout", "other\n")
        assert screen.out() == [
            "(f pid=1) same\n",
            "(f) [the line above came 4 more times, from 3 processes]\n",
            "(f pid=1) other\n",
        ]

    def test_the_count_at_the_end_is_told(self) -> None:
        screen = Screen()
        screen.lines("", 5, "stdout", "same\nsame\n")
        screen.lines.finish()
        screen.lines.finish()
        assert screen.out() == [
            "(pid=5) same\n",
            "[the line above came once more, from 1 process]\n",
        ]

    def test_the_count_stands_below_its_line(self) -> None:
        screen = Screen()
        screen.lines("f", 1, "stderr", "same\nsame\n")
        screen.lines("f", 1, "stdout", "other\n")
        assert screen.err()[1] == "(f) [the line above came once more, from 1 process]\n"
        assert screen.out() == ["(f pid=1) other\n"]

    def test_order_is_kept_within_one_text(self) -> None:
        screen = Screen()
        screen.lines("f", 1, "stdout", "a\na\nb\nb\nb\nc\n")
        assert [line.rsplit(") ")[1] for line in screen.out()] == [
            "a\n",
            "[the line above came once more, from 1 process]\n",
            "b\n",
            "[the line above came 2 more times, from 1 process]\n",
            "c\n",
        ]

    def test_another_name_is_another_line(self) -> None:
        screen = Screen()
        screen.lines("f", 1, "stdout", "same\n")
        screen.lines("g", 1, "stdout", "same\n")
        assert len(screen.out()) == 2

    def test_nothing_is_shown_when_nothing_is_wanted(self) -> None:
        screen = Screen(show=False)
        screen.lines("f", 1, "stdout", "a\na\n")
        screen.lines.finish()
        assert screen.out() == screen.err() == []

    def test_blank_lines_are_lines(self) -> None:
        screen = Screen()
        screen.lines("f", 1, "stdout", "a\n\nb\n")
        assert screen.out() == ["(f pid=1) a\n", "(f pid=1) \n", "(f pid=1) b\n"]

    def test_a_name_is_text_too(self) -> None:
        screen = Screen()
        screen.lines("f\x1b[2J\ng", 1, "stdout", "a\n")
        assert screen.out() == ["(f\ufffd[2J g pid=1) a\n"]

    def test_a_closed_stream_is_no_error(self) -> None:
        closed = io.StringIO()
        closed.close()
        PrintedLines(True, lambda _name: None)("f", 1, "stdout", "a\n")
        PrintedLines(True, lambda _name: closed)("f", 1, "stdout", "a\n")

    def test_a_stream_that_knows_fewer_characters(self) -> None:
        raw = io.BytesIO()
        lines = PrintedLines(
            True, lambda _name: io.TextIOWrapper(raw, "ascii", line_buffering=True)
        )
        lines("f", 1, "stdout", "\N{SNOWMAN}\n")
        assert raw.closed or raw.getvalue() == b"(f pid=1) \\u2603\n"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("a\tb", "a\tb"),
        ("ünïcödé \N{SNOWMAN}", "ünïcödé \N{SNOWMAN}"),
        ("\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
        ("\x1b[1;31mred", "\x1b[1;31mred\x1b[0m"),
        ("\x1b[2Jgone", "\ufffd[2Jgone"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("\x9b2J", "\ufffd2J"),
        ("a\x00b\x08c\x7f", "a\ufffdb\ufffdc\ufffd"),
        ("one\x0btwo\x0cthree\x85four\u2028five", "one\ufffdtwo\ufffdthree\ufffdfour\ufffdfive"),
        ("\u202eevil\u2066", "\ufffdevil\ufffd"),
        ("from DOS\r", "from DOS"),
        (" 10%\r 50%\r100%", "100%"),
    ],
)
def test_what_is_harmless(raw: str, shown: str) -> None:
    assert harmless(raw) == shown


class TestPrintStream:
    @pytest.fixture
    def posted(self) -> list[tuple[str, str]]:
        return []

    @pytest.fixture
    def stream(self, posted: list[tuple[str, str]]) -> PrintStream:
        return PrintStream("stdout", 1, lambda stream, text: posted.append((stream, text)))

    def test_whole_lines_go_at_once(
        self, stream: PrintStream, posted: list[tuple[str, str]]
    ) -> None:
        print("a", "b", file=stream)
        print("c", end="", file=stream)
        print("d\ne", end="", file=stream)
        assert "".join(text for _stream, text in posted) == "a b\ncd\n"
        stream.finish()
        stream.finish()
        assert "".join(text for _stream, text in posted) == "a b\ncd\ne\n"

    def test_threads_do_not_mix(self, stream: PrintStream, posted: list[tuple[str, str]]) -> None:
        stream.write("mine ")
        thread = threading.Thread(target=stream.write, args=("theirs\n",))
        thread.start()
        thread.join()
        stream.write("too\n")
        assert [text for _stream, text in posted] == ["theirs\n", "mine too\n"]

    def test_an_endless_line_goes_in_pieces(
        self, stream: PrintStream, posted: list[tuple[str, str]]
    ) -> None:
        for _ in range(30):
            stream.write("x" * 10_000)
        stream.finish()
        assert sum(text.count("x") for _stream, text in posted) == 300_000

    def test_bytes(self, stream: PrintStream, posted: list[tuple[str, str]]) -> None:
        snowman = "\N{SNOWMAN}\n".encode()
        stream.buffer.write(snowman[:2])
        stream.buffer.write(snowman[2:])
        stream.buffer.write(b"\xff\n")
        assert posted == [("stdout", "\N{SNOWMAN}\n"), ("stdout", "\\xff\n")]

    def test_only_text(self, stream: PrintStream) -> None:
        with pytest.raises(TypeError, match="must be str, not bytes"):
            stream.write(b"a")  # type: ignore[arg-type]

    def test_it_looks_like_a_file(self, stream: PrintStream) -> None:
        stream.flush()
        stream.writelines(["a\n", "b\n"])
        assert stream.writable()
        assert not stream.readable()
        assert not stream.isatty()
        assert stream.encoding == "utf-8"


# -- with real processes ------------------------------------------------------------------------


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
def shown(session: Any, capsys: pytest.CaptureFixture[str]) -> Shown:
    return Shown(capsys)


@paralab.remote
def say(*words: Any, **options: Any) -> int:
    print(*words, **options)
    return os.getpid()


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
    deadline = time.monotonic() + 5
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
    assert f"say pid={actor}) in an actor\n" in shown.out()


def test_a_last_line_before_a_violent_end(shown: Shown) -> None:
    @paralab.remote(max_retries=0)
    def end() -> None:
        print("to stdout")
        sys.stderr.write("to stderr\n")
        os.write(1, b"to the pipe, unfinished")
        os.kill(os.getpid(), 9)

    for _ in range(10):
        with pytest.raises(paralab.exceptions.WorkerCrashedError, match="to stderr"):
            paralab.get(end.remote())
    paralab.shutdown()
    paralab.init(num_cpus=2)
    assert len(re.findall(r"\) to stdout\n", shown.out())) == 10
    assert len(re.findall(r"\) to stderr\n", shown.err())) == 10
    assert len(re.findall(r"\) to the pipe, unfinished\n", shown.out())) == 10


def test_repeats_are_folded(shown: Shown) -> None:
    paralab.get([say.remote("the same") for _ in range(50)])
    paralab.get(say.remote("another"))
    assert shown.out().count("the same\n") == 1
    assert "[the line above came 49 more times, from " in shown.out()


def test_a_flood_is_shown_whole_and_in_order(shown: Shown) -> None:
    @paralab.remote
    def flood() -> None:
        for number in range(20_000):
            print(f"line {number}")

    started = time.monotonic()
    paralab.get(flood.remote(), timeout=30)
    assert time.monotonic() - started < 15
    numbers = [int(n) for n in re.findall(r"\) line (\d+)\n", shown.out())]
    assert numbers == list(range(20_000))


def test_a_flood_from_a_child_process(shown: Shown) -> None:
    @paralab.remote
    def flood() -> None:
        code = "for n in range(20_000): print('number', n)"
        subprocess.run([sys.executable, "-c", code], check=True)

    paralab.get(flood.remote(), timeout=30)
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
        paralab.get(say.remote("me too"), timeout=10)
    stop.touch()
    last = paralab.get(flooding, timeout=10)
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
        paralab.get([say.remote("the same") for _ in range(3)])
        paralab.shutdown()
        assert "came 2 more times" in shown.out()
    finally:
        paralab.init(num_cpus=2)


@paralab.remote
def nested_last() -> None:
    paralab.get(say.remote("nested last"))
