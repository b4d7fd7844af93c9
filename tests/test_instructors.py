"""The instructors' notes tell of every notebook, in its own words, with figures from the script.

No session and no notebook runs here: what stands in the notes is held against the notebooks' text,
and the script's rows are made of a recording that is written down.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from synthetic import recording, task, wait

from wrong_attempts import WRONG

ROOT = Path(__file__).parent.parent
NOTEBOOKS = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
NOTES = (ROOT / "notebooks" / "INSTRUCTORS.md").read_text(encoding="utf-8")
LABELS = ["Time", "Have ready", "Listen for", "Splits the room", "Goes wrong", "Ask"]
TIMES = r"(?:0|[\d,]+(?:\.\d+)?) ×"
FIGURES = {
    "replayed": rf"(?:{TIMES} \| ){{3}}{TIMES}",
    "computed": rf"(?:{TIMES}|–)(?: \| (?:{TIMES}|[\d.,]+ (?:ns|µs|ms|s)|never)){{3}}",
    "counted": r"[^|]+(?: \| the same){3}",
    "measured": rf"(?:{TIMES}|\d+ of \d+|\d+ MB)(?: \| the same){{3}}",
    "not run yet": r"–(?: \| –){3}",
}


def script() -> Any:
    spec = importlib.util.spec_from_file_location(
        "expected_figures", ROOT / ".ci" / "expected_figures.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


figures = script()


def experiments(number: str) -> list[ast.Call]:
    rows = ast.parse(f"[{figures.EXPERIMENTS[number]}]".replace("\n", " "), mode="eval").body
    assert isinstance(rows, ast.List)
    return [row for row in rows.elts if isinstance(row, ast.Call)]


def sections() -> dict[str, str]:
    parts = re.split(r"(?m)^## (?=\d\d )", NOTES)[1:]
    return {part[:2]: part for part in parts}


@cache
def code_of(number: str) -> str:
    cells = json.loads(NOTEBOOKS[number].read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def points(section: str) -> dict[str, str]:
    found = re.findall(r"(?ms)^- \*\*([^*]+):\*\* (.*?)(?=^- \*\*|\Z)", section)
    return {label: " ".join(text.split()) for label, text in found}


each_notebook = pytest.mark.parametrize("number", NOTEBOOKS)
each_with_figures = pytest.mark.parametrize("number", figures.EXPERIMENTS)


def test_every_notebook_has_its_experiments() -> None:
    assert NOTEBOOKS.keys() == figures.EXPERIMENTS.keys()


@each_notebook
def test_has_a_section_with_all_points(number: str) -> None:
    found = points(sections()[number])
    assert list(found) == LABELS
    assert all(found.values())
    assert found["Ask"].count("?") == 1


def test_sections_are_in_order_and_each_once() -> None:
    numbers = re.findall(r"(?m)^## (\d\d) ", NOTES)
    assert numbers == sorted(set(numbers))


@each_with_figures
def test_says_what_the_list_of_notebooks_says(number: str) -> None:
    readme = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| [{number}_"))
    _, _, minutes, _, belief, _ = (cell.strip() for cell in row.split("|"))
    found = points(sections()[number])
    assert found["Time"].startswith(f"{minutes} minutes")
    assert found["Listen for"].startswith(f'"{belief}"')


@each_with_figures
def test_quotes_a_prediction_of_the_notebook(number: str) -> None:
    asked = re.findall(r'predict\(\s*"([^"]+)"', code_of(number))
    quoted = re.match(r'"([^"]+)"', points(sections()[number])["Splits the room"])
    if not asked:
        assert quoted is None, "it has no prediction"
    else:
        assert quoted is not None
        assert quoted[1] in asked


@each_with_figures
def test_quotes_what_checkers_say(number: str) -> None:
    said = " ".join(title for _source, title in WRONG.get(NOTEBOOKS[number].stem, ()))
    quoted = re.findall(r'"([^"]+)"', points(sections()[number])["Goes wrong"])
    assert all(words in said for words in quoted)
    assert quoted or number == "01", "only that one has no exercise"


def test_the_markers_are_there_once_and_in_order() -> None:
    assert NOTES.count(figures.BEGIN) == NOTES.count(figures.END) == 1
    assert NOTES.index(figures.BEGIN) < NOTES.index(figures.END)
    block = figures.block_of(NOTES)
    assert figures.HEAD in block
    assert re.search(r"(?m)^Made on .* · .*paralab [\d.]+.*\.$", block), "a stamp"


@each_notebook
def test_has_rows_in_the_form_of_the_script(number: str) -> None:
    lines = figures.lines_of(figures.block_of(NOTES))[number]
    for line in lines:
        cells = line.strip("| ").split(" | ")
        assert len(cells) == figures.HEAD.count("|") - 1, line
        how = cells[-1]
        assert re.fullmatch(FIGURES[re.sub(r", \d+ runs$", "", how)], " | ".join(cells[2:-1])), line
        assert (how == figures.NOT_YET) == (len(lines) == 1 and number not in figures.EXPERIMENTS)


def test_the_table_has_every_experiment() -> None:
    lines = figures.lines_of(figures.block_of(NOTES))
    for number in figures.EXPERIMENTS:
        for line, call in zip(lines[number], experiments(number), strict=True):
            assert line.startswith(f"| {number} | {ast.literal_eval(call.args[0])} |")


@each_with_figures
def test_experiments_use_names_that_the_notebook_has(number: str) -> None:
    there = {"figures", *vars(builtins)}
    code = re.sub(r"(?m)^%.*$|\bawait |%(?=remote)", "", code_of(number))
    code = code.replace("= remote ", "= ")
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            there.add(node.id)
        elif isinstance(node, ast.FunctionDef):
            there.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            there |= {alias.asname or alias.name for alias in node.names}
    for row in experiments(number):
        names = [node for node in ast.walk(row) if isinstance(node, ast.Name)]
        own = {node.id for node in names if isinstance(node.ctx, ast.Store)} | {"run"}
        used = {node.id for node in names} - own
        assert used <= there, ast.unparse(row)


def test_a_replayed_row_has_what_the_replay_says() -> None:
    run = recording(
        *(
            task(
                f"t{at}",
                at // 2 * 100,
                at // 2 * 100 + 100,
                worker=2 + at % 2,
                submitted=0,
                overhead=0,
                is_fetched=False,
            )
            for at in range(8)
        )
    )
    row = figures.replayed("8 tasks", run)
    assert re.fullmatch(FIGURES["replayed"], " | ".join([row.seen, *row.expected]))
    two, four, eight = (float(each.split()[0]) for each in row.expected)
    assert two < four < eight <= 8
    assert two == pytest.approx(2, rel=0.1)


def test_the_last_tasks_of_a_name_come_with_the_wait_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = [task("old", 0, 10), task("g", 20, 30, name="g")]
    last = [task(f"t{at}", 50, 90, worker=2 + at, submitted=40) for at in range(2)]
    everything = recording(*before, *last, wait(45, 95, "t0"), task("after", 200, 210, name="g"))
    monkeypatch.setattr(figures, "take", lambda: everything)
    found = figures.last_tasks("f", 2)
    assert [each.id for each in found] == ["t0", "t1"]
    assert len(found.waits) == 1
    with pytest.raises(ValueError, match="f has run as a task 3 times, not 4"):
        figures.last_tasks("f", 4)


def test_chunks_go_to_whoever_is_free_first() -> None:
    row = figures.chunked("4 items", [1.0, 1.0, 1.0, 1.0], 0.0, 2, 2.0)
    assert (row.seen, list(row.expected)) == ("2.00 ×", ["2.00 ×"] * 3), "two chunks, two busy"
    assert figures.chunked("4 items", [1.0] * 4, 0.0, 1, 2.0).expected[1] == "4.00 ×"


def test_of_several_runs_the_middle_one_is_kept() -> None:
    runs = [
        [figures.Row("x", "1.00 ×", ["2.00 ×", "3.00 ×", last], "replayed")]
        for last in ("10.0 ×", "2.13 ×", "4.00 ×")
    ]
    (row,) = figures.middle(runs)
    assert (row.expected[-1], row.how) == ("4.00 ×", "replayed, 3 runs")
    lengths = [
        [figures.Row("x", "–", ["never", "2 ms", last], "computed")]
        for last in ("1.14 ms", "never", "884 µs")
    ]
    assert figures.middle(lengths)[0].expected[-1] == "1.14 ms"
    assert figures.middle(runs[:1]) == runs[0]


def test_a_count_that_differs_between_runs_is_refused_by_its_name() -> None:
    runs = [[figures.counted("steps", number)] for number in (24, 24, 23)]
    with pytest.raises(ValueError, match="no count: steps is"):
        figures.middle(runs)
    assert figures.middle(runs[:2])[0].how == "counted"


def test_what_differs_is_no_count() -> None:
    assert figures.measured("fee", 3.571).line("07") == (
        "| 07 | fee | 3.57 × | the same | the same | the same | measured |"
    )
    assert figures.counted("steps", 24).how == "counted"


def test_an_unknown_notebook_is_refused_by_its_number() -> None:
    with pytest.raises(SystemExit, match="no notebook 77"):
        figures.main(["77"])


def test_no_runs_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        figures.main(["--runs", "0", "01"])
    assert "--runs must be 1 or more, not 0" in capsys.readouterr().err
