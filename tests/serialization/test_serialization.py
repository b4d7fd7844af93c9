"""Values come back as they went; refs are noticed; functions go the way they must."""

from __future__ import annotations

import abc
import array
import collections
import copy
import dataclasses
import enum
import functools
import gc
import io
import logging
import pickle
import subprocess
import sys
import threading
import types
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paralab import serialization
from paralab.object_ref import ObjectRef
from paralab.serialization import (
    LARGE_BYTES,
    blob_parts,
    blob_size,
    join_blob,
    load,
    load_args,
    pack,
    pack_args,
)

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
scalars = plain | st.binary() | st.complex_numbers(allow_nan=False)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(plain, inner)
        | st.frozensets(scalars)
    ),
    max_leaves=8,
)


def write_blob(target: memoryview, data: bytes, buffers: Any) -> None:
    """Writes a blob part by part, as the store does."""
    for offset, part in blob_parts(data, buffers):
        target[offset : offset + len(part)] = part


def there_and_back(value: Any) -> Any:
    """By bytes and by shared memory, which must agree."""
    data, buffers, _ = pack(value)
    target = bytearray(blob_size(data, buffers))
    write_blob(memoryview(target), data, buffers)
    assert join_blob(data, buffers) == target
    load(join_blob(data, buffers))
    return load(memoryview(target))


@given(values)
def test_values(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


@given(st.lists(values, max_size=3).map(tuple), st.dictionaries(st.text(), values, max_size=2))
def test_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    data, buffers, refs, top = pack_args(args, kwargs)
    assert not refs
    assert not top
    assert load_args(join_blob(data, buffers)) == (args, kwargs)


@given(
    args=st.lists(st.none() | st.integers()),
    kwargs=st.dictionaries(st.text(), st.none() | st.integers()),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_top_level_refs_are_set_aside(
    fake: Any, args: list[int | None], kwargs: dict[str, Any]
) -> None:
    def as_ref(number: int | None) -> Any:
        return "value" if number is None else fake.ref(number % 1000)

    given_args = tuple(map(as_ref, args))
    given_kwargs = {key: as_ref(number) for key, number in kwargs.items()}
    data, buffers, nested, top = pack_args(given_args, given_kwargs)
    back, back_kwargs = load_args(join_blob(data, buffers))
    assert not nested
    items = list(back)
    for place, ref in top:
        where: Any = items if isinstance(place, int) else back_kwargs
        assert where[place] is None
        where[place] = ref
    assert tuple(items) == given_args
    assert back_kwargs == given_kwargs


def test_nested_refs_are_found_wherever_they_are(fake: Any) -> None:
    @dataclasses.dataclass
    class Local:
        ref: ObjectRef

    refs = [fake.ref(number) for number in range(8)]

    captured = refs[3]

    def closure() -> Any:
        return captured

    def default(ref: ObjectRef = refs[5]) -> ObjectRef:
        return ref

    value = (
        [refs[0]],
        {refs[1]: {refs[2]}},
        closure,
        Local(refs[4]),
        default,
        functools.partial(print, refs[6]),
        ValueError(refs[7]),
    )
    data, buffers, found = pack(value)
    assert {id(ref) for ref in found} == {id(ref) for ref in refs}
    back = load(join_blob(data, buffers))
    assert fake.restored == list(found)
    assert back[0] == [refs[0]]
    assert back[1] == {refs[1]: {refs[2]}}
    assert back[2]() == refs[3]
    assert back[3].ref == refs[4]
    assert back[4]() == refs[5]
    assert back[6].args == (refs[7],)
    assert fake.pinned == []

    _, _, nested, top = pack_args((refs[0], [refs[1]]), {"x": refs[2], "y": {"z": refs[3]}})
    assert list(nested) == [refs[1], refs[3]]
    assert list(top) == [(0, refs[0]), ("x", refs[2])]
    assert fake.pinned == []


def test_a_ref_met_twice_counts_once(fake: Any) -> None:
    ref = fake.ref(1)
    data, _, found = pack([ref, ref, {"again": ref}])
    assert list(found) == [ref]
    first, second, _ = load(data)
    assert first is second
    assert len(fake.restored) == 1


def test_other_picklers_pin(fake: Any) -> None:
    ref = fake.ref(1)
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert fake.pinned == [ref]


# Functions, classes and what cloudpickle adds


def module_function(x: int) -> int:
    return x + 1


class ModuleClass:
    def __init__(self) -> None:
        self.x = 1

    def method(self) -> int:
        return self.x


class Color(enum.Enum):
    RED = 1


def test_importable_functions_and_classes_go_by_name() -> None:
    import collections.abc
    import json

    for value in (json.dumps, json.JSONDecoder, collections.abc.Mapping, dict, len, np.sum):
        data, _, _ = pack(value)
        assert load(data) is value
        assert len(data) < 80


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """This module's twin, under a name that can be imported."""
    module = types.ModuleType("importable_twin")
    module.__dict__.update(
        {name: value for name, value in globals().items() if not name.startswith("__")}
    )
    code = (
        "def function(): return 1\nclass Class: pass\nclass Color(__import__('enum').Enum): RED=1"
    )
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_modules_registered_by_value_go_by_value(importable: Any) -> None:
    for value in (importable.function, importable.Class, importable.Color):
        assert load(pack(value)[0]) is value
    by_name = len(pack(importable.function)[0])
    cloudpickle.register_pickle_by_value(importable)
    try:
        data, _, _ = pack(importable.function)
        assert len(data) > 3 * by_name
        assert load(data) is not importable.function
        assert load(data)() == 1
    finally:
        cloudpickle.unregister_pickle_by_value(importable)
    assert len(pack(importable.function)[0]) == by_name


def test_a_function_that_its_module_no_longer_has_goes_by_value(importable: Any) -> None:
    old = importable.function
    exec("def function(): return 2", importable.__dict__)
    assert load(pack(old)[0])() == 1
    assert load(pack(importable.function)[0]) is importable.function


SCRIPT = """
import sys
from dataclasses import dataclass
from enum import Enum
from paralab.serialization import pack, join_blob
import numpy
class Base:
    def name(self): return "base"
class Child(Base):
    factor = 3
    def name(self): return "child of " + super().name()
@dataclass
class Point:
    x: int
class Color(Enum):
    RED = 1
LIMIT = 7
def helper(x): return min(x, LIMIT)
def function(x): return helper(x) * Child.factor
value = [function, Child(), Point(3), Color.RED, lambda y: y + LIMIT, Child().name, numpy.ones(3)]
data, buffers, refs = pack(value)
sys.stdout.buffer.write(join_blob(data, buffers))
"""


def test_what_is_in_main_goes_by_value() -> None:
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        check=True,
        env={"PYTHONPATH": ":".join(path for path in sys.path if path)},
    )
    function, child, point, red, plus, method, ones = load(made.stdout)
    assert function(100) == 21
    assert child.name() == "child of base"
    assert point.x == 3
    assert red.name == "RED"
    assert red is type(red).RED
    assert plus(1) == 8
    assert method() == "child of base"
    assert ones.tolist() == [1, 1, 1]


def test_local_classes_keep_their_identity() -> None:
    class Local:
        pass

    value = Local()
    assert type(there_and_back(value)) is Local
    assert type(there_and_back([value, Local])[0]) is Local


def test_functions_of_one_value_share_their_globals() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("count = 0\ndef up():\n global count\n count += 1\ndef read(): return count", space)
    up, read = load(pack([space["up"], space["read"]])[0])
    up()
    assert read() == 1
    # Nothing of it is left in a kept Pickler.
    assert load(pack(space["read"])[0])() == 0


T = typing.TypeVar("T")


class Abstract(abc.ABC):
    @abc.abstractmethod
    def method(self) -> int: ...


SPECIAL: list[tuple[Any, Callable[[Any], object]]] = [
    (type(None), lambda v: v),
    (type(...), lambda v: v),
    (NotImplemented, lambda v: v),
    (types.FunctionType, lambda v: v),
    (logging.getLogger("a.b"), lambda v: v.name),
    (logging.getLogger(), lambda v: v.name),
    (memoryview(b"abc"), bytes),
    (property(module_function), lambda v: v.fget(1)),
    (classmethod(type), lambda v: v.__func__),
    (staticmethod(module_function), lambda v: v.__func__(1)),
    ({1: 2}.keys(), list),
    ({1: 2}.values(), list),
    ({1: 2}.items(), list),
    (collections.OrderedDict({1: 2}).keys(), list),
    (types.MappingProxyType({1: 2}), dict),
    (types.SimpleNamespace(x=1), lambda v: v.x),
    (weakref.WeakSet(), list),
    (ModuleClass().method, lambda v: v()),
    (T, lambda v: v.__name__),
    (list[int], repr),
    (int | None, repr),
    (Color.RED, lambda v: v.value),
    (Abstract, lambda v: sorted(v.__abstractmethods__)),
    (dataclasses.field(default=1), lambda v: v.default),
    (io, lambda v: v.__name__),
    (types.ModuleType("dynamic"), lambda v: v.__name__),
    (module_function.__code__, lambda v: v.co_name),
    (types.FunctionType.__dict__["__code__"], repr),
    (functools.partial(module_function, 2), lambda v: v()),
    (range(3), list),
    (slice(1, 2), repr),
    (array.array("d", [1.0, 2.0]), list),
    (collections.deque([1], 3), repr),
    (collections.defaultdict(list, {1: [2]}), repr),
    (bytearray(b"abc"), bytes),
    (KeyError("x"), repr),
]


# Without addresses, so that several test processes give the tests the same names.
@pytest.mark.parametrize(
    ("value", "look"), SPECIAL, ids=[repr(v)[:40].partition(" at 0x")[0] for v, _ in SPECIAL]
)
def test_what_pickle_alone_cannot_do(value: Any, look: Callable[[Any], object]) -> None:
    assert look(there_and_back(value)) == look(value)


def test_files_open_for_reading_go_by_content(tmp_path: Any) -> None:
    path = tmp_path / "text"
    path.write_text("hello")
    with path.open() as file:
        back = there_and_back(file)
    assert back.read() == "hello"


# Arrays


@pytest.mark.parametrize(
    "made",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(20)[::2],
        np.arange(20)[::-1],
        np.broadcast_to(np.arange(3), (4, 3)),
        np.array(3.5),
        np.zeros((0, 4)),
        np.zeros((4, 0), order="F"),
        np.arange(3, dtype=">i4"),
        np.arange(3, dtype="f2"),
        np.array([1 + 2j]),
        np.array([True, False]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(["ab", "c"]),
        np.array([b"ab", b"c"]),
        np.array(["2020-01-01"], dtype="M8[D]"),
        np.array([None, "x", {}], dtype=object),
        np.ma.masked_array([1, 2], mask=[True, False]),
        np.arange(3).view(np.recarray),
        np.dtype("f8", metadata={"unit": "m"}).type(1),
        np.zeros(2, np.dtype("f8", metadata={"unit": "m"})),
        np.float64(1.5),
        np.dtype("f8"),
        np.lib.stride_tricks.as_strided(np.arange(10), (3, 3), (8, 8)),
    ],
    ids=repr,
)
def test_arrays(made: Any) -> None:
    back = there_and_back(made)
    assert type(back) is type(made)
    assert np.array_equal(back, made)
    if isinstance(made, np.ndarray):
        assert back.dtype == made.dtype
        assert dict(back.dtype.metadata or {}) == dict(made.dtype.metadata or {})
        assert back.shape == made.shape
        assert back.flags.f_contiguous >= made.flags.f_contiguous


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("size", [1, 100_000])
def test_arrays_are_read_only_views_of_the_blob(order: Any, size: int) -> None:
    value = np.ones((2, size), order=order)
    data, buffers, _ = pack([value, {"x": value[:, ::2]}])
    assert len(data) < 300
    assert buffers[0].nbytes == value.nbytes
    target = bytearray(blob_size(data, buffers))
    write_blob(memoryview(target), data, buffers)
    for blob in (memoryview(target), bytes(target)):
        first, second = load(blob)[0], load(blob)[1]["x"]
        assert not first.flags.writeable
        assert not second.flags.writeable
        assert not first.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 1
        with pytest.raises(ValueError, match="WRITEABLE"):
            first.flags.writeable = True


def test_packing_does_not_copy_an_array() -> None:
    value = np.zeros(1000)
    _, (buffer,), _ = pack(value)
    value[3] = 5
    assert np.frombuffer(buffer)[3] == 5


class Frame:
    """Keeps its blocks by PickleBuffer, as pandas does through NumPy."""

    def __init__(self, blocks: list[Any]) -> None:
        self.blocks = blocks

    def __reduce_ex__(self, protocol: Any) -> Any:
        assert protocol == 5
        return Frame, ([pickle.PickleBuffer(block) for block in self.blocks],)


def test_objects_with_buffers_of_their_own() -> None:
    value = Frame([bytearray(b"abc"), b"def", np.arange(5)])
    data, buffers, _ = pack(value)
    assert len(buffers) == 3
    blocks = load(join_blob(data, buffers)).blocks
    assert [bytes(block) for block in blocks] == [b"abc", b"def", np.arange(5).tobytes()]
    assert all(memoryview(block).readonly for block in blocks)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_large_bytes_are_set_aside_and_come_back_as_they_were(kind: Any) -> None:
    value = kind(range(256)) * (LARGE_BYTES // 256)
    data, buffers, _ = pack(value)
    assert len(data) < 100
    assert buffers[0].nbytes == len(value)
    back = load(join_blob(data, buffers))
    assert type(back) is kind
    assert back == value
    data, buffers, _, _ = pack_args((1, value), {"x": value})
    assert len(data) < 200
    assert load_args(join_blob(data, buffers)) == ((1, value), {"x": value})


# Kept Picklers


def test_a_reduce_that_packs_something_itself() -> None:
    class Inner:
        def __init__(self, depth: int) -> None:
            self.depth = depth

        def __reduce__(self) -> Any:
            nested = pack([Inner(self.depth - 1), np.ones(3)] if self.depth else "end")
            return tuple, ([join_blob(*nested[:2])],)

    blob = there_and_back(Inner(12))[0]
    for _ in range(12):
        inner, ones = load(blob)
        assert ones.tolist() == [1, 1, 1]
        (blob,) = inner
    assert load(blob) == "end"


def test_threads_do_not_mix_their_values(fake: Any) -> None:
    failed = []
    start = threading.Barrier(6)

    def work(number: int) -> None:
        start.wait()
        for turn in range(300):
            ref = fake.ref(number)
            array = np.full(5, number)
            data, buffers, refs = pack({"turn": turn, "ref": ref, "array": array})
            back = load(join_blob(data, buffers))
            if list(refs) != [ref] or back["turn"] != turn or back["array"][0] != number:
                failed.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


class Weak:
    """Can be watched."""


@pytest.mark.parametrize("extra", [None, threading.Lock(), "x" * 10_000])
def test_nothing_stays_after_packing(fake: Any, extra: Any) -> None:
    value = Weak()
    ref = fake.ref(1)
    gone = weakref.ref(value), weakref.ref(ref)
    try:
        pack([value, ref, np.ones(10), extra])
    except TypeError:
        pass
    del value, ref
    gc.collect()
    assert [look() for look in gone] == [None, None]
    assert len(serialization._idle) <= serialization._KEPT_PICKLERS


def test_a_failure_leaves_no_refs_to_the_next_value(fake: Any) -> None:
    for _ in range(3):
        with pytest.raises(TypeError):
            pack([fake.ref(1), np.ones(3), threading.Lock()])
        data, buffers, refs = pack([1])
        assert not refs
        assert not buffers
        assert load(data) == [1]


def test_copies_of_a_value_are_independent() -> None:
    value = {"a": [1, 2]}
    back = there_and_back(value)
    back["a"].append(3)
    assert value == {"a": [1, 2]}
    assert copy.deepcopy(back) == {"a": [1, 2, 3]}
