"""Graphs of calls that are bound first and executed later."""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import importlib
import os
import random
from typing import Any

import pytest

LIBRARY = "ray" if os.environ.get("PARALAB_CONFORMANCE") == "ray" else "paralab"

dag = importlib.import_module(f"{LIBRARY}.dag")
InputNode, MultiOutputNode = dag.InputNode, dag.MultiOutputNode


def make(rt: Any) -> tuple[Any, Any]:
    @rt.remote
    def add(a: Any, b: Any = 0) -> Any:
        return a + b

    @rt.remote
    class Counter:
        def __init__(self, n: int = 0) -> None:
            self.n = n

        def inc(self, by: int = 1) -> int:
            self.n += by
            return self.n

        def get(self) -> int:
            return self.n

        @rt.method(num_returns=2)
        def both(self) -> Any:
            return self.n, -self.n

    return add, Counter


def test_functions(rt: Any) -> None:
    add, _ = make(rt)
    node = add.bind(1, b=2)
    assert isinstance(node, dag.FunctionNode)
    assert rt.get(node.execute()) == 3
    assert rt.get(add.bind(node, b=node).execute()) == 6
    assert rt.get(add.bind(rt.put(5), node).execute()) == 8
    assert (node.get_args(), node.get_kwargs()) == ((1,), {"b": 2})
    assert len(node.get_stable_uuid()) == 32
    with pytest.raises(AttributeError, match="execute"):
        node.remote()


def test_input(rt: Any) -> None:
    add, _ = make(rt)
    with InputNode() as x:
        node = add.bind(x, x)
    assert rt.get(node.execute(4)) == 8
    with InputNode() as x:
        node = add.bind(x[0], x.k)
    assert rt.get(node.execute(4, k=3)) == 7
    with pytest.raises(IndexError):
        node.execute(k=1)
    with InputNode() as x:
        node = add.bind(x["a"], x["b"])
    assert rt.get(node.execute({"a": 1, "b": 2})) == 3
    assert rt.get(node.execute(a=1, b=2)) == 3
    with InputNode() as x:
        node = add.bind(x[0], x[1])
    assert rt.get(node.execute([4, 5])) == rt.get(node.execute(4, 5)) == 9
    with pytest.raises(AssertionError, match="int index or str"):
        x[1.5]


def test_misused_inputs(rt: Any) -> None:
    add, Counter = make(rt)
    with pytest.raises(AssertionError):
        add.bind(InputNode(), 1).execute(1)
    with InputNode() as x, InputNode() as y:
        node = add.bind(x, y)
    with pytest.raises(AssertionError, match="unique InputNode"):
        node.execute(1)
    with InputNode() as x, pytest.raises(ValueError, match="ClassNode"):
        Counter.bind(x)


def test_actors(rt: Any) -> None:
    add, Counter = make(rt)
    counter = Counter.bind(10)
    node = counter.inc.bind(1)
    assert rt.get(node.execute()) == 11
    assert rt.get(node.execute()) == 11  # each execute makes its actor
    assert rt.get(counter.get.bind().execute()) == 11  # what was bound before runs before
    assert rt.get(counter.execute().get.remote()) == 10
    other = Counter.options(num_cpus=0).bind(0)
    first, second = other.inc.bind(1), other.inc.bind(10)
    assert rt.get(add.bind(first, second).execute()) == 12
    with pytest.raises(AttributeError):
        _ = counter.nothing
    with pytest.raises(AttributeError):
        counter.inc.remote(1)


def test_handles(rt: Any) -> None:
    add, Counter = make(rt)
    handle = Counter.remote(100)
    node = handle.inc.bind(5)
    assert rt.get(node.execute()) == 105
    assert rt.get(node.execute()) == 110
    with InputNode() as x:
        node = handle.inc.options(name="more").bind(add.bind(x, 1))
    assert rt.get(node.execute(1)) == 112


def test_a_method_with_several_values(rt: Any) -> None:
    _, Counter = make(rt)
    one, other = Counter.remote(3).both.bind()
    assert rt.get(MultiOutputNode([one, other]).execute()) == [3, -3]


def test_each_node_runs_once(rt: Any) -> None:
    add, _ = make(rt)

    @rt.remote
    def some() -> float:
        return random.random()

    shared = some.bind()
    one, other = rt.get(MultiOutputNode([add.bind(shared), add.bind(shared)]).execute())
    assert one == other
    again, _ = rt.get(MultiOutputNode([add.bind(shared), add.bind(shared)]).execute())
    assert again != one


def test_several_outputs(rt: Any) -> None:
    add, _ = make(rt)
    with InputNode() as x:
        first = add.bind(x, 1)
        out = MultiOutputNode([add.bind(first, 10), add.bind(first, 20)])
    refs = out.execute(1)
    assert isinstance(refs, list)
    assert rt.get(refs) == [12, 22]
    with pytest.raises(ValueError, match="Invalid input type"):
        MultiOutputNode(5)


def test_nodes_inside_of_containers_become_refs(rt: Any) -> None:
    add, _ = make(rt)

    @rt.remote
    def kinds(values: Any) -> Any:
        items = values.values() if isinstance(values, dict) else values
        return [type(value).__name__ for value in items]

    node = add.bind(1, 2)
    assert rt.get(kinds.bind([node, node]).execute()) == ["ObjectRef"] * 2
    assert rt.get(kinds.bind({"a": node}).execute()) == ["ObjectRef"]


def test_text(rt: Any) -> None:
    add, _ = make(rt)
    node = add.bind(1)
    text = str(add.options(num_cpus=1).bind(node, b=2))
    assert text.startswith("(FunctionNode, ")
    assert node.get_stable_uuid() in text
    assert "num_cpus: 1" in text


def test_wrong_arguments_are_found_when_the_call_is_made(rt: Any) -> None:
    add, _ = make(rt)
    node = add.bind(1, 2, 3)
    with pytest.raises(TypeError):
        node.execute()
