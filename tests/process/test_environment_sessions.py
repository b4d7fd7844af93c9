"""Environments and the life of a session: what is installed, copied, limited and cleaned up."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_helpers import eventually
from program import program

import paralab
from leak_check import descendants, wait_ended

pytestmark = pytest.mark.slow


@paralab.remote
def variable(name: str) -> tuple[str | None, int]:
    return os.environ.get(name), os.getpid()


@paralab.remote
def look(function: Callable[[], Any]) -> Any:
    return function()


def test_the_context_tells_the_environment(shutdown_after: None) -> None:
    job = {"env_vars": {"A": "1"}, "config": {"setup_timeout_seconds": 50}}
    paralab.init(num_cpus=1, runtime_env=job)

    def context() -> Any:
        found = paralab.get_runtime_context()
        return found.runtime_env, found.get_runtime_env_string()

    assert paralab.get_runtime_context().runtime_env["env_vars"] == {"A": "1"}
    shown, text = paralab.get(look.options(runtime_env={"env_vars": {"B": "2"}}).remote(context))
    assert shown["env_vars"] == {"A": "1", "B": "2"}
    assert shown["config"]["setup_timeout_seconds"] == 50
    assert '"env_vars": {"A": "1", "B": "2"}' in text


def test_workers_of_other_environments_make_room(shutdown_after: None) -> None:
    from paralab.process.session import start_session

    start_session(num_cpus=2, process_limit=2)
    pids = set()
    for who in "abcd":
        f = variable.options(runtime_env={"env_vars": {"WHO": who}})
        found, pid = paralab.get(f.remote("WHO"), timeout=60)
        assert found == who
        pids.add(pid)
    assert len(pids) == 4


def test_idle_workers_of_an_environment_end(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, _idle_worker_seconds=0.2)
    _who, pid = paralab.get(variable.options(runtime_env={"env_vars": {"A": "1"}}).remote("A"))
    eventually(lambda: pid not in descendants(os.getpid()))


@pytest.mark.slow
def test_each_driver_of_a_node_has_its_own_environment(shutdown_after: None) -> None:
    paralab.init(num_cpus=2, runtime_env={"env_vars": {"WHO": "first"}})
    address = paralab.get_runtime_context().gcs_address
    code = f"""
    paralab.init({address!r}, runtime_env={{"env_vars": {{"WHO": "second"}}}})
    print(paralab.get(paralab.remote(lambda: os.environ["WHO"]).remote()), flush=True)
    sys.stdin.readline()
    """
    with program(code) as driver:
        assert driver.line() == "second"
        assert paralab.get(variable.remote("WHO"))[0] == "first"
        driver.end(line="\n")


@pytest.fixture
def sessions() -> Callable[[], list[str]]:
    """Gives the folders of sessions that are there."""
    place = Path(os.environ["TMPDIR"])
    return lambda: sorted(path.name for path in place.glob("paralab-*"))


@pytest.mark.slow
def test_folders_go_with_the_driver_and_the_node(
    sessions: Callable[[], list[str]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code = f"""
    paralab.init(num_cpus=1, runtime_env={{"working_dir": {str(tmp_path)!r}}})
    print(paralab.get(paralab.remote(lambda: len(os.listdir("."))).remote()), flush=True)
    sys.stdin.readline()
    """
    with program(code) as driver:
        assert driver.line() == "1"
        assert len(sessions()) == 1
        driver.process.kill()
        driver.process.wait()
        eventually_gone(sessions, driver.pid)
    with program(code) as driver:
        assert driver.line() == "1"
        (node,) = driver.named("paralab-node")
        os.kill(node, 9)
        driver.end(line="\n")
        assert sessions() == []


def eventually_gone(sessions: Callable[[], list[str]], pid: int) -> None:
    for child in descendants(os.getpid()):
        assert wait_ended(child)
    assert sessions() == [], pid
