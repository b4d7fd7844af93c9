"""A batch of joblib's calls as bytes, with its large arrays beside it.

::

    BatchedCalls ──pack──▶ pickle, with a number in place of each large array
                     └───▶ a ref for each, which is put once for all batches that have the array
                               │
    worker: run_batch(pickle, array, array, ...) ──▶ a pickle of the results

The number is the argument of a function that only the unpickler knows.  Persistent ids would be
asked for at each object of a batch, which takes several times as long as all the rest.

Each task has the arrays as its own: it sees the store's memory, and what it writes is copied then,
page by page (``serialization.own``).  With loky they are memory-mapped and read-only, unless
``mmap_mode="c"`` asks for this.  Results come as one pickle, and who gets them may write into them.
"""

from __future__ import annotations

import io
import pickle
import weakref
from collections.abc import Sequence
from typing import Any

import cloudpickle
import numpy as np

import paralab
from paralab.call_names import print_as
from paralab.platform import NumericThreads
from paralab.serialization import own
from paralab.serialization import pack as pack_or_say_why

_SHARED = (np.ndarray, np.memmap)


class Arrays:
    """The refs of the arrays that batches have in common.

    Args:
        least: bytes from which an array is shared; None for never.
    """

    def __init__(self, least: int | None) -> None:
        self.least = least
        self._refs: dict[int, tuple[weakref.ref[Any], Any]] = {}
        """By the array's id; an entry leaves with its array, or with all of them."""

    def ref_of(self, array: Any) -> Any:
        """The ref of a copy that was made when the array was met first."""
        known = self._refs.get(id(array))
        if known is not None and known[0]() is array:
            return known[1]
        ref = paralab.put(own(np.asarray(array)))
        key, refs = id(array), self._refs
        self._refs[key] = weakref.ref(array, lambda _gone: refs.pop(key, None)), ref
        return ref


def array_of_batch(number: int) -> Any:
    """Stands in a batch's pickle; :class:`_Unpickler` puts in its place what knows the array."""
    raise pickle.UnpicklingError(f"Array {number} belongs to a batch of joblib's calls.")


class _Pickler(cloudpickle.Pickler):
    def __init__(self, file: io.BytesIO, arrays: Arrays) -> None:
        super().__init__(file, protocol=5)
        self.refs: list[Any] = []
        self._arrays = arrays

    def reducer_override(self, value: Any) -> Any:
        """A large array is a number in ``refs``; pickle itself knows what it has met before."""
        if type(value) not in _SHARED or value.dtype.hasobject:
            return super().reducer_override(value)
        least = self._arrays.least
        if least is None or value.nbytes < least:
            return NotImplemented
        self.refs.append(self._arrays.ref_of(value))
        return array_of_batch, (len(self.refs) - 1,)


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, arrays: Sequence[Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._arrays = arrays

    def find_class(self, module: str, name: str) -> Any:
        """Called once for each class or function of a pickle."""
        if (module, name) == (__name__, array_of_batch.__name__):
            return self._arrays.__getitem__
        return super().find_class(module, name)


def pack(batch: Any, arrays: Arrays) -> tuple[bytes, list[Any]]:
    """The pickle of a batch, and the refs of its large arrays.

    Raises:
        pickle.PicklingError: it cannot be pickled; the cause names what cannot.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, arrays)
    try:
        pickler.dump(batch)
    except Exception as error:
        message = "Could not pickle the task to send it to the workers."
        raise pickle.PicklingError(message) from _why(batch, error)
    return file.getvalue(), pickler.refs


def _why(batch: Any, error: Exception) -> Exception:
    """What says where the culprit is; else what the pickler has said."""
    try:
        pack_or_say_why(batch, "the task", "task")
    except Exception as why:
        return why
    return error


def run_batch(data: bytes, threads: tuple[int, int] | None, name: str, *arrays: Any) -> bytes:
    """Runs a batch; a pickle of the list of its results.

    Args:
        threads: how many threads BLAS and OpenMP may use in it, and how many afterwards.
        name: of the call, for what it prints.
    """
    batch = _Unpickler(data, arrays).load()
    print_as(name)
    try:
        return _packed(batch()) if threads is None else _with_threads(batch, threads)
    finally:
        print_as("")


def _with_threads(batch: Any, threads: tuple[int, int]) -> bytes:
    numeric = NumericThreads()
    numeric.set(threads[0])
    try:
        return _packed(batch())
    finally:
        numeric.set(threads[1])


def _packed(results: Any) -> bytes:
    packed: bytes = cloudpickle.dumps(results)
    return packed
