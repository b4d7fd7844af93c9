"""The README's example runs and prints what its comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from paralab_profiling.exercises import shelf
from paralab_profiling.exercises.answers import read
from paralab_profiling.exercises.judging import judge

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

README = Path(__file__).parent.parent / "README.md"


EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def run(code: str, folder: Path) -> list[str]:
    script = folder / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_example_prints_what_it_says(tmp_path: Path) -> None:
    code = EXAMPLES[0]
    expected = re.findall(r"^print\(.*\)\s+# (.*)$", code, re.MULTILINE)
    assert len(expected) == 2
    assert run(code, tmp_path) == expected


def test_every_view_is_shown(tmp_path: Path) -> None:
    views = EXAMPLES[1]
    work = "paralab.get([paralab.remote(lambda n: n).remote(n) for n in range(9)])"
    views = views.replace("...  ", work).replace("pp.explain(", "x = pp.explain(")
    views = re.sub(r"^pp\.\w+\(.*?\)", r"print(\g<0>)", views, flags=re.MULTILINE)
    assert work in views
    shown = run(f"import paralab\nparalab.init(num_cpus=2)\n{views}\nprint(x)", tmp_path)
    assert sum("9 tasks" in line for line in shown) == 3, "the graph, the overhead, explain"
    assert any("busy" in line for line in shown), "the timeline"


def test_profiles_are_what_it_says(tmp_path: Path) -> None:
    _code, _views, profiles = EXAMPLES
    work = "paralab.get([paralab.remote(lambda n: n).remote(n) for n in range(9)])"
    profiles = profiles.replace("...  ", work).replace("seconds=2", "seconds=0.1")
    profiles = re.sub(r"^(found|pp\.attach\(.*?\))", r"print(\g<0>)", profiles, flags=re.MULTILINE)
    start = "import paralab, paralab_profiling as pp\nparalab.init(num_cpus=2)\n"
    shown = run(start + profiles, tmp_path)
    assert any(re.search(r"\b9\b.*lambda", line) for line in shown), "the calls of the tasks"


def test_the_answer_to_an_exercise_is_what_its_check_says() -> None:
    text = " ".join(README.read_text(encoding="utf-8").split())
    place = next(place for place in shelf.places() if place.number == 9)
    said = judge(9, pieces=read(place.notebook), seconds=60)
    assert said.title in text
    figures = r"[\d.]+ [kM]?B"
    for row in said.rows:
        assert re.sub(figures, "SIZE", " ".join(row)) in re.sub(figures, "SIZE", text)
