"""The command line, the table and the JSON report."""

import json
import os
import runpy
import subprocess
import sys
from io import StringIO
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.console import Console

from paralab.benchmark import run, statistics, table
from paralab.benchmark.rows import ROWS
from paralab.cli import main

SIDE_KEYS = {
    "median", "low", "high", "runs", "calls", "of_bare", "cpu_us", "cpu_us_added", "detail", "error"
}  # fmt: skip


@pytest.fixture
def measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Side ``s`` measures 100 × its place; Pool fails, async actors are not there."""

    def measure_side(side: Any, rows: Any, settings: Any) -> Any:
        results = []
        for row in rows:
            if side.name == "pool":
                results.append({"row": row.name, "error": "OSError: [Errno 12] [bold]no memory[/]"})
            elif row.name.startswith("async"):
                results.append({"row": row.name, "error": "not there: async actors"})
            else:
                place = row.sides.index(side.name) + 1
                results.append({"row": row.name, "value": 1e5 * place, "calls": 7,
                                "cpu_us": 10.0 * place, "detail": {}})  # fmt: skip
        return results, 1 if side.name == "grpc" else 0

    monkeypatch.setattr(run, "measure_side", measure_side)
    monkeypatch.setattr(run, "absent", lambda row, side: "not here" if side.peer else None)


@pytest.mark.usefixtures("measurements")
def test_the_report() -> None:
    told: list[str] = []
    report = run.run(run.Settings(ROWS, runs=3), told.append)
    assert set(report) == {"schema", "machine", "settings", "rows", "left_behind", "goals"}
    assert report["schema"] == statistics.SCHEMA
    assert json.loads(json.dumps(report)) == report
    assert [row["name"] for row in report["rows"]] == [row.name for row in ROWS]
    for row in report["rows"]:
        assert all(set(side) == SIDE_KEYS for side in row["sides"].values())
        assert all(set(goal) == {"text", "value", "met"} for goal in row["goals"])
    task = report["rows"][0]["sides"]
    assert task["paralab"]["runs"] == [1e5] * 3
    assert task["paralab"]["of_bare"] == 0.5
    assert task["pool"]["error"].startswith("OSError")
    assert task["ray"]["error"] == "not here"
    assert report["left_behind"] == {"grpc": 3}
    assert sum(report["goals"].values()) == sum(len(row.goals) for row in ROWS)
    assert told[0].startswith("run 1 of 3 · ")


@pytest.mark.usefixtures("measurements")
def test_the_table() -> None:
    text = StringIO()
    report = run.run(run.Settings(ROWS, runs=3))
    table.print_report(report, Console(file=text, width=80))
    shown = text.getvalue()
    assert all(row.title in shown for row in ROWS)
    assert "goal ≥ 0.5 × bare: 0.5 pass" in shown
    assert "goal ≥ 4 × gRPC echo: 0.167 short" in shown
    assert "paralab: not there: async actors" in shown
    assert "Ray: not here" in shown
    # What an exception says is text, never markup.
    assert "Pool: OSError: [Errno 12] [bold]no memory[/]" in shown
    assert "processes left behind, killed: gRPC echo: 3" in shown
    assert "-10.0" in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= 80


@pytest.mark.usefixtures("measurements")
@pytest.mark.parametrize("target", ["-", "report.json"])
def test_json(target: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        main, ["microbenchmark", "--json", target, "--rows", "task", "--quick", "--no-peers"]
    )
    assert result.exit_code == 0, result.output
    text = result.stdout if target == "-" else (tmp_path / target).read_text()
    report = json.loads(text)
    assert report["settings"] == {"runs": 1, "quick": True, "peers": False}
    assert set(report["rows"][0]["sides"]) == {"paralab", "bare", "pool", "executor", "grpc"}
    assert ("Quick sizes" in result.stdout) == (target != "-")


def test_an_unknown_row_is_named() -> None:
    result = CliRunner().invoke(main, ["microbenchmark", "--rows", "nope"])
    assert result.exit_code == 2
    assert "nope" in result.output


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.exit_code == 0
    assert result.output.startswith("paralab ")


def test_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["paralab", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("paralab", run_name="__main__")
    assert ended.value.code == 0
    assert "Usage: python -m paralab" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from paralab.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'rich', 'numpy', 'grpc', 'paralab.benchmark'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert "microbenchmark" in done.stdout


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0312, "0.0312"), (87.31, "87.3"), (999.4, "999"), (23456, "23,500")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert table.number(value) == text


def test_other_packages_add_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    found = [
        metadata.EntryPoint("version-of-click", "click:version_option", "paralab.commands"),
        metadata.EntryPoint("lost", "paralab_no_such_module:command", "paralab.commands"),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: found)
    listed = CliRunner().invoke(main, ["--help"]).output
    assert "See 'paralab lost --help'" in listed
    assert "microbenchmark" in listed
    lost = CliRunner().invoke(main, ["lost"])
    assert lost.exit_code == 1
    assert "paralab_no_such_module" in lost.output
    assert main.get_command(click.Context(main), "version-of-click") is click.version_option
