"""Helpers that tests of Ray programs import: further drivers, processes that end, actors killed.

Those that tests use in every release are in :mod:`paralab._common.test_utils`, and are here too.
"""

from __future__ import annotations

import fnmatch
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import paralab
from paralab._common.test_utils import (
    Semaphore,
    SignalActor,
    async_wait_for_condition,
    driver_environment,
    is_named_tuple,
    run_string_as_driver,
    wait_for_condition,
)

__all__ = [
    "Semaphore",
    "SignalActor",
    "async_wait_for_condition",
    "is_named_tuple",
    "run_string_as_driver",
    "wait_for_condition",
]


class RayTestTimeoutException(Exception):
    """A helper's time is over; an older name, tests say it in ``raises``."""


def run_string_as_driver_stdout_stderr(
    driver_script: str,
    env: Mapping[str, str] | None = None,
    encode: str = "utf-8",
    timeout: float | None = 300.0,
) -> tuple[str, str]:
    """:func:`run_string_as_driver` that tells what was printed and what went to stderr apart."""
    done = subprocess.run(
        [sys.executable, "-"],
        input=driver_script.encode(encode),
        capture_output=True,
        env=driver_environment(env),
        timeout=timeout,
        check=False,
    )
    out, err = (text.decode(encode, errors="replace") for text in (done.stdout, done.stderr))
    if done.returncode:
        sys.stdout.write(out + err)
        raise subprocess.CalledProcessError(done.returncode, done.args, out, err)
    return out, err


def run_string_as_driver_nonblocking(
    driver_script: str, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Starts a program in a Python process of its own, and returns that process.

    Its program is read from stdin before it begins, so it has no stdin of its own.
    """
    start = (
        "import sys; text = sys.stdin.read(); sys.stdin.close(); exec(compile(text, '-', 'exec'))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", start],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=driver_environment(env),
    )
    assert process.stdin is not None
    process.stdin.write(driver_script.encode())
    process.stdin.close()
    return process


def check_call_subprocess(
    argv: Sequence[str], capture_stdout: bool = False, capture_stderr: bool = False
) -> tuple[str, str]:
    """Runs a command that must succeed; returns what it wrote, where that was to be captured."""
    done = subprocess.run(
        list(argv),
        stdout=subprocess.PIPE if capture_stdout else None,
        stderr=subprocess.PIPE if capture_stderr else None,
        check=True,
    )
    return (done.stdout or b"").decode(), (done.stderr or b"").decode()


def check_call_ray(
    args: Sequence[str], capture_stdout: bool = False, capture_stderr: bool = False
) -> tuple[str, str]:
    """Runs the command line, for example ``["start", "--head"]``."""
    command = [sys.executable, "-m", "paralab.cli", *args]
    return check_call_subprocess(command, capture_stdout, capture_stderr)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            found += map(int, file.read().split())
    return [child for child in found if _is_alive(child)]


def _until(condition: Callable[[], bool], timeout: float, problem: str) -> None:
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(problem)
        time.sleep(0.02)


def wait_for_pid_to_exit(pid: int, timeout: float = 20) -> None:
    """Returns when there is no such process, or only a dead one that nobody has waited for."""
    problem = f"Timed out while waiting for process {pid} to exit."
    _until(lambda: not _is_alive(pid), timeout, problem)


def wait_for_children_of_pid(pid: int, num_children: int = 1, timeout: float = 20) -> None:
    """Returns when the process has that many children."""
    problem = f"Process {pid} has not started {num_children} children within {timeout} s."
    _until(lambda: len(_children(pid)) >= num_children, timeout, problem)


def wait_for_children_of_pid_to_exit(pid: int, timeout: float = 20) -> None:
    """Returns when the children that the process has now are gone."""
    children = _children(pid)
    problem = f"Children of process {pid} have not ended within {timeout} s."
    _until(lambda: not any(map(_is_alive, children)), timeout, problem)


def wait_for_num_actors(num_actors: int, state: str | None = None, timeout: float = 10) -> None:
    """Returns when that many actors are known, in the given state or in any."""
    from paralab.util.state import list_actors

    filters = [("state", "=", str(state))] if state else None
    problem = f"Timed out while waiting for {num_actors} actors."
    _until(lambda: len(list_actors(filters=filters)) >= num_actors, timeout, problem)


def convert_actor_state(state: Any) -> Any:
    """The state's name: states are named here from the start."""
    return state


def kill_actor_and_wait_for_failure(
    actor: Any, timeout: float = 10, retry_interval_ms: float = 100
) -> None:
    """Kills an actor and returns when it is dead, or is being started again.

    Raises:
        RuntimeError: neither has happened in time.
    """
    from paralab.util.state import get_actor

    actor_id = actor._actor_id.hex()
    before: Any = get_actor(actor_id)
    paralab.kill(actor)

    def has_happened() -> bool:
        now: Any = get_actor(actor_id)
        if now is None or now.state == "DEAD":
            return True
        return before is not None and int(now.num_restarts) > int(before.num_restarts)

    try:
        wait_for_condition(has_happened, timeout, retry_interval_ms)
    except RuntimeError:
        raise RuntimeError(f"It took too much time to kill an actor: {actor_id}") from None


def wait_for_assertion(
    assertion_predictor: Callable[..., Any],
    timeout: float = 10,
    retry_interval_ms: float = 100,
    raise_exceptions: bool = False,
    **kwargs: Any,
) -> None:
    """Calls a function with assertions until they hold; when time is over, they are raised."""

    def holds() -> bool:
        assertion_predictor(**kwargs)
        return True

    try:
        wait_for_condition(holds, timeout, retry_interval_ms, raise_exceptions)
    except RuntimeError:
        assertion_predictor(**kwargs)


def wait_until_succeeded_without_exception(
    func: Callable[..., Any],
    exceptions: tuple[type[BaseException], ...],
    *args: Any,
    timeout_ms: float = 1000,
    retry_interval_ms: float = 100,
    raise_last_ex: bool = False,
) -> bool:
    """Calls ``func(*args)`` until it raises none of ``exceptions``; says whether it ever did."""
    end = time.monotonic() + timeout_ms / 1000
    last = ""
    while time.monotonic() <= end:
        try:
            func(*args)
            return True
        except exceptions:
            last = traceback.format_exc()
        time.sleep(retry_interval_ms / 1000)
    if raise_last_ex:
        raise Exception(f"Timed out while testing, {last}")  # noqa: TRY002  (as in Ray)
    return False


@paralab.remote
def _put(value: Any) -> Any:
    return value


def put_object(obj: Any, use_ray_put: bool) -> Any:
    """A ref to ``obj``, by ``put`` or as the result of a task."""
    return paralab.put(obj) if use_ray_put else _put.remote(obj)


def same_elements(elems_a: Iterable[Any], elems_b: Iterable[Any]) -> bool:
    """Whether both have the same elements, which need not be hashable, in any order."""
    a, b = list(elems_a), list(elems_b)
    return all(x in b for x in a) and all(x in a for x in b)


def dicts_equal(dict1: Mapping[Any, Any], dict2: Mapping[Any, Any], abs_tol: float = 1e-4) -> bool:
    """Whether both have the same keys, and numbers that differ by no more than ``abs_tol``."""
    return dict1.keys() == dict2.keys() and all(
        abs(value - dict2[key]) <= abs_tol for key, value in dict1.items()
    )


def recursive_fnmatch(dirpath: str, pattern: str) -> list[str]:
    """The files below a folder whose names match."""
    return [
        os.path.join(root, name)
        for root, _, names in os.walk(dirpath)
        for name in fnmatch.filter(names, pattern)
    ]


def generate_system_config_map(**kwargs: Any) -> dict[str, Any]:
    """The argument of ``init`` for Ray's own settings, which change nothing here."""
    return {"_system_config": kwargs}


def client_test_enabled() -> bool:
    """Whether tests go through Ray's client: never."""
    return False


def external_redis_test_enabled() -> bool:
    """Whether Ray keeps its tables in Redis: never."""
    return False


def is_placement_group_removed(pg: Any) -> bool:
    """Whether a placement group is gone."""
    return bool(paralab.util.placement_group_table(pg).get("state") == "REMOVED")


def placement_group_assert_no_leak(pgs_created: Iterable[Any]) -> None:
    """Removes placement groups, and sees that all resources come back."""
    for group in pgs_created:
        paralab.util.remove_placement_group(group)
    wait_for_condition(
        lambda: all(
            row["state"] == "REMOVED" for row in paralab.util.placement_group_table().values()
        )
    )
    wait_for_condition(no_resource_leaks_excluding_node_resources)


def no_resource_leaks_excluding_node_resources() -> bool:
    """Whether all resources but the node's own marks and the memory are free."""

    def counted(resources: Mapping[str, float]) -> dict[str, float]:
        return {
            name: amount
            for name, amount in resources.items()
            if "node" not in name and name not in ("memory", "object_store_memory")
        }

    return counted(paralab.cluster_resources()) == counted(paralab.available_resources())


def get_actor_node_id(actor_handle: Any) -> str:
    """The id of the node on which an actor is."""
    answer = actor_handle.__ray_call__.remote(
        lambda _self: paralab.get_runtime_context().get_node_id()
    )
    return str(paralab.get(answer))


def get_non_head_nodes(cluster: Any) -> list[Any]:
    """The nodes of a ``cluster_utils.Cluster`` but its first."""
    return [node for node in cluster.list_all_nodes() if not node.head]


@contextmanager
def chdir(d: str) -> Iterator[None]:
    """Works in another folder for a while."""
    before = os.getcwd()
    os.chdir(d)
    try:
        yield
    finally:
        os.chdir(before)


def __getattr__(name: str) -> Any:
    from paralab.absent import inside

    raise AttributeError(inside(__name__, name))
