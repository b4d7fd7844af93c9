"""`make conformance-ray`: what its runner says of tests that pass, skip, fail or kill pytest."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
RUNNER = ROOT / ".ci" / "conformance_ray.py"

ENDS = """
    import os, pytest

    def test_before(): pass

    def test_that_ends_its_process(): os._exit(3)

    def test_after(): pass

    @pytest.mark.skip(reason="it rains")
    def test_outside(): pass

    @pytest.mark.skip(reason="it rains")
    def test_in_the_garden(): pass

    def test_wrong(): assert [] == [1]

    @pytest.fixture
    def rope():
        yield
        raise OSError("torn")

    def test_cannot_clean_up(rope): pass

    def test_last(): pass
"""


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Any:
    # Its dataclass asks sys.modules for the module that it is in.
    spec = importlib.util.spec_from_file_location("conformance_ray", RUNNER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "conformance_ray", module)
    spec.loader.exec_module(module)
    return module


def outcomes(runner: Any, folder: Path, text: str) -> Any:
    """What the runner finds in a file of tests with this text."""
    path = folder / "test_some.py"
    path.write_text(dedent(text))
    (folder / "pytest.ini").write_text("[pytest]\n")
    report = folder / "report.jsonl"
    environment = os.environ | {runner.REPORT: str(report), "PYTHONPATH": str(RUNNER.parent)}
    found = runner.Outcomes()
    runner.ROOT, runner.OPTIONS = folder, ("-q", "-p", "conformance_ray")
    runner.run_file(path, report, environment, found)
    return found


@pytest.mark.slow
def test_one_that_ends_the_process_loses_nothing(runner: Any, tmp_path: Path) -> None:
    found = outcomes(runner, tmp_path, ENDS)
    assert [test.partition("::test_")[2] for test in found.of("passed")] == [
        "before",
        "after",
        "last",
    ]
    assert runner.summary(found).splitlines()[2:] == [
        "     3 passed",
        "     2 skipped",
        "          2 because: it rains",
        "     3 failed",
        "         test_some.py::test_that_ends_its_process",
        "             its process ended with exit code 3 while it ran",
        "         test_some.py::test_wrong",
        "             test_some.py:16: AssertionError",
        "         test_some.py::test_cannot_clean_up",
        "             test_some.py:21: OSError",
    ]


@pytest.mark.slow
def test_a_file_of_which_nothing_begins_has_failed(runner: Any, tmp_path: Path) -> None:
    found = outcomes(runner, tmp_path, "import what_nobody_has\n\ndef test_any(): pass")
    assert found.of("failed") == ["test_some.py"]
    assert "no test of it began" in found.why["test_some.py"]


@pytest.mark.slow
def test_a_file_without_tests_is_none(runner: Any, tmp_path: Path) -> None:
    assert outcomes(runner, tmp_path, "x = 1").outcome == {}


def test_a_file_that_is_not_there_is_named(
    runner: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["conformance_ray.py", "test_weather.py"])
    with pytest.raises(SystemExit):
        runner.main()
    assert "there is no test_weather.py in" in capsys.readouterr().err
