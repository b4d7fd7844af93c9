"""``experimental.tqdm_ray``: bars of all processes, drawn at one place."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from typing import Any

import pytest
from process_helpers import eventually

import paralab
from paralab.experimental import bars, tqdm_ray
from paralab.experimental.bars import Bars, Display, message
from paralab.experimental.tqdm_ray import tqdm

ALIVE = 10


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True

    def take(self) -> str:
        """What was written since the last time."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


def told(key: str, n: float, **changes: Any) -> str:
    facts: dict[str, Any] = {"desc": key, "unit": "it", "total": 10, "seconds": 2, "closed": False}
    return message(key, **{**facts, "n": n, **changes}).rstrip("\n")


def table() -> Bars:
    return Bars(lambda pid: pid == ALIVE)


def test_a_line_says_how_far_it_is() -> None:
    bar = table().hear("work", ALIVE, told("part", 5))
    assert bar is not None
    assert bar.line() == f"(work pid=10) part:  50%|{'█' * 15}{' ' * 15}| 5/10 [2 s, 2.5 it/s]"
    assert len(bar.line(60)) == 60
    assert bar.line(60).endswith("| 5/10 [2 s, 2.5 it/s]")
    endless = table().hear("", 0, told("", 5, total=None))
    assert endless is not None
    assert endless.line() == "5 it [2 s, 2.5 it/s]"


def test_what_is_no_bar_is_ignored_and_names_are_text() -> None:
    known = table()
    for bad in ("{", "[]", "{}", '{"key": 1, "total": "x"}'):
        assert known.hear("work", ALIVE, bars.BAR_MARK + bad) is None
    bar = known.hear("wo\x1b[2Jrk", ALIVE, told("a\x1b[2Jb\n", 1, unit="\r"))
    assert bar is not None
    assert not re.search("[\x00-\x1f]", bar.line())
    assert len(known.open) == 1


def test_a_terminal_is_written_over_and_prints_go_above() -> None:
    screen, known = Screen(), table()
    display = Display(known, lambda: screen)
    known.hear("f", ALIVE, told("a", 1))
    known.hear("f", ALIVE, told("b", 2))
    display.draw()
    assert [line[:17] for line in screen.take().splitlines()] == [
        "(f pid=10) a:  10", "(f pid=10) b:  20",
    ]  # fmt: skip
    display.clear()
    assert screen.take() == "\x1b[2F\x1b[J"
    display.clear()
    assert screen.take() == ""
    display.draw()
    screen.take()
    bar = known.hear("f", ALIVE, told("a", 10, closed=True))
    assert bar is not None
    display.close([bar])
    display.draw()
    first, second = screen.take().splitlines()
    assert first.startswith("\x1b[2F\x1b[J(f pid=10) a: 100%")
    assert second.startswith("(f pid=10) b")
    display.draw()
    assert screen.take().startswith("\x1b[1F\x1b[J(f pid=10) b")


def test_a_file_gets_a_line_now_and_then_and_one_at_the_end() -> None:
    now, file, known = [0.0], io.StringIO(), table()
    display = Display(known, lambda: file, lambda: now[0])
    for n in range(8):
        known.hear("f", ALIVE, told("a", n))
        now[0] += 1.0
        display.draw()
    bar = known.hear("f", ALIVE, told("a", 10, closed=True))
    assert bar is not None
    display.close([bar])
    display.draw()
    assert re.findall(r"(\d+)/10", file.getvalue()) == ["4", "10"]


def test_a_notebook_has_one_output_until_all_are_closed() -> None:
    shown: list[tuple[str, bool]] = []
    known = table()
    display = Display(known, publish=lambda text, is_new: shown.append((text, is_new)))
    known.hear("f", ALIVE, told("a", 1))
    display.draw()
    known.hear("f", ALIVE, told("b", 1))
    for key in "ab":
        bar = known.hear("f", ALIVE, told(key, 10, closed=True))
        assert bar is not None
        display.close([bar])
        display.draw()
    known.hear("f", ALIVE, told("c", 1))
    display.draw()
    assert [is_new for _text, is_new in shown] == [True, False, False, True]
    assert [text.count("\n") + 1 for text, _is_new in shown] == [1, 2, 2, 1]
    assert "c:" in shown[-1][0]
    assert "a:" not in shown[-1][0]


def test_a_bar_goes_with_its_process_and_many_are_counted() -> None:
    screen, known = Screen(), table()
    display = Display(known, lambda: screen)
    for n in range(15):
        known.hear("f", ALIVE, told(str(n), 1))
    known.hear("f", 99, told("dead", 3))
    (lost,) = known.lose(everything=False)
    assert lost.line().endswith("stopped: its process has ended")
    display.close([lost])
    display.draw()
    lines = screen.take().splitlines()
    assert (len(lines), lines[-1]) == (1 + bars.MOST_BARS + 1, "and 3 more bars")
    assert len(known.lose(everything=True)) == 15
    assert not known.open


@pytest.mark.slow
def test_bars_of_tasks_arrive_and_none_is_left(
    session: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    @paralab.remote(max_retries=0)
    def work(name: str, how: str) -> int:
        sys.stdout.write("begun")  # an unfinished line, past which the bars go
        for n in tqdm(range(4), desc=name, flush_interval_s=0):
            if n == 2 and how == "raise":
                raise ValueError(name)
            if n == 2 and how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
        return n

    refs = [work.remote(how, how) for how in ("end", "raise", "die")]
    paralab.wait(refs, num_returns=3, timeout=60)
    said: list[str] = []
    found = (r"end: 100%.* 4/4 ", r"raise:  50%.* 2/4 ", r"die:  50%.* 2/4 .* stopped: its process")

    def all_said() -> bool:
        said.append("".join(capfd.readouterr()))
        return all(re.search(each, "".join(said)) for each in found)

    eventually(all_said, 60)
    text = "".join(said)
    assert "paralab-bar" not in text
    assert ") begun\n" in text
    eventually(lambda: bars._Shown.thread is None, 60)
    list(tqdm(range(3), desc="here"))
    tqdm_ray.safe_print("beside")
    eventually(lambda: bars._Shown.thread is None, 60)
    text = "".join(capfd.readouterr())
    assert re.search(r"^here: 100%.* 3/3 ", text, re.MULTILINE)
    assert "beside\n" in text
