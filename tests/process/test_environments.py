"""Workers in environments of their own: variables, folders, modules and hooks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_helpers import make_wheel

import paralab
from paralab.exceptions import ActorDiedError, RuntimeEnvSetupError
from paralab.runtime_env.variables import come_after_the_fork

pytestmark = pytest.mark.slow


@paralab.remote
def variable(name: str) -> tuple[str | None, int]:
    return os.environ.get(name), os.getpid()


@paralab.remote
def look(function: Callable[[], Any]) -> Any:
    return function()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a module, data and what is to be left out."""
    (tmp_path / "src").mkdir()
    folder = tmp_path / "src"
    (folder / "here_only.py").write_text("VALUE = 5\n")
    (folder / "data.txt").write_text("rows")
    (folder / "big.log").write_text("x")
    (folder / ".gitignore").write_text("*.log\n")
    return folder


@pytest.mark.parametrize("name", ["PYTHONHASHSEED", "OMP_NUM_THREADS"])
def test_variables_are_there_before_anything_is_imported(session: Any, name: str) -> None:
    env = {"env_vars": {name: "7"}}
    assert paralab.get(variable.options(runtime_env=env).remote(name))[0] == "7"
    if name == "PYTHONHASHSEED":
        expected = subprocess.run(
            [sys.executable, "-c", "print(hash('a'))"],
            env={**os.environ, name: "7"}, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert paralab.get(look.options(runtime_env=env).remote(lambda: hash("a"))) == int(expected)


@pytest.mark.parametrize(("name", "is_forked"), [("MODE", True), ("OMP_NUM_THREADS", False)])
def test_a_worker_is_forked_where_its_variables_may_come_later(
    session: Any, name: str, is_forked: bool
) -> None:
    def command_and_variable() -> tuple[bytes, bytes, str | None]:
        seen = subprocess.run(["printenv", name], capture_output=True, check=True).stdout
        return Path("/proc/self/cmdline").read_bytes(), seen, os.environ.get(name)

    f = look.options(runtime_env={"env_vars": {name: "5"}})
    command, of_a_child, here = paralab.get(f.remote(command_and_variable))
    assert (b"process.worker" not in command) is is_forked
    assert (of_a_child, here) == (b"5\n", "5")


def test_which_variables_are_read_early() -> None:
    for name in ("PYTHONHASHSEED", "LD_PRELOAD", "MKL_NUM_THREADS", "LC_ALL", "TZ", "TMPDIR"):
        assert not come_after_the_fork({"env_vars": {"MODE": "x", name: "1"}}), name
    for name in ("MODE", "CUDA_VISIBLE_DEVICES", "MY_TZ", "AWS_REGION", "PATH", "TEMPERATURE"):
        assert come_after_the_fork({"env_vars": {name: "1"}}), name
    assert come_after_the_fork({"working_dir": "/x"})
    assert not come_after_the_fork({"pip": ["x"]})


def test_a_value_may_use_what_the_variable_was(session: Any) -> None:
    env = {"env_vars": {"PATH": "${PATH}:/opt/own", "NEW": "a${NO_SUCH_VARIABLE}b"}}
    f = variable.options(runtime_env=env)
    assert paralab.get(f.remote("PATH"))[0] == os.environ["PATH"] + ":/opt/own"
    assert paralab.get(f.remote("NEW"))[0] == "ab"


def test_workers_are_kept_apart_by_environment_and_used_again(session: Any) -> None:
    a = variable.options(runtime_env={"env_vars": {"WHO": "a"}})
    same = variable.options(runtime_env={"env_vars": {"WHO": "a"}, "config": {}})
    b = variable.options(runtime_env={"env_vars": {"WHO": "b"}})
    seen: dict[int, set[str | None]] = {}
    for _ in range(3):
        refs = [f.remote("WHO") for f in (a, b, variable, same)]
        assert [who for who, _pid in paralab.get(refs)] == ["a", "b", None, "a"]
        for who, pid in paralab.get(refs):
            seen.setdefault(pid, set()).add(who)
    assert all(len(whos) == 1 for whos in seen.values()), seen


def test_tasks_and_actors_of_a_task_have_its_environment(session: Any) -> None:
    def nested() -> Any:
        class Inner:
            def who(self) -> Any:
                return os.environ.get("WHO"), os.environ.get("MORE")

        actor = paralab.remote(Inner).options(runtime_env={"env_vars": {"MORE": "m"}}).remote()
        own = paralab.get(variable.remote("WHO"))[0]
        return own, paralab.get(actor.who.remote())

    env = {"env_vars": {"WHO": "outer", "MORE": "o"}}
    assert paralab.get(look.options(runtime_env=env).remote(nested)) == ("outer", ("outer", "m"))


def test_a_working_dir_is_copied_when_it_is_first_used(session: Any, source: Path) -> None:
    def work() -> Any:
        import here_only  # type: ignore[import-not-found]

        Path("written").write_text("by the worker")
        return here_only.VALUE, sorted(os.listdir("."))

    f = look.options(runtime_env={"working_dir": str(source), "excludes": ["data.txt"]})
    names = [".gitignore", "here_only.py", "written"]
    value, found = paralab.get(f.remote(work))
    assert (value, [name for name in found if name != "__pycache__"]) == (5, names)
    assert not (source / "written").exists()
    (source / "here_only.py").write_text("VALUE = 6\n")
    assert paralab.get(f.remote(work))[0] == 5, "the same options have the same copy"
    g = look.options(runtime_env={"working_dir": str(source)})
    assert paralab.get(g.remote(work))[0] == 6


def test_modules_come_from_folders_files_and_wheels(session: Any, tmp_path: Path) -> None:
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").write_text("NAME = 'package'\n")
    (tmp_path / "a_module.py").write_text("NAME = 'module'\n")
    wheel = make_wheel(tmp_path, "a-wheel", "1.0", "NAME = 'wheel'\n")

    def names() -> list[str]:
        from importlib import import_module

        return [import_module(name).NAME for name in ("a_package", "a_module", "a_wheel")]

    modules = [str(tmp_path / "a_package"), str(tmp_path / "a_module.py"), str(wheel)]
    f = look.options(runtime_env={"py_modules": modules})
    assert paralab.get(f.remote(names)) == ["package", "module", "wheel"]


def test_a_hook_runs_before_the_first_task(session: Any) -> None:
    def hook() -> None:
        os.environ["HOOKED"] = str(int(os.environ.get("HOOKED", "0")) + 1)

    f = variable.options(runtime_env={"worker_process_setup_hook": hook})
    assert [paralab.get(f.remote("HOOKED"))[0] for _ in range(3)] == ["1", "1", "1"]


def test_a_hook_that_raises_fails_those_who_asked_and_nobody_else(session: Any) -> None:
    def hook() -> None:
        raise OSError("no such device")

    f = variable.options(runtime_env={"worker_process_setup_hook": hook})
    for ref in [f.remote("A") for _ in range(3)]:
        with pytest.raises(RuntimeEnvSetupError, match="no such device"):
            paralab.get(ref)

    class Actor:
        def method(self) -> None: ...

    actor = paralab.remote(Actor).options(runtime_env={"worker_process_setup_hook": hook}).remote()
    with pytest.raises((RuntimeEnvSetupError, ActorDiedError), match="no such device"):
        paralab.get(actor.method.remote())
    assert paralab.get(variable.remote("NOTHING"))[0] is None


def test_a_worker_that_never_reports_is_not_started_for_ever(session: Any) -> None:
    env = {"env_vars": {"PYTHONHOME": "/nowhere"}}
    with pytest.raises(RuntimeEnvSetupError, match="ended before it could take work"):
        paralab.get(variable.options(runtime_env=env).remote("A"))


def test_python_processes_of_a_worker_can_import_paralab(session: Any) -> None:
    def run() -> str:
        code = "import paralab; print(paralab.__file__)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return done.stdout.decode().strip()

    env = {"env_vars": {"PYTHONPATH": "/some/folder"}}
    assert paralab.get(look.options(runtime_env=env).remote(run)) == paralab.__file__
