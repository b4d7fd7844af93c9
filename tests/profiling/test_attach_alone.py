"""``attach`` without a session, the sampler alone, and what is made of what it saw."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import types
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import paralab
from paralab import sampling
from paralab.what_runs import placed
from paralab_profiling.attaching import AttachError, attach, outside
from paralab_profiling.attaching.command import profile
from paralab_profiling.attaching.sampled import profile_of
from paralab_profiling.attaching.targets import Target, is_stopped
from paralab_profiling.profilers import words
from paralab_profiling.stamps import stamp

SECONDS = 60.0
MS = 1_000_000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seconds": 0}, "seconds=0"),
        ({"seconds": float("nan")}, "seconds=nan"),
        ({"seconds": 10_000}, "seconds=10000"),
        ({"interval": 0}, "interval=0"),
        ({"method": "perf"}, "method='perf'"),
    ],
)
def test_wrong_options(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        attach(None, **options)
    with pytest.raises(TypeError, match="expected a number"):
        attach(None, seconds="5")  # type: ignore[arg-type]


def test_a_sampler_that_nobody_asks_ends(monkeypatch: Any) -> None:
    monkeypatch.setattr(sampling, "PATIENCE", 0.0)
    sampler = sampling.Sampler("nobody's", 3_000, 0.001, time.monotonic_ns())
    sampler.start()
    sampler._thread.join(SECONDS)
    assert not sampler._thread.is_alive()
    assert sampler.seen()["over"]


def test_looks_that_could_not_be_made_are_counted(monkeypatch: Any) -> None:
    # In a kernel a main thread that does nothing is not looked at, and a starved one does nothing.
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    before = time.monotonic_ns() - 5_000_000_000
    sampler = sampling.Sampler("late", 1, 0.01, before)
    sampler.start()  # its time is over already: one look
    eventually_over(sampler)
    seen = sampler.seen()
    sampler.stop()
    sampler._thread.join(SECONDS)
    assert seen["looks"] == 1
    assert seen["missed"] >= 498
    assert seen["longest_gap"] >= 5_000_000_000
    assert seen["behind"] != ""


def eventually_over(sampler: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not sampler.seen()["over"]:
        assert time.monotonic() < deadline


def test_local_mode_says_that_nothing_runs_beside(shutdown_after: None) -> None:
    paralab.init(local_mode=True)
    with pytest.raises(AttachError, match="In local mode"):
        attach()


def test_without_a_session() -> None:
    with pytest.raises(RuntimeError, match="init"):
        attach()


def test_a_cell_gets_its_number_where_its_kernel_is(monkeypatch: pytest.MonkeyPatch) -> None:
    file = f"{tempfile.gettempdir()}/ipykernel_12/345.py"
    assert placed(file) == ("ipykernel_12/345.py", "yours"), "a worker keeps what tells it"
    told = seen(frames=[("f", placed(file)[0], 7, "yours"), *seen()["frames"][1:]])
    told["lines"] = [(0, 8, 5)]
    line = f"thread (0x1): Main;f ({file}:8) 3"
    target = Target(1, what="process 1")

    class Compile:
        def format_code_name(self, name: str) -> tuple[str, str] | None:
            return ("Cell", "In[5]") if name == file else None

    shell = types.SimpleNamespace(compile=Compile())
    ipython = types.SimpleNamespace(get_ipython=lambda: None)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    for number in ("a cell", "In[5]"):
        found = profile_of([told], {7: 3})
        assert found.roots[0].children[0].file == number
        assert f"most often at {number}:8, " in "; ".join(found.extra["notes"])
        (path, _count), *_ = outside.stacks(line, target)
        assert path[-1].file == number
        ipython.get_ipython = lambda: shell  # from here on it is that notebook's kernel


# -- what is made of it ---------------------------------------------------------------------------


def seen(**more: Any) -> dict[str, Any]:
    """What a sampler tells: a task that worked for 300 ms and waited for 700."""
    frames = [("main", "a.py", 1, "yours"), ("sum_up", "a.py", 9, "yours"),
              ("wait", "threading.py", 80, "library")]  # fmt: skip
    stacks = [
        ("task", (0, 1), 300 * MS, 90 * MS, 205 * MS, 30),
        ("task", (0, 2), 700 * MS, 5 * MS, 0, 70),
    ]
    facts = dict.fromkeys(("idle", "missed", "longest_gap", "dropped"), 0)
    return {
        "pid": 7, "stacks": stacks, "lines": [(1, 10, 30), (2, 81, 10)], "frames": frames,
        "interval": 10 * MS,
        "has_cpu": True, "behind": "", "over": True, "calls": {"task": 2}, "looks": 100,
        "cost": 10 * MS, "watched": 1_000 * MS, **facts, **more,
    }  # fmt: skip


def test_a_stack_without_cpu_time_waits() -> None:
    found = profile_of([seen()], {7: 3})
    assert words.tree(found).splitlines() == [
        "      1.00 s  task ×2",
        "      1.00 s    main  a.py:1",
        "      700 ms      wait  threading.py:80",
        "      700 ms        (waiting)",
        "      300 ms      sum_up  a.py:9",
    ]
    assert found.workers == {3: 2}
    assert found.cost == pytest.approx(1 / 0.99)
    assert (
        "on a CPU 9.50 % of that time, 20 % of it waiting for a CPU that others used"
        in words.note(found)
    )
    assert "most often at a.py:10, in 75 % of what was seen" in words.note(found)
    assert words.title(found) == "70 % of 1.00 s spent waiting, most of it in main, over 2 tasks"
    nothing_known = profile_of([seen(has_cpu=False)], {})
    assert "(waiting)" not in words.tree(nothing_known)
    assert "on a CPU" not in words.note(nothing_known)


def test_what_was_not_seen_is_said() -> None:
    told = seen(missed=100, longest_gap=900 * MS, behind="sum_up", idle=50, dropped=4)
    note = words.note(profile_of([told], {}))
    assert "100 of 200 looks missed, up to 900 ms in a row, before sum_up was seen" in note
    assert words.title(profile_of([told], {})).endswith("; 100 of 200 looks missed")
    assert "50 % of the looks found no call" in note
    assert "4 looks kept without their frames" in note
    assert "process 7: it broke" in words.note(profile_of([seen(error="it broke")], {}))


def test_several_processes_are_one_tree() -> None:
    found = profile_of([seen(), seen(pid=8)], {7: 3, 8: 4})
    assert found.tasks == {"task": 4}
    assert found.total("sum_up") == pytest.approx(0.6)
    assert found.samples == 200
    assert found.stamp == stamp().facts(), "as every profile tells it, with units"


# -- py-spy ---------------------------------------------------------------------------------------

RAW = """\
thread (8): paralab-io;Thread._bootstrap (/usr/threading.py:1);_serve (/x/process/baton.py:3) 5
thread (7): MainThread;<module> (<string>:1);Executor._run (/x/paralab/process/executor.py:2);\
A.b (/home/a.py:8);<lambda> (/home/a.py:5) 3
thread (9): paralab-default-1;Lanes.run_call (/x/paralab/process/lanes.py:2);A.c (/home/a.py:8) 4
nonsense
"""


def test_stacks_of_a_worker() -> None:
    found = list(outside.stacks(RAW, Target(7, 1, "A")))
    assert [([each.name for each in path], looks) for path, looks in found] == [
        (["A", "A.b", "<lambda>"], 3),
        (["A", "A.c"], 4),
    ]
    assert found[0][0][1].line == 8
    every = outside.stacks(RAW, Target(7, 0, "process 7"))
    assert [path[0].name for path, _ in every] == ["paralab-io", "MainThread", "paralab-default-1"]


def fake(folder: Path, monkeypatch: Any, script: str) -> None:
    """A program that is called py-spy."""
    program = folder / "py-spy"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr(outside, "get_path", lambda _name: str(folder))


@pytest.mark.slow
def test_py_spy_that_is_not_there_or_may_not(tmp_path: Path, monkeypatch: Any) -> None:
    fake(tmp_path, monkeypatch, "echo 'Error: Permission Denied: try sudo'; exit 1")
    with pytest.raises(AttachError, match=r"does not permit.*--cap-add SYS_PTRACE"):
        attach(os.getpid(), SECONDS, method="py-spy")
    fake(tmp_path, monkeypatch, "printf 'what\\033[2J went wrong\\n'; exit 1")
    with pytest.raises(AttachError, match=r"could not look at process .* went wrong") as caught:
        attach(os.getpid(), SECONDS, method="py-spy")
    assert "\x1b" not in str(caught.value)
    # A process that a signal has stopped would never stop for py-spy.
    fake(tmp_path, monkeypatch, 'echo "$*"; exit 1')
    stopped = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        stopped.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
        assert is_stopped(stopped.pid)
        with pytest.raises(AttachError, match="--nonblocking"):
            attach(stopped.pid, SECONDS, method="py-spy")
    finally:
        stopped.kill()
        stopped.communicate()
    assert not is_stopped(os.getpid())
    (tmp_path / "py-spy").unlink()
    monkeypatch.setattr(shutil, "which", lambda *_words, **_more: None)
    with pytest.raises(AttachError, match=r"pip install 'paralab\[attach\]'"):
        attach(os.getpid(), SECONDS, method="py-spy")


# -- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x", "--output", "a.prof"], "expected a name that ends with"),
        (["x", "--output", "nowhere/a.json"], "There is no folder nowhere"),
        (["x", "--seconds", "0"], "--seconds"),
        (["x", "--method", "perf"], "--method"),
    ],
)
def test_wrong_words(words: list[str], said: str) -> None:
    done = CliRunner().invoke(profile, words)
    assert done.exit_code == 2
    assert said in done.output


def test_it_is_a_command_of_paralab() -> None:
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())
    where = project["project"]["entry-points"]["paralab.commands"]["profile"]
    assert EntryPoint("profile", where, "paralab.commands").load() is profile


def test_nothing_runs(monkeypatch: Any) -> None:
    monkeypatch.setattr("paralab.process.session_folder.running", lambda **_how: [])
    done = CliRunner().invoke(profile, ["x"])
    assert done.exit_code == 1
    assert "No session of paralab runs on this machine" in done.output
