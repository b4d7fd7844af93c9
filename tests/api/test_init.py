"""Start and end of a session, and what ``init`` returns."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import paralab
from paralab.context import ADDRESS_KEYS
from paralab.experimental.locations import get_object_locations


@paralab.remote
def one() -> int:
    return 1


def keeper_class() -> Any:  # mypy does not know that a decorator changes a class
    @paralab.remote
    class Keeper:
        def get(self) -> int:
            return 1

    return Keeper


Keeper = keeper_class()


def test_the_context(how: dict[str, Any]) -> None:
    with paralab.init(**how) as context:
        assert paralab.is_initialized()
        assert set(ADDRESS_KEYS) <= context.address_info.keys()
        assert len(context.address_info["node_id"]) == 56
        assert context["node_id"] == context.address_info["node_id"]
        assert dict(context) == context.address_info
        assert len(context) == len(context.address_info)
        assert context.python_version in repr(context)
        assert context.dashboard_url == ""
        assert context.ray_version == context.paralab_version == paralab.__version__
    assert not paralab.is_initialized()
    context.disconnect()


def test_html_is_escaped(how: dict[str, Any]) -> None:
    context = paralab.init(**how)
    context.address_info["address"] = "<script>"
    assert "<script>" not in context._repr_html_()
    assert "&lt;script&gt;" in context._repr_html_()


def test_a_second_init_raises_and_says_where_the_first_was(how: dict[str, Any]) -> None:
    first = paralab.init(**how)
    with pytest.raises(RuntimeError, match=r"Maybe you called paralab\.init twice.*test_init\.py:"):
        paralab.init()
    again = paralab.init(ignore_reinit_error=True)
    assert again.address_info == first.address_info


def test_shutdown_may_be_called_twice_and_before_init(how: dict[str, Any]) -> None:
    paralab.shutdown()
    paralab.init(**how)
    paralab.shutdown()
    paralab.shutdown()
    assert not paralab.is_initialized()


def test_a_session_after_a_session(how: dict[str, Any]) -> None:
    paralab.init(**how)
    ref, handle, value = one.remote(), Keeper.remote(), paralab.put(5)
    assert paralab.get([ref, value]) == [1, 5]
    paralab.shutdown()
    paralab.init(**how)
    assert paralab.get(one.remote()) == 1, "functions start afresh"
    for use in (
        lambda: paralab.get(ref),
        lambda: paralab.get([ref]),
        lambda: paralab.wait([ref]),
        lambda: paralab.cancel(ref),
        lambda: get_object_locations([ref]),
    ):
        with pytest.raises(ValueError, match="session that was shut down"):
            use()
    with pytest.raises(ValueError, match=r"Actor.*session that was shut down"):
        handle.get.remote()
    with pytest.raises(ValueError, match="session that was shut down"):
        paralab.kill(handle)
    assert paralab.get(Keeper.remote().get.remote()) == 1


def test_refs_and_handles_of_the_past_start_nothing(how: dict[str, Any]) -> None:
    paralab.init(**how)
    ref, handle = one.remote(), Keeper.remote()
    paralab.shutdown()
    with pytest.raises(ValueError, match="shut down"):
        paralab.get(ref)
    with pytest.raises(ValueError, match="shut down"):
        handle.get.remote()
    assert not paralab.is_initialized()


def test_stale_refs_as_arguments(how: dict[str, Any]) -> None:
    paralab.init(**how)
    ref = paralab.put(1)
    paralab.shutdown()
    paralab.init(**how)
    f = paralab.remote(lambda x: x)
    with pytest.raises(ValueError, match="shut down"):
        paralab.get(f.remote(ref))


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"num_cpus": -1}, ValueError),
        ({"num_cpus": 1.5}, ValueError),
        ({"num_cpus": "two"}, TypeError),
        ({"num_gpus": float("inf")}, ValueError),
        ({"resources": {"CPU": 1}}, ValueError),
        ({"resources": {"disk": 0.00001}}, ValueError),
        ({"resources": [1]}, TypeError),
        ({"object_store_memory": 0}, ValueError),
        ({"object_store_memory": 1_000}, ValueError),
        ({"object_store_memory": 1.5}, TypeError),
        ({"local_mode": "sometimes"}, ValueError),
        ({"namespace": 1}, TypeError),
        ({"namespace": ""}, ValueError),
        ({"runtime_env": {"conda": "x"}}, NotImplementedError),
        ({"runtime_env": {"env_var": {}}}, ValueError),
        ({"runtime_env": {"env_vars": {"A": 1}}}, TypeError),
        ({"address": "10.0.0.1:6379"}, ConnectionError),
        ({"address": 5}, TypeError),
        ({"address": "auto"}, ConnectionError),
        ({"job_config": 5}, TypeError),
        ({"no_such_argument": 1}, RuntimeError),
    ],
    ids=str,
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=next(iter(arguments))):
        paralab.init(**arguments)
    assert not paralab.is_initialized()


def test_a_job_config_stands_for_arguments_that_are_not_given(how: dict[str, Any]) -> None:
    config = paralab.job_config.JobConfig(
        code_search_path=["/nowhere"],
        metadata={"a": "b"},
        ray_namespace="of the job",
        runtime_env={"env_vars": {"OF_THE_JOB": "1"}},
    )
    with paralab.init(job_config=config, **how):
        assert paralab.get_runtime_context().namespace == "of the job"
        assert paralab.get(paralab.remote(lambda: os.environ["OF_THE_JOB"]).remote()) == "1"
    with paralab.init(job_config=config, namespace="given", **how):
        assert paralab.get_runtime_context().namespace == "given"


def test_what_a_job_config_cannot_ask_for() -> None:
    config = paralab.job_config.JobConfig(default_actor_lifetime="detached")
    with pytest.raises(NotImplementedError, match="lifetime='detached'"):
        paralab.init(job_config=config)
    with pytest.raises(TypeError, match="search path is incorrect: <class 'str'>"):
        paralab.job_config.JobConfig(code_search_path="/a:/b")  # type: ignore[arg-type]


def test_arguments_of_rays_that_change_nothing(how: dict[str, Any]) -> None:
    paralab.init(include_dashboard=False, dashboard_port=8265, _node_name="me", **how)


@pytest.mark.parametrize("name", ["object_spilling_directory", "_temp_dir", "_system_config"])
def test_where_to_spill_is_checked(name: str, how: dict[str, Any], tmp_path: Path) -> None:
    def given(folder: Any) -> dict[str, Any]:
        if name != "_system_config":
            return {name: folder}
        config = {"type": "filesystem", "params": {"directory_path": folder}}
        return {name: {"object_spilling_config": json.dumps(config)}}

    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=rf"init\({name}='{folder}'\).*expected a folder"):
            paralab.init(**given(str(folder)), **how)
    with pytest.raises(TypeError, match=rf"init\({name}=3\).*expected the path of a folder"):
        paralab.init(**given(3), **how)
    paralab.init(**given(str(tmp_path / "new" / "one")), **how)
    assert (tmp_path / "new" / "one").is_dir()


@pytest.mark.parametrize("config", ["nonsense", '{"type": "filesystem"}', "[]", 7])
def test_what_a_spilling_config_may_be(config: Any) -> None:
    with pytest.raises(ValueError, match=r"_system_config.*expected JSON"):
        paralab.init(_system_config={"object_spilling_config": config})


def test_spilling_goes_to_folders_only() -> None:
    config = '{"type": "smart_open", "params": {"directory_path": "s3://bucket"}}'
    with pytest.raises(NotImplementedError, match="'smart_open'"):
        paralab.init(_system_config={"object_spilling_config": config})


def test_the_level_of_the_logger(how: dict[str, Any], shutdown_after: None) -> None:
    logger = logging.getLogger("paralab")
    before = logger.level
    try:
        paralab.init(logging_level=logging.ERROR, **how)
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(before)


def test_resources_are_told(how: dict[str, Any]) -> None:
    paralab.init(**{**how, "num_gpus": 1, "resources": {"disk": 2.5}})
    told = paralab.cluster_resources()
    assert (told["CPU"], told["GPU"], told["disk"]) == (2.0, 1.0, 2.5)
    assert paralab.available_resources()["disk"] == 2.5
    (node,) = paralab.nodes()
    assert node["Alive"] is True
    assert node["NodeID"] == paralab.get_runtime_context().get_node_id()


def run(program: str) -> str:
    """What a program of its own prints; it is shown by its file name ``<string>``."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        check=False,
        text=True,
        timeout=50,
    )
    assert not done.stderr, done.stderr
    return done.stdout


def test_everything_goes_at_exit(how: dict[str, Any]) -> None:
    assert run(
        f"""
        import paralab
        paralab.init(**{how!r})
        class K:
            def get(self): return 1
        keeper = paralab.remote(K).remote()
        print(paralab.get([keeper.get.remote(), paralab.put(2)]))
        """
    ).split() == ["[1,", "2]"]


def test_importing_starts_nothing() -> None:
    program = """
        import sys, threading, paralab
        heavy = {"grpc", "numpy", "asyncio", "multiprocessing", "importlib.metadata"}
        print(sorted(heavy & set(sys.modules)), threading.active_count())
        print(paralab.is_initialized())
    """
    assert run(program) == "[] 1\nFalse\n"


@pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("paralab.process.session") is None,
    reason="needs processes",
)
@pytest.mark.parametrize("first", ["f.remote()", "paralab.put(1)", "paralab.get([])", "A.remote()"])
def test_the_first_use_starts_it_and_init_names_the_line(first: str) -> None:
    program = f"""
        import paralab
        f = paralab.remote(lambda: 1)
        class C: pass
        A = paralab.remote(C)
        {first}
        print(paralab.is_initialized())
        try:
            paralab.init()
        except RuntimeError as error:
            print(error)
    """
    told = run(program)
    assert told.startswith("True\nMaybe you called paralab.init twice")
    assert "started by itself at <string>:6" in told


def test_who_only_looks_does_not_start_it() -> None:
    for look in (paralab.nodes, paralab.cluster_resources, paralab.available_resources):
        with pytest.raises(paralab.exceptions.RaySystemError, match=r"(?s)not been .*init\(\)"):
            look()
    with pytest.raises(RuntimeError, match=r"call paralab\.init"):
        paralab.timeline()
    assert not paralab.is_initialized()


def test_a_declared_amount_of_memory(shutdown_after: None) -> None:
    paralab.init(num_cpus=1, _memory=2.9)
    assert paralab.cluster_resources()["memory"] == 2
    takes = paralab.remote(num_cpus=0)(lambda: 5)
    assert paralab.get(takes.options(memory=2.9).remote(), timeout=60) == 5


@pytest.mark.parametrize("memory", [-1, float("inf"), "1 GB"])
def test_an_amount_of_memory_that_is_none(memory: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"_memory=.*a number of bytes >= 0"):
        paralab.init(_memory=memory)


def test_places_are_asked_of_a_session(shutdown_after: None) -> None:
    paralab.shutdown()
    with pytest.raises(RuntimeError, match=r"call paralab\.init\(\) first"):
        get_object_locations([])
    paralab.init(num_cpus=1, include_webui=False)
    with pytest.raises(TypeError, match="expected ObjectRefs, got 5 of int"):
        get_object_locations([5])  # type: ignore[list-item]
