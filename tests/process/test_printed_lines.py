"""The two ends of a printed line, without processes: the worker's stream, the driver's screen."""

from __future__ import annotations

import io
import threading

import pytest

from paralab.process.prints import FOLD_SECONDS, PrintedLines, PrintStream, harmless


class Screen:
    """A driver's two streams, and what is shown on them."""

    def __init__(self, show: bool = True, fold: bool = True) -> None:
        self.files = {"stdout": io.StringIO(), "stderr": io.StringIO()}
        self.now = 0.0
        self.lines = PrintedLines(show, self.files.__getitem__, lambda: self.now, fold)

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

    def test_repeats_from_other_items_are_counted_too(self) -> None:
        screen = Screen()
        for pid in (1, 2, 3):
            screen.lines(f"Pool.map f [{pid}:{pid + 9}]", pid, "stdout", "same\n")
        screen.lines.finish()
        first, more = screen.out()
        assert first == "(Pool.map f [1:10] pid=1) same\n"
        assert more.startswith("(Pool.map f) [the line above came 2 more times; from 3 processes")

    def test_repeats_are_counted(self) -> None:
        screen = Screen()
        for pid in (1, 2, 3, 3, 1):
            screen.lines("f", pid, "stdout", "same\n")
        screen.lines("f", 1, "stdout", "other\n")
        assert screen.out() == [
            "(f pid=1) same\n",
            "(f) [the line above came 4 more times; from 3 processes in all]\n",
            "(f pid=1) other\n",
        ]

    def test_the_count_at_the_end_is_told(self) -> None:
        screen = Screen()
        for pid in (5, 6, 5):
            screen.lines("", pid, "stdout", "same\n")
        screen.lines.finish()
        screen.lines.finish()
        assert screen.out() == [
            "(pid=5) same\n",
            "[the line above came 2 more times; from 2 processes in all]\n",
        ]

    def test_a_single_repeat_is_shown_after_all(self) -> None:
        screen = Screen()
        for pid in (5, 6):
            screen.lines("f", pid, "stdout", "same\n")
        screen.lines("f", 5, "stdout", "other\n")
        assert screen.out() == ["(f pid=5) same\n", "(f pid=6) same\n", "(f pid=5) other\n"]

    def test_what_one_process_repeats_is_shown(self) -> None:
        screen = Screen()
        for pid in (1, 1, 2, 1):
            screen.lines("f", pid, "stdout", "same\n")
        screen.lines.finish()
        assert screen.out() == [
            "(f pid=1) same\n",
            "(f pid=1) same\n",
            "(f) [the line above came 2 more times; from 2 processes in all]\n",
        ]

    def test_nothing_is_counted_if_all_is_to_be_shown(self) -> None:
        screen = Screen(fold=False)
        for pid in (1, 2, 1):
            screen.lines("f", pid, "stdout", "same\n")
        assert screen.out() == [f"(f pid={pid}) same\n" for pid in (1, 2, 1)]

    def test_after_some_seconds_a_repeat_is_shown_again(self) -> None:
        screen = Screen()
        times = (0.0, FOLD_SECONDS - 0.1, FOLD_SECONDS, FOLD_SECONDS + 1)
        for pid, screen.now in enumerate(times, 1):
            screen.lines("f", pid, "stdout", "same\n")
        assert screen.out() == [
            "(f pid=1) same\n",
            "(f pid=2) same\n",
            "(f pid=3) same\n",
        ]

    def test_after_the_end_of_a_cell_a_repeat_is_shown_again(self) -> None:
        screen = Screen()
        for pid in (1, 2):
            screen.lines("f", pid, "stdout", "same\n")
            screen.lines.finish()
        assert screen.out() == ["(f pid=1) same\n", "(f pid=2) same\n"]

    def test_the_count_stands_below_its_line(self) -> None:
        screen = Screen()
        screen.lines("f", 1, "stderr", "same\n")
        screen.lines("f", 2, "stderr", "same\nsame\n")
        screen.lines("f", 1, "stdout", "other\n")
        assert screen.err()[1].startswith("(f) [the line above came 2 more times")
        assert screen.out() == ["(f pid=1) other\n"]

    def test_order_is_kept_within_one_text(self) -> None:
        screen = Screen()
        screen.lines("f", 1, "stdout", "a\n")
        screen.lines("f", 2, "stdout", "a\na\nb\nb\nc\n")
        assert [line.rsplit(") ")[1] for line in screen.out()] == [
            "a\n",
            "[the line above came 2 more times; from 2 processes in all]\n",
            "b\n",
            "b\n",
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
