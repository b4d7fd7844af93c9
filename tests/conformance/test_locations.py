"""Where objects are and how large, and the tables of actors and nodes that older programs read."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

LARGE = 1_000_000


def submodule(rt: Any, name: str) -> Any:
    return importlib.import_module(f"{rt.library.__name__}.{name}")


@pytest.mark.parametrize("name", ["get_object_locations", "get_local_object_locations"])
def test_what_is_on_the_node_and_how_large(rt: Any, name: str) -> None:
    @rt.remote
    def returns(size: int) -> bytes:
        return bytes(size)

    @rt.remote
    def raises() -> None:
        raise ValueError

    put, large_put = rt.put(b"x" * 100), rt.put(b"x" * LARGE)
    small, large, error = returns.remote(100), returns.remote(LARGE), raises.remote()
    rt.wait([small, large, error], num_returns=3)
    found = getattr(submodule(rt, "experimental"), name)([put, large_put, small, large, error])
    assert set(found) == {put, large_put, small, large, error}
    if rt.engine == "local":
        return  # values are not written down, so they are on no node and have no size
    here = [rt.get_runtime_context().get_node_id()]
    on = {ref: each["node_ids"] for ref, each in found.items()}
    assert on == {put: here, large_put: here, small: [], large: here, error: []}
    assert 100 < found[put]["object_size"] < 1000
    assert 100 < found[small]["object_size"] < 1000
    assert LARGE < found[large_put]["object_size"] < LARGE + 10_000
    assert LARGE < found[large]["object_size"] < LARGE + 10_000


def test_what_has_no_value_yet_is_nowhere(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("nothing runs beside the caller")
    signal = submodule(rt, "_common.test_utils").SignalActor.remote()
    waits = signal.wait.remote()
    for name in ("get_object_locations", "get_local_object_locations"):
        found = getattr(submodule(rt, "experimental"), name)([waits])[waits]
        assert (found["node_ids"], found["object_size"]) == ([], None)
    rt.get(signal.send.remote())
    rt.get(waits)


def test_a_task_asks_about_refs_of_its_caller(rt: Any) -> None:
    library = rt.library.__name__

    @rt.remote
    def ask(refs: list[Any]) -> list[Any]:
        experimental = importlib.import_module(f"{library}.experimental")
        found = experimental.get_object_locations(refs)
        return [found[ref]["node_ids"] for ref in refs]

    put = rt.put(b"x" * LARGE)
    here = [] if rt.engine == "local" else [rt.get_runtime_context().get_node_id()]
    assert rt.get(ask.remote([put])) == [here]


def test_no_refs_are_nowhere(rt: Any) -> None:
    assert submodule(rt, "experimental").get_object_locations([]) == {}


def test_resources_are_not_set_later(rt: Any) -> None:
    with pytest.raises(DeprecationWarning, match="placement groups"):
        submodule(rt, "experimental").set_resource("license", 1)


def test_the_tables_of_actors_and_nodes(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("there is no table of nodes")
    state = submodule(rt, "_private.state")

    @rt.remote
    class Actor:
        def pid(self) -> int:
            return os.getpid()

    actor = Actor.remote()
    pid = rt.get(actor.pid.remote())
    facts = state.actors(actor._actor_id.hex())
    assert state.actors()[actor._actor_id.hex()]["ActorID"] == facts["ActorID"]
    assert (facts["State"], facts["Pid"]) == ("ALIVE", pid)
    assert facts["Address"]["NodeID"] == rt.get_runtime_context().get_node_id()
    assert state.node_ids() == [state.current_node_id()]
    here = rt.remote(resources={state.current_node_id(): 0.001})(lambda: os.getpid())
    assert rt.get(here.remote()) > 0
    driver = rt.get_runtime_context().get_job_id()
    assert [each["IsDead"] for each in state.jobs() if each["JobID"] == driver] == [False]

    rt.kill(actor)
    test_utils = submodule(rt, "_common.test_utils")
    test_utils.wait_for_condition(
        lambda: state.actors(facts["ActorID"])["State"] == "DEAD", timeout=60
    )
    assert state.actors(facts["ActorID"])["Pid"] == pid, "it is known of the dead as well"


def test_every_kind_of_accelerator_is_listed(rt: Any) -> None:
    ids = rt.get_runtime_context().get_accelerator_ids()
    assert not any(ids.values())
    assert {"GPU", "TPU", "neuron_cores"} <= set(ids)
