"""Remote functions and classes as objects: names, copies, and what they cost."""

from __future__ import annotations

import gc
import inspect
import pickle
import weakref
from typing import Any

import cloudpickle
import pytest

import paralab
from paralab import actor, actor_interface, remote_function
from paralab.call_signature import CallSignature, shape_of


@paralab.remote
def documented(x: int, *, y: int = 2) -> int:
    """Says what it does."""
    return x + y


def actor_class() -> Any:
    @paralab.remote
    class Node:
        """Makes its like."""

        def __init__(self, depth: int = 3) -> None:
            self.depth = depth

        def grow(self, by: int = 1) -> Any:
            return Node.remote(self.depth + by)

        def count(self) -> Any:
            yield from range(self.depth)

    return Node


def recursive() -> Any:
    @paralab.remote
    def f(n: int, step: int = 1) -> int:
        return 0 if n <= 0 else 1 + int(paralab.get(f.remote(n - step)))

    return f


def sent(value: Any) -> Any:
    return pickle.loads(cloudpickle.dumps(value))


def test_it_looks_like_the_function() -> None:
    assert documented.__name__ == "documented"
    assert documented.__doc__ == "Says what it does."
    assert list(inspect.signature(documented).parameters) == ["x", "y"]
    assert documented.__wrapped__(1, y=3) == 4
    assert documented.options(num_cpus=2).__doc__ == documented.__doc__
    assert "documented" in repr(documented)


def test_it_looks_like_the_class() -> None:
    node = actor_class()
    assert (node.__name__, node.__doc__) == ("Node", "Makes its like.")
    assert node.__wrapped__(5).depth == 5
    assert repr(node) == "<actor class Node>"


@pytest.mark.parametrize("make", [recursive, actor_class])
def test_what_arrives_twice_is_one_thing(make: Any) -> None:
    remote = make()
    once, again = sent(remote), sent(remote)
    assert once._spec is remote._spec is again._spec
    assert once._options is not None
    variant = sent(remote.options(num_cpus=2))
    assert variant._spec is remote._spec
    assert variant._options.resources == {"CPU": 20_000}


def test_in_another_process_it_is_one_thing_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as that can be had here: with the tables of known functions empty."""
    originals = recursive(), actor_class()
    monkeypatch.setattr(remote_function, "remote_functions", weakref.WeakValueDictionary())
    monkeypatch.setattr(actor, "remote_classes", weakref.WeakValueDictionary())
    monkeypatch.setattr(actor_interface, "_interfaces", weakref.WeakValueDictionary())
    for original in originals:
        arrived = sent(original)
        assert arrived._spec is not original._spec
        assert arrived._spec.id == original._spec.id
        assert sent(original)._spec is arrived._spec
        assert arrived._signature.shape == original._signature.shape
    f = sent(originals[0])
    cells = dict(zip(f.__wrapped__.__code__.co_freevars, f.__wrapped__.__closure__, strict=True))
    assert cells["f"].cell_contents._spec is f._spec, "it calls itself, not a copy"
    assert f.__wrapped__.__defaults__ == (1,)


def test_unused_functions_are_forgotten() -> None:
    gone = weakref.ref(recursive()._spec)
    gc.collect()
    assert gone() is None


def test_the_number_of_returns_of_a_generator_may_be_given(engine: str) -> None:
    @paralab.remote
    def count(n: int) -> Any:
        yield from range(n)

    assert paralab.get(count.options(num_returns=3).remote(3)) == [0, 1, 2]
    node = actor_class().remote()
    assert paralab.get(node.count.options(num_returns=3).remote()) == [0, 1, 2]
    assert paralab.get(list(node.count.remote())) == [0, 1, 2]


def test_recursion_and_classes_that_make_their_like(engine: str) -> None:
    assert paralab.get(recursive().remote(5)) == 5
    child = paralab.get(actor_class().remote().grow.remote(by=2))
    assert repr(child).startswith("Actor(Node, ")


def test_timeline(engine: str) -> None:
    paralab.get(documented.options(name="the one").remote(1))
    events = paralab.timeline()
    assert events is not None
    assert any("the one" in str(event.get("name")) for event in events)
    assert paralab.get(documented.remote(1)) == 3


def test_restart_workers(engine: str) -> None:
    assert paralab.get(documented.remote(1)) == 3
    paralab.restart_workers()
    assert paralab.get(documented.remote(1)) == 3


def test_gpu_ids(engine: str) -> None:
    assert paralab.get_gpu_ids() == []


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (lambda: 0, (1,), {}),
        (lambda x, /: 0, (), {"x": 1}),
        (lambda x, *, y: 0, (1,), {}),
        (lambda *, y: 0, (1,), {"y": 2}),
        (lambda x, y=2: 0, (1,), {"x": 2}),
    ],
)
def test_calls_that_do_not_fit(function: Any, args: Any, kwargs: Any) -> None:
    signature = CallSignature("f", shape_of(function))
    with pytest.raises(TypeError, match=r"does not fit f\("):
        signature.check(args, kwargs)
    assert not signature.accepted


def test_shapes_of_calls_are_remembered_but_not_without_end() -> None:
    signature = CallSignature("f", shape_of(lambda *args, **kwargs: 0))
    signature.check((1, 2), {})
    signature.check((1,), {"b": 1})
    assert signature.accepted == {2, (1, "b")}
    for n in range(1000):
        signature.check((), {f"k{n}": 0})
    assert len(signature.accepted) <= 256


def test_defaults_do_not_travel() -> None:
    big = bytes(1 << 20)
    assert len(pickle.dumps(shape_of(lambda x, y=big: 0))) < 200


def test_what_has_no_signature_takes_anything() -> None:
    class NotKnown:
        __signature__ = "not one"

        def __call__(self) -> None: ...

    CallSignature("f", shape_of(NotKnown())).check((1, 2, 3, 4), {"x": 1})
