"""Values to bytes and back: what goes by reference, by value, and beside the pickle.

::

    pack(value) -> data (a pickle), buffers (set aside, not copied), refs (met on the way)
    blob_parts(data, buffers), to be written to shared memory, or join_blob(data, buffers)
    load(blob) -> value whose arrays look at the blob itself, read-only, or are their reader's
                  own where the value was packed as own(value)

*Functions and classes* that a worker can import are pickled by name.  Those of ``__main__``,
local ones, lambdas and those of modules registered with
``cloudpickle.register_pickle_by_value`` go by value, which is cloudpickle's work.

*Refs* are noticed by the pickler itself, wherever they are: the runtime has to know which
objects travel inside a value.  ``ObjectRef.__reduce__``, which pins for ever, is for others'
picklers only.

*Speed*: most values are small, and making a Pickler costs more than using it.  Picklers are
therefore kept and used again.  One is taken from the list of idle ones for one value by one
C call, and comes back empty, so threads, a ``__reduce__`` that packs something itself and
an interrupt at any point only ever lead to a further Pickler.  Rejected: ``copyreg`` (global,
and changes what other picklers write) and cloudpickle's own dispatch table (a ChainMap: some
microseconds for each object that is not in it).
"""

from __future__ import annotations

import copyreg
import pickle
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import FunctionType
from typing import Any, TypeAlias

import cloudpickle

from paralab.blob_format import (
    BARE_START,
    MalformedBlobError,
    blob_parts,
    blob_size,
    join_blob,
    split_blob,
)
from paralab.engine import installed, restore_ref
from paralab.exceptions import SystemFailure
from paralab.object_ref import ObjectRef
from paralab.unpicklable import NestedTooDeeplyError, explain_unpicklable

__all__ = [
    "MalformedBlobError",
    "NestedTooDeeplyError",
    "blob_parts",
    "blob_size",
    "join_blob",
    "load",
    "load_args",
    "own",
    "pack",
    "pack_args",
    "read",
]

Packed: TypeAlias = tuple[bytes, Sequence[memoryview], Sequence[ObjectRef]]
TopRefs: TypeAlias = Sequence[tuple[int | str, ObjectRef]]
"""Refs that are arguments themselves, with their position or keyword."""

PROTOCOL = 5
LARGE_BYTES = 256 << 10
"""Bytes and bytearrays of this length, given by themselves, are set aside as buffers."""

_KEPT_PICKLERS = 8
_KEPT_PICKLE_SIZE = 2 << 10
"""A memo never shrinks, and emptying it takes time in proportion to its size.  It holds no
more entries than the pickle has bytes."""

_PLAIN = frozenset({type(None), bool, int, float, str})
_SHORT = 8
"""Up to here looking at a tuple's items takes less than a Pickler does."""
_SPECIAL = frozenset({ObjectRef, bytes, bytearray})

_REDUCERS: dict[type, Callable[[Any], Any]] = dict(cloudpickle.Pickler.dispatch_table.maps[0])
"""What cloudpickle adds for kinds of objects other than functions and classes, and what users
have registered.  A copy: other picklers are none of our business."""

_NUMBERS = frozenset("?bBhHiIlLqQefdgFDG")
"""NumPy's codes of bool, int, float and complex types, which say all there is to say."""

_by_value_modules: Callable[[], set[str]] = cloudpickle.list_registry_pickle_by_value
_modules = sys.modules


class _Sink:
    """The least that a Pickler takes for a file."""

    __slots__ = ("write",)

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.write = write


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    # An exact dict is looked up in C; cloudpickle's table is consulted below.
    dispatch_table = copyreg.dispatch_table
    dump = pickle.Pickler.dump

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.buffers: list[pickle.PickleBuffer] = []
        self.refs: list[ObjectRef] = []
        self.own = False
        """Whether arrays are to be their reader's own: from the first ``own`` of a value on."""
        super().__init__(_Sink(self.chunks.append), PROTOCOL, self.buffers.append)

    def reducer_override(self, value: Any) -> Any:
        """Asked for every object that is not None, a number, text, bytes or a container."""
        kind = type(value)
        if kind is ObjectRef:
            self.refs.append(value)
            entry = value._entry
            return restore_ref, (entry.owner, entry.key)
        if kind is FunctionType or issubclass(kind, type):
            # cloudpickle's own test comes to the same, in ten times the time.
            try:
                module = value.__module__
                if (
                    module != "__main__"
                    and vars(_modules[module]).get(value.__qualname__) is value
                    and not _by_value_modules()
                ):
                    return NotImplemented
            except (AttributeError, KeyError, TypeError):
                pass
            return super().reducer_override(value)
        if kind.__name__ == "ndarray" and kind not in _REDUCERS and _is_numpy_array(kind):
            return _reduce_own(value) if self.own else _reduce_array(value)
        if kind is _Own:
            self.own = True
        reducer = _REDUCERS.get(kind)
        return NotImplemented if reducer is None else reducer(value)


def _is_numpy_array(kind: type) -> bool:
    # NumPy is never imported here: if it is not loaded, this is somebody else's class.
    return kind is getattr(_modules.get("numpy"), "ndarray", None)


def _reduce_array(array: Any) -> Any:
    """Half of NumPy's own time for plain numbers, and strided arrays out of band as well."""
    dtype = array.dtype
    if dtype.char not in _NUMBERS or not dtype.isnative or dtype.metadata:
        return NotImplemented
    flags = array.flags
    order = "C"
    if not flags.c_contiguous:
        if flags.f_contiguous:
            order = "F"
        else:
            array = array.copy()
    return restore_array, (pickle.PickleBuffer(array), dtype.char, array.shape, order)


class _Own:
    """Pickles as a value whose arrays whoever reads them may write into."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.value,)


def _itself(value: Any) -> Any:
    return value


def own(value: Any) -> Any:
    """What to send in place of ``value`` to who expects a copy of arrays, to write into.

    Copies are made where the arrays are read: page by page, and of what is written only, where
    that can be; else at once.  It may be an argument, a result, what is put, or within these.
    """
    engine = installed()
    if engine is None or engine.own_bytes is None or "numpy" not in _modules:
        return value
    return _Own(value)


def _reduce_own(array: Any) -> Any:
    reduced = _reduce_array(array)
    # Else as pickles before protocol 5 have it: the bytes in the pickle, and a copy of them.
    return array.__reduce_ex__(4) if reduced is NotImplemented else (restore_own, *reduced[1:])


def restore_own(buffer: Any, code: str, shape: tuple[int, ...], order: Any) -> Any:
    """The same as :func:`restore_array` with a copy of ``buffer``, or what passes for one."""
    own_bytes = getattr(installed(), "own_bytes", None) or bytearray
    return restore_array(own_bytes(memoryview(buffer)), code, shape, order)


def restore_array(buffer: Any, code: str, shape: tuple[int, ...], order: Any) -> Any:
    """What a pickled array of numbers is unpickled by: a view of ``buffer``."""
    import numpy as np

    # np.ndarray(shape, code, buffer) is quicker, but lets go of the buffer's export: whoever
    # owns the memory could then unmap or resize it under the array.
    return np.frombuffer(buffer, code).reshape(shape, order=order)


def set_reducer(cls: type, reduce: Callable[[Any], Any]) -> None:
    """From now on this process writes objects of exactly ``cls`` as ``reduce`` says."""
    _REDUCERS[cls] = reduce


def forget_reducer(cls: type) -> None:
    """Undoes :func:`set_reducer`; what cloudpickle knows of ``cls`` holds again."""
    _REDUCERS.pop(cls, None)
    theirs = cloudpickle.Pickler.dispatch_table.maps[0].get(cls)
    if theirs is not None:
        _REDUCERS[cls] = theirs


_idle: deque[_Pickler] = deque(maxlen=_KEPT_PICKLERS)


def _dump(value: Any) -> Packed:
    try:
        pickler = _idle.pop()
    except IndexError:
        pickler = _Pickler()
    pickler.dump(value)
    chunks = pickler.chunks
    data = chunks.pop() if len(chunks) == 1 else b"".join(chunks)
    buffers: Sequence[memoryview] = ()
    refs: Sequence[ObjectRef] = ()
    if pickler.buffers:
        buffers = [buffer.raw() for buffer in pickler.buffers]
        pickler.buffers.clear()
    if pickler.refs:
        refs = pickler.refs.copy()
        pickler.refs.clear()
    pickler.own = False
    # cloudpickle leaves traces of functions that went by value; such a Pickler is not kept.
    if len(data) <= _KEPT_PICKLE_SIZE and not pickler.globals_ref:
        chunks.clear()
        pickler.clear_memo()
        _idle.append(pickler)
    return data, buffers, refs


class _SetAside:
    """Pickles as a copy of a buffer: one copy in, one out, where in-band bytes take three."""

    def __init__(self, value: bytes | bytearray) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self.value), (pickle.PickleBuffer(self.value),)


def _set_aside(value: Any) -> Any:
    if type(value) in (bytes, bytearray) and len(value) >= LARGE_BYTES:
        return _SetAside(value)
    return value


def pack(value: Any, subject: str = "the value", path: str = "value") -> Packed:
    """Serializes one value.

    Args:
        value: any object that pickle or cloudpickle can write.
        subject: what the value is called in an error, as in "cannot serialize *the value*".
        path: how its attributes are named there, as in "*value*.model.lock".

    Returns:
        The pickle; views of the memory that belongs to it, to be copied before the value may
        change; the refs inside, in the order in which :func:`load` restores them.

    Raises:
        TypeError: it cannot be pickled; the message names the path to what cannot.
        NestedTooDeeplyError: a TypeError and RecursionError for what is nested too deeply.
    """
    kind = type(value)
    if kind in _PLAIN:
        return pickle.dumps(value, PROTOCOL), (), ()
    if kind is tuple and len(value) <= _SHORT and _PLAIN.issuperset(map(type, value)):
        return pickle.dumps(value, PROTOCOL), (), ()
    try:
        return _dump(_set_aside(value) if kind in _SPECIAL else value)
    except Exception as error:
        raise explain_unpicklable([(subject, path, value)], error, _dump) from error


_NO_ARGS = (pickle.dumps((), PROTOCOL), (), (), ())
_ONLY_REFS = [pickle.dumps((None,) * count, PROTOCOL) for count in range(8)]


def pack_args(
    args: tuple[Any, ...], kwargs: dict[str, Any], function: str = "the call"
) -> tuple[bytes, Sequence[memoryview], Sequence[ObjectRef], TopRefs]:
    """Serializes the arguments of one call for :func:`load_args`.

    Args:
        args, kwargs: the arguments.  Where one is itself a ref, None takes its place.
        function: the function's name, for errors.

    Returns:
        Pickle, buffers and refs inside other arguments, as :func:`pack` does; then the refs
        that were arguments themselves, each with its position or keyword.

    Raises:
        TypeError, NestedTooDeeplyError: as :func:`pack`, naming the argument.
    """
    if not args and not kwargs:
        return _NO_ARGS
    top: list[tuple[int | str, ObjectRef]] = []
    value: Any = args
    if not kwargs:
        if _PLAIN.issuperset(map(type, args)):
            return pickle.dumps(args, PROTOCOL), (), (), ()
        if not _SPECIAL.isdisjoint(map(type, args)):
            value = tuple(_take_refs(enumerate(args), top))
            if len(top) == len(args) < len(_ONLY_REFS):
                return _ONLY_REFS[len(args)], (), (), top
    elif _SPECIAL.isdisjoint(map(type, (*args, *kwargs.values()))):
        value = [args, kwargs]
    else:
        items = tuple(_take_refs(enumerate(args), top))
        value = [items, dict(zip(kwargs, _take_refs(kwargs.items(), top), strict=True))]
    try:
        return *_dump(value), top
    except Exception as error:
        roots = [(f"argument {at} of {function}", f"args[{at}]", v) for at, v in enumerate(args)]
        roots += [(f"argument {key!r} of {function}", key, v) for key, v in kwargs.items()]
        raise explain_unpicklable(roots, error, _dump) from error


def _take_refs(
    places: Iterable[tuple[int | str, Any]], top: list[tuple[int | str, ObjectRef]]
) -> list[Any]:
    """Moves refs with their places to ``top``; returns the arguments with None for each."""
    items = []
    for place in places:
        item = place[1]
        if type(item) is ObjectRef:
            top.append(place)
            item = None
        else:
            item = _set_aside(item)
        items.append(item)
    return items


def load(blob: bytes | memoryview) -> Any:
    """The value in a blob.

    Args:
        blob: bytes, or a contiguous view of bytes.  Arrays in the value look at this memory,
            read-only, and keep its owner alive for as long as anything looks at them.  It
            should start at a multiple of 64 bytes, or else arrays are not aligned.

    Raises:
        MalformedBlobError: these are no bytes that this module wrote.
        Exception: whatever rebuilding the value raises, such as ModuleNotFoundError.
    """
    if blob[:1] == BARE_START:
        return pickle.loads(blob)
    data, buffers = split_blob(blob)
    return pickle.loads(data, buffers=buffers)


def read(blob: bytes | memoryview) -> Any:
    """The same for the value of an object.

    Raises:
        SystemFailure: whatever rebuilding the value raises is its cause.
    """
    try:
        if blob[:1] == BARE_START:
            return pickle.loads(blob)
        data, buffers = split_blob(blob)
        return pickle.loads(data, buffers=buffers)
    except Exception as error:
        raise SystemFailure.not_readable(error) from error


def load_args(blob: bytes | memoryview) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments in a blob made by :func:`pack_args`, None where a ref was.

    Raises:
        SystemFailure: as :func:`read`.
    """
    value = read(blob)
    if type(value) is tuple:
        return value, {}
    args, kwargs = value
    return args, kwargs
