"""The frame around exercises: files, hints, progress, and answers that harm their own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from paralab_profiling import Verdict, exercise
from paralab_profiling.exercises import child, command, shelf, standing
from paralab_profiling.exercises import exercise as one_exercise
from paralab_profiling.exercises.answers import Piece, UnreadableAnswerError, read
from paralab_profiling.exercises.judging import judge, or_is_busy
from paralab_profiling.exercises.ladders import next_step, not_yet
from paralab_profiling.exercises.progress import Progress, Tried

NUMBER = 9
NAME = shelf.place(NUMBER).name


@pytest.fixture(autouse=True)
def in_empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "work"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command.exercise, list(arguments))


def failing(kind: str) -> Verdict:
    return not_yet(kind, "too much.", "2", "1", "it counts", "less")


def decided(monkeypatch: pytest.MonkeyPatch, *verdicts: Verdict) -> None:
    """Checks give these verdicts in turn."""
    left = list(verdicts)
    monkeypatch.setattr(one_exercise, "judge", lambda *_, **__: left.pop(0))


def rows_of(verdict: Verdict) -> dict[str, str]:
    return dict(verdict.rows)


def test_start_copies_and_never_overwrites() -> None:
    assert run("start", "9").exit_code == 0
    copy = Path(f"{NAME}.ipynb")
    assert copy.read_bytes() == shelf.place(NUMBER).notebook.read_bytes()
    copy.write_text("mine")
    again = run("start", "9")
    assert again.exit_code == command.WRONG_USE
    assert "stays as it is" in again.output
    assert copy.read_text() == "mine"
    assert run("start", "9", "deeper/folder").exit_code == 0
    assert Path("deeper/folder", copy.name).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start", "77"), "There is no exercise 77"),
        (("check", "9"), "paralab exercise start 9"),
        (("check", "9", "nowhere.py"), "does not exist"),
        (("check", "nine"), "not a valid integer"),
        (("check", "9", "image.png"), "neither a notebook"),
        (("check", "9", "cut.ipynb"), "no notebook that can be read"),
    ],
)
def test_wrong_use_is_named(arguments: tuple[str, ...], said: str) -> None:
    Path("image.png").write_text("")
    Path("cut.ipynb").write_text('{"cells": [{"cell_type": "code", "sou')
    result = run(*arguments)
    assert result.exit_code == command.WRONG_USE
    assert said in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict("passed", "Passed", []), 0),
        (failing("tasks"), 1),
        (Verdict("cannot judge", "Cannot judge", []), 3),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, verdict: Verdict, code: int) -> None:
    decided(monkeypatch, verdict)
    assert run("start", "9").exit_code == 0
    result = run("check", "9")
    assert result.exit_code == code
    assert result.output.startswith(verdict.title)


def test_list_and_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    title = shelf.place(NUMBER).title()
    assert "tried" not in run("list").output
    assert title in run("list").output
    assert run("progress").output.startswith("0 of ")
    decided(monkeypatch, failing("tasks"), Verdict("passed", "Passed", []), failing("tasks"))
    run("start", "9")
    run("check", "9")
    assert "not yet, 1 try" in run("list").output
    run("check", "9")
    run("check", "9")  # what has passed stays passed
    assert run("progress").output.startswith("1 of ")
    assert ", 2 tries" in run("progress").output


def test_each_failure_of_one_kind_gives_the_next_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = ["tasks"] * 3 + ["objects put", "tasks"] + ["tasks"] * 5
    decided(monkeypatch, *map(failing, kinds))
    chosen = exercise(NUMBER)
    hints = [chosen.check(lambda: None).hint.partition(".")[0] for _ in kinds]
    steps = ["", "Hint 1 of 4", "Hint 2 of 4", "", "", "Hint 1 of 4", "Hint 2 of 4", "Hint 3 of 4"]
    assert hints == [*steps, "Hint 4 of 4", "Hint 4 of 4"]


def test_a_guess_stands_beside_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    other = not_yet("tasks", "too much.", "7", "1", "it counts", "less")
    decided(monkeypatch, failing("tasks"), other, failing("bytes"), Verdict("passed", "P", []))
    chosen = exercise(NUMBER)
    names = ["measured", "expected", "why it matters", "next"]
    first = chosen.check(len)
    assert [name for name, _ in first.rows] == names
    assert one_exercise.QUESTION in first.text
    assert one_exercise.QUESTION in first._repr_mimebundle_()["text/html"]
    second = chosen.check(len, guess="<b>1\x1b[2J")
    assert second.rows[1:3] == [("your guess", "<b>1\ufffd[2J"), ("measured before", "2")]
    assert [name for name, _ in second.rows if name in names] == names
    assert "<b>" not in second._repr_mimebundle_()["text/html"]
    third = chosen.check(len)
    assert [name for name, _ in third.rows] == names, "of another mistake it is another number"
    passed = chosen.check(len, guess=1)
    assert passed.rows == [("your guess", "1"), ("measured before", "2")]
    assert one_exercise.QUESTION not in passed.text
    assert Progress().of(NUMBER).measured == ""


@pytest.mark.parametrize("kind", ["error", "missing", "ended", "hung", "result"])
def test_no_number_is_asked_for_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    decided(monkeypatch, failing(kind))
    assert one_exercise.QUESTION not in exercise(NUMBER).check(len).text


def test_guesses_of_the_wrong_kind_are_refused_before_anything_runs() -> None:
    for wrong in (True, None, [1]):
        with pytest.raises(TypeError, match="expected a text or a number"):
            exercise(NUMBER).check(len, guess=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="longer than 80"):
        exercise(NUMBER).check(len, guess="x" * 81)
    run("start", "9")
    assert run("check", "9", "--guess", "x" * 81).exit_code == command.WRONG_USE


def test_progress_of_an_earlier_version_is_read() -> None:
    progress = Progress()
    progress.put(1, tries=3)
    text = progress.path.read_text().replace(',\n   "measured": ""', "")
    assert "measured" not in text
    progress.path.write_text(text)
    assert progress.all() == {1: Tried(3)}


def test_hints_on_request_wait_with_the_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "check an answer first" in run("check", "9", "--hint").output
    decided(monkeypatch, failing("tasks"), failing("tasks"))
    run("start", "9")
    run("check", "9")
    for step in (1, 2, 3):
        assert run("check", "9", "--hint").output.startswith(f"Hint {step} of 4")
    assert "after one more check" in run("check", "9", "--hint").output
    assert shelf.place(NUMBER).solution().strip() in run("check", "9").output


def test_ladder_steps() -> None:
    assert [next_step(step, 1) for step in range(5)] == [1, 2, 3, 3, 3]
    assert [next_step(step, 2) for step in range(5)] == [1, 2, 3, 4, 4]


def test_progress_survives_a_file_that_was_cut_short() -> None:
    progress = Progress()
    progress.put(1, tries=3)
    progress.put(2, kind="tasks", step=2)
    assert progress.all() == {1: Tried(3), 2: Tried(kind="tasks", step=2)}
    data = progress.path.read_bytes()
    for length in range(0, len(data) - 2, 7):
        progress.path.write_bytes(data[:length])
        assert progress.all() == {}
    progress.put(2, tries=1)
    assert progress.all() == {2: Tried(1)}
    aside = progress.path.with_suffix(".broken.json").read_bytes()
    assert data.startswith(aside)
    assert aside
    names = {path.name for path in progress.path.parent.iterdir()}
    assert names == {"exercises.json", "exercises.broken.json", "exercises.lock"}


def test_a_try_counts_though_progress_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    decided(monkeypatch, failing("tasks"))
    Path(os.environ["XDG_DATA_HOME"]).write_text("a file in the folder's place")
    outcome = exercise(NUMBER).check(lambda: None)
    assert not outcome.passed
    assert "could not be remembered" in outcome.text


def test_only_the_code_down_to_the_answer_is_run() -> None:
    cells: list[dict[str, Any]] = [
        {"source": "%load_ext paralab\nx = 1", "metadata": {}},
        {"source": "slow()", "metadata": {"tags": ["look"]}},
        {"source": ["def help():\n", "    return x\n"], "metadata": {}},
        {"source": "%%timeit\nx", "metadata": {}},
        {"source": "def answer():\n    return help()", "metadata": {"tags": ["answer"]}},
        {"source": "raise ValueError", "metadata": {}},
    ]
    for cell in cells:
        cell["cell_type"] = "code"
    text = {"cells": [{"cell_type": "markdown", "source": "# no code", "metadata": {}}, *cells]}
    Path("a.ipynb").write_text(json.dumps(text))
    pieces = read(Path("a.ipynb"))
    assert [piece.place for piece in pieces] == [f"a.ipynb, code cell {n}" for n in (1, 3, 5)]
    space: dict[str, Any] = {}
    for piece in pieces:
        exec(piece.source, space)
    assert space["answer"]() == 1


def test_a_file_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("large.py").write_text("x = 1")
    monkeypatch.setattr("paralab_profiling.exercises.answers.MOST_BYTES", 3)
    with pytest.raises(UnreadableAnswerError, match=r"large\.py"):
        read(Path("large.py"))


@pytest.mark.parametrize(
    ("source", "kind", "measured"),
    [
        ("", "missing", "there is no code in the file"),
        ("answer = 3", "missing", "answer is no function"),
        ("other = print", "missing", "the code defines no answer"),
        ("import sys\nsys.exit(4)", "ended", "SystemExit(4)"),
        ("def answer(:", "error", "SyntaxError"),
        ("x = 1\nx / 0", "error", "ZeroDivisionError: division by zero, in line 2"),
        ("raise ValueError('\\x1b[2J<b>')", "error", "ValueError: \ufffd[2J<b>, in line 1"),
    ],
)
def test_answers_that_define_nothing(
    monkeypatch: pytest.MonkeyPatch, source: str, kind: str, measured: str
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    here, there = Pipe()
    with here, there:
        request = child.Request(NUMBER, [Piece("answer.py", source)], b"", [])
        found = child._answer(here, request, "answer")
    assert isinstance(found, Verdict)
    assert (found.state, found.kind) == ("not yet", kind)
    assert measured in rows_of(found)["measured"]


def test_only_functions_and_paths_are_checked() -> None:
    with pytest.raises(TypeError, match=r"check\(answer\)"):
        exercise(NUMBER).check(3)  # type: ignore[arg-type]
    lock = __import__("threading").Lock()
    with pytest.raises(TypeError, match="cannot be sent"):
        exercise(NUMBER).check(lambda *_: lock)
    with pytest.raises(shelf.NoSuchExerciseError):
        exercise(0)


def test_an_outcome_escapes_what_users_named() -> None:
    outcome = one_exercise.Outcome(failing("<b>"), hint="<script>", remark="<i>")
    html = outcome._repr_mimebundle_()["text/html"]
    assert "<script>" not in html
    assert "<i>" not in html


TRACES = """Thread 0x00007f00000000aa (most recent call first):
  File "/x/other.py", line 1 in other

Current thread 0x00007f00000000bb (most recent call first):
  File "{paralab}/process/waits.py", line 9 in _wait
  File "{paralab}/api.py", line 161 in get
  File "/home/someone/mine.py", line 7 in answer
  File "<string>", line 1 in <module>
"""


def test_where_an_answer_stands() -> None:
    import paralab

    text = TRACES.replace("{paralab}", os.path.dirname(paralab.__file__))
    assert standing.told(text, 0x7F00000000BB) == (
        "it stood at line 7 of mine.py, in answer, waiting in paralab.get"
    )
    assert "line 1 of other.py" in standing.told(text, 0x7F00000000AA)
    assert standing.told(text, 1) == "it could not be seen where it stood"
    assert standing.told("", 1) == "it could not be seen where it stood"


HANGS = """
import os, paralab, subprocess, sys, time
@paralab.remote
def price(basket):
    time.sleep(1000)
def prices_of(table, baskets):
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    return paralab.get([price.remote(basket) for basket in baskets])
"""


def test_what_hangs_where_others_want_the_machine_may_be_slow() -> None:
    assert or_is_busy(3.9, 2) == ""
    assert or_is_busy(16.3, 2) == (
        "; or allow it more than that, with --seconds or seconds=: 16 programs want the 2 "
        "processors of this machine now"
    )
    assert "the 1 processor of" in or_is_busy(2.0, 1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_endless_answer_is_stopped_with_all_it_started(session: Any) -> None:
    import paralab

    # That no process is left is seen by the leak check.
    measured = ""
    for seconds in (2, 8, 40):  # on a busy machine it may take long until it has come to its get
        verdict = judge(NUMBER, pieces=[Piece("mine.py", HANGS)], seconds=seconds)
        assert verdict.kind == "hung", verdict
        measured = rows_of(verdict)["measured"]
        if "× price (" in measured:
            break
    assert "it stood at line 8 of mine.py, in prices_of, waiting in paralab.get" in measured
    assert "× price (" in measured
    # The learner's own session is another one.
    assert paralab.get(paralab.remote(lambda: 3).remote()) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_answer_that_kills_its_process() -> None:
    source = "import os\ndef prices_of(*_):\n    print('bye')\n    os.kill(os.getpid(), 9)"
    verdict = judge(NUMBER, pieces=[Piece("mine.py", source)], seconds=60)
    assert verdict.kind == "ended", verdict
    assert "killed by SIGKILL" in rows_of(verdict)["measured"]
    assert rows_of(verdict)["printed last"] == "bye"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_from_the_shell_and_from_a_notebook() -> None:
    source = "import paralab\n" + shelf.place(NUMBER).solution()
    Path("mine.py").write_text(source)
    start = "from paralab_profiling.exercises.command import exercise; exercise()"
    done = subprocess.run(
        [sys.executable, "-c", start, "check", "9", "mine.py", "--seconds", "60"],
        capture_output=True, text=True, check=False, timeout=280,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in run("list").output
    space: dict[str, Any] = {}
    exec("def prices_of(table, baskets):\n    return [0 for _ in baskets]", space)
    outcome = exercise(NUMBER).check(space["prices_of"], seconds=60)
    assert outcome.verdict.kind == "result", outcome
