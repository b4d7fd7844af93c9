"""Code that changed reaches the workers, or the user is told that it does not."""

from __future__ import annotations

import importlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from process_helpers import LARGE, eventually

import paralab
from paralab.engine import current
from paralab.process import imports
from paralab.process.imports import LOOK_NS, Imports, is_users_file

pytestmark = pytest.mark.slow

MODULE = "paralab_edited_module"


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Writes the module that the tests edit; each text of it has another length."""
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda text: edit(tmp_path / f"{MODULE}.py", text)
    sys.modules.pop(MODULE, None)


def edit(path: Path, text: str) -> None:
    importlib.invalidate_caches()
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)  # in one step: a worker that looks meanwhile sees no half of an edit


@paralab.remote
def value() -> int:
    return importlib.import_module(MODULE).value()


@paralab.remote
def pid() -> int:
    return os.getpid()


@paralab.remote
class Actor:
    def value(self) -> int:
        return importlib.import_module(MODULE).value()

    def pid(self) -> int:
        return os.getpid()


def workers() -> list[dict[str, Any]]:
    return current().info("workers")


# -- definitions ------------------------------------------------------------------------------


def cell(source: str) -> dict[str, Any]:
    """Runs source as a notebook cell is run: in ``__main__``, not in a file."""
    space: dict[str, Any] = {"__name__": "__main__", "paralab": paralab}
    exec(compile(source, "<cell>", "exec"), space)
    return space


def test_a_function_that_is_defined_again_is_sent_anew(runtime: Any) -> None:
    for answer in (1, 2, 1):
        space = cell(f"@paralab.remote\ndef f():\n    return {answer}")
        assert paralab.get([space["f"].remote() for _ in range(4)]) == [answer] * 4


def test_a_class_that_is_defined_again_is_sent_anew(runtime: Any) -> None:
    for answer in (1, 2, 1):
        space = cell(f"@paralab.remote\nclass A:\n    def f(self):\n        return {answer}")
        assert paralab.get(space["A"].remote().f.remote()) == answer


def test_the_old_definition_still_works_beside_the_new_one(runtime: Any) -> None:
    old, new = (cell(f"@paralab.remote\ndef f():\n    return {i}")["f"] for i in (1, 2))
    assert paralab.get([old.remote(), new.remote(), old.remote()]) == [1, 2, 1]


def test_a_module_that_is_reloaded_is_sent_anew(
    edited: Callable[[str], None], shutdown_after: None
) -> None:
    paralab.init(num_cpus=1)
    source = "import paralab\n@paralab.remote\ndef f():\n    return {}\n"
    edited(source.format(1))
    module = importlib.import_module(MODULE)
    assert paralab.get(module.f.remote()) == 1
    edited(source.format(22))
    assert paralab.get(importlib.reload(module).f.remote()) == 22


# -- modules in workers -----------------------------------------------------------------------


def test_restart_workers_brings_the_edited_module(
    edited: Callable[[str], None], shutdown_after: None
) -> None:
    edited("def value(): return 1")
    paralab.init(num_cpus=2)
    for answer in (1, 22, 333):
        edited(f"def value(): return {answer}")
        paralab.restart_workers()
        assert paralab.get([value.remote() for _ in range(20)]) == [answer] * 20


def test_restart_workers_ends_the_old_processes(runtime: Any) -> None:
    old = set(paralab.get([pid.remote() for _ in range(20)]))
    paralab.restart_workers()
    new = set(paralab.get([pid.remote() for _ in range(20)]))
    assert not old & new
    eventually(lambda: not old & {worker["pid"] for worker in workers()})


def test_a_busy_worker_goes_after_its_task_and_gets_no_other(runtime: Any) -> None:
    @paralab.remote
    def busy(address: Any) -> int:
        with socket.create_connection(address) as gate:
            gate.sendall(b"here")
            gate.recv(1)
        return os.getpid()

    with socket.create_server(("127.0.0.1", 0)) as server:
        ref = busy.remote(server.getsockname())
        gate, _ = server.accept()
        with gate:
            assert gate.recv(4)
            paralab.restart_workers()
            others = set(paralab.get([pid.remote() for _ in range(10)]))
            gate.sendall(b"x")
    old = paralab.get(ref)
    assert old not in others
    assert old not in paralab.get([pid.remote() for _ in range(10)])
    eventually(lambda: old not in {worker["pid"] for worker in workers()})


def test_a_worker_that_owns_objects_stays_but_gets_no_work(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, _idle_worker_seconds=0.2)

    @paralab.remote
    def keeps() -> Any:
        return os.getpid(), [paralab.put(b"x" * LARGE)]

    owner, box = paralab.get(keeps.remote())
    paralab.restart_workers()
    assert owner not in paralab.get([pid.remote() for _ in range(5)])
    assert len(paralab.get(box[0])) == LARGE
    assert owner in {worker["pid"] for worker in workers()}
    del box
    eventually(lambda: owner not in {worker["pid"] for worker in workers()})


def test_actors_stay(runtime: Any) -> None:
    actor = Actor.remote()
    before = paralab.get(actor.pid.remote())
    paralab.restart_workers()
    assert paralab.get(actor.pid.remote()) == before


def test_a_task_may_ask_for_it(runtime: Any) -> None:
    @paralab.remote
    def restart() -> tuple[int, int]:
        paralab.restart_workers()
        return os.getpid(), paralab.get(pid.remote())

    asked, child = paralab.get(restart.remote())
    assert asked not in (child, paralab.get(pid.remote()))


def test_a_changed_module_is_said_once_for_each_change(
    edited: Callable[[str], None],
    tmp_path: Path,
    shutdown_after: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edited("def value(): return 1")
    paralab.init(num_cpus=1)
    said = ""

    def told(times: int) -> bool:
        nonlocal said
        assert paralab.get(value.remote()) == 1, "a worker keeps what it has imported"
        said += capsys.readouterr().err
        return said.count(MODULE + " (") >= times

    assert not told(1)
    edited("def value(): return 22")
    eventually(lambda: told(1))
    assert "has changed" in said
    assert "paralab.restart_workers()" in said
    edited("def value(): return 333")
    os.utime(tmp_path / f"{MODULE}.py", (1e9, 1e9))  # or it may be the same second's line, counted
    eventually(lambda: told(2))
    assert said.count(MODULE + " (") == 2


def test_an_actor_is_told_that_restart_workers_does_not_help_it(
    edited: Callable[[str], None], shutdown_after: None, capsys: pytest.CaptureFixture[str]
) -> None:
    edited("def value(): return 1")
    paralab.init(num_cpus=1)
    actor = Actor.remote()
    assert paralab.get(actor.value.remote()) == 1
    edited("def value(): return 22")
    said = ""

    def told() -> bool:
        nonlocal said
        assert paralab.get(actor.value.remote()) == 1
        said += capsys.readouterr().err
        return "this actor keeps the old code" in said

    eventually(told)


# -- the record of imports --------------------------------------------------------------------


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> tuple[Imports, list[str]]:
    said: list[str] = []
    watched = Imports(lambda name, _path, _when: said.append(name))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    watched.install()
    return watched, said


def test_an_edit_while_the_importing_task_runs_is_noticed(
    record: tuple[Imports, list[str]], edited: Callable[[str], None]
) -> None:
    watched, said = record
    edited("def value(): return 1")
    importlib.import_module(MODULE)
    edited("def value(): return 22")
    watched.look(1)
    assert said == [MODULE]
    watched.look(2)
    watched.look(1 + LOOK_NS)
    assert said == [MODULE]


def test_files_are_looked_at_once_a_second(
    record: tuple[Imports, list[str]],
    edited: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched, said = record
    edited("def value(): return 1")
    importlib.import_module(MODULE)
    watched.look(1)
    edited("def value(): return 22")
    watched.look(LOOK_NS)
    assert not said
    watched.look(1 + LOOK_NS)
    assert said == [MODULE]
    monkeypatch.setattr(imports, "stamp_of", lambda _path: pytest.fail("it looked again"))
    watched.look(LOOK_NS + 2)


def test_a_file_that_is_gone_for_a_moment_is_no_change(
    record: tuple[Imports, list[str]], edited: Callable[[str], None], tmp_path: Path
) -> None:
    watched, said = record
    edited("def value(): return 1")
    importlib.import_module(MODULE)
    path = tmp_path / f"{MODULE}.py"
    path.rename(tmp_path / "away.py")
    watched.look(1)
    (tmp_path / "away.py").rename(path)
    watched.look(1 + LOOK_NS)
    assert not said


def test_a_reloaded_module_is_up_to_date(
    record: tuple[Imports, list[str]], edited: Callable[[str], None]
) -> None:
    watched, said = record
    edited("def value(): return 1")
    module = importlib.import_module(MODULE)
    edited("def value(): return 22")
    assert importlib.reload(module).value() == 22
    watched.look(1)
    assert not said


def test_a_failed_import_fails_as_ever(record: tuple[Imports, list[str]]) -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module_here"):
        importlib.import_module("no_such_module_here")


def test_installed_modules_are_not_the_users() -> None:
    import cloudpickle

    assert not is_users_file(os.__file__)
    assert not is_users_file(cloudpickle.__file__)
    assert not is_users_file(paralab.__file__)
    assert is_users_file(__file__)


def test_looking_costs_next_to_nothing_in_a_stream_of_tasks(
    record: tuple[Imports, list[str]], edited: Callable[[str], None]
) -> None:
    """A look takes microseconds a file and comes once a second."""
    watched, _said = record
    edited("def value(): return 1")
    importlib.import_module(MODULE)
    best = 1.0
    for turn in range(20):
        start = time.perf_counter()
        watched.look((turn + 1) * LOOK_NS)
        best = min(best, time.perf_counter() - start)
    assert best < 100e-6
