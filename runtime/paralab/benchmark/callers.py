"""One no-op call on whatever can run it elsewhere: the sides that do not have Ray's API.

A caller makes one call and waits (``one``), or keeps many in flight (``many``).  Callers are
context managers: leaving one ends every process that it started.
"""

from __future__ import annotations

import importlib
import os
import pickle
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from typing import Any, Protocol, Self

from paralab.benchmark import peers

WORKERS = 2
_REQUEST = (0, b"f", (), None)
_BATCH = 100
_BATCHES_IN_FLIGHT = 4
_PROBES = 64
"""Calls that ask for their worker's pid, so that each worker most likely answers one."""


def noop() -> None:
    """The task of every row that measures overhead only."""


class Caller(Protocol):
    """Something that runs a no-op in another process."""

    slow_down: int
    """By how much fewer calls are put in flight, because this caller manages fewer."""

    def one(self) -> None:
        """One call, answered."""

    def many(self, calls: int) -> None:
        """``calls`` calls, all in flight as far as the caller lets them, all answered."""

    def workers(self) -> set[int]:
        """The pids that answer."""


class _Ending:
    """A context manager that undoes, in reverse order, what the constructor set up."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()


def _start_peer(kind: str, descriptor: int, *args: str) -> subprocess.Popen[bytes]:
    # By path, not by -m: the peer must not import the runtime it is compared with.
    command = [sys.executable, "-P", peers.__file__, kind, str(descriptor), *args]
    return subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.PIPE)


class Bare(_Ending):
    """Two Python processes and a Unix socket pair: the limit for any Python runtime."""

    slow_down = 1

    def __init__(self, kind: str) -> None:
        """``kind`` is "single" (for ``one``) or "batches" (for ``many``)."""
        super().__init__()
        self._sock, theirs = socket.socketpair()
        with theirs:
            self._peer = self._stack.enter_context(_start_peer(kind, theirs.fileno()))
        self._stack.callback(self._sock.close)

    def one(self) -> None:
        self._sock.send(pickle.dumps(_REQUEST, 5))
        pickle.loads(self._sock.recv(65536))

    def many(self, calls: int) -> None:
        sock, read = self._sock, peers.batch_reader(self._sock)
        in_flight = 0
        for start in range(0, calls, _BATCH):
            end = min(start + _BATCH, calls)
            peers.send_batch(sock, [(number, b"f", (), None) for number in range(start, end)])
            in_flight += 1
            if in_flight == _BATCHES_IN_FLIGHT:
                read()
                in_flight -= 1
        for _ in range(in_flight):
            read()

    def workers(self) -> set[int]:
        return {self._peer.pid}


class Pool(_Ending):
    """``multiprocessing.Pool``: ``apply``, and ``apply_async`` in flight."""

    slow_down = 1

    def __init__(self) -> None:
        super().__init__()
        import multiprocessing

        self._pool = multiprocessing.Pool(WORKERS)
        self._stack.callback(self._pool.join)
        self._stack.callback(self._pool.close)

    def one(self) -> None:
        self._pool.apply(noop)

    def many(self, calls: int) -> None:
        results = [self._pool.apply_async(noop) for _ in range(calls)]
        for result in results:
            result.get()

    def workers(self) -> set[int]:
        probes = [self._pool.apply_async(os.getpid) for _ in range(_PROBES)]
        return {probe.get() for probe in probes}


class Executor(_Ending):
    """Whatever has ``concurrent.futures``' interface: ``ProcessPoolExecutor``, loky."""

    slow_down = 4

    def __init__(self, make: Callable[[int], Any] = ProcessPoolExecutor) -> None:
        super().__init__()
        self._executor = self._stack.enter_context(make(WORKERS))

    def one(self) -> None:
        self._executor.submit(noop).result()

    def many(self, calls: int) -> None:
        for future in [self._executor.submit(noop) for _ in range(calls)]:
            future.result()

    def workers(self) -> set[int]:
        return _pids(self._executor.submit(os.getpid) for _ in range(_PROBES))


def loky_executor() -> Executor:
    """loky's own executor; needs loky."""
    return Executor(importlib.import_module("loky").ProcessPoolExecutor)


class Grpc(_Ending):
    """A unary echo of one pickled tuple to a Python gRPC server over a Unix socket."""

    slow_down = 10

    def __init__(self) -> None:
        super().__init__()
        import grpc

        folder = self._stack.enter_context(tempfile.TemporaryDirectory())
        address = f"unix:{folder}/echo"
        ready, theirs = os.pipe()
        with os.fdopen(ready, "rb") as ready_file:
            self._server = self._stack.enter_context(_start_peer("grpc", theirs, address))
            os.close(theirs)
            if not ready_file.read(1):
                raise RuntimeError("the gRPC echo server ended before it was ready")
        self._channel = self._stack.enter_context(grpc.insecure_channel(address))
        self._call = self._channel.unary_unary("/Echo/Call")

    def one(self) -> None:
        pickle.loads(self._call(pickle.dumps(_REQUEST, 5)))

    def many(self, calls: int) -> None:
        request = pickle.dumps(_REQUEST, 5)
        for future in [self._call.future(request) for _ in range(calls)]:
            pickle.loads(future.result())

    def workers(self) -> set[int]:
        return {self._server.pid}


class Dask(_Ending):
    """Dask's distributed on a local cluster of processes; needs distributed."""

    slow_down = 20

    def __init__(self) -> None:
        super().__init__()
        dask = importlib.import_module("distributed")
        cluster = self._stack.enter_context(
            dask.LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None)
        )
        self._client = self._stack.enter_context(dask.Client(cluster))

    def one(self) -> None:
        self._client.submit(noop, pure=False).result()

    def many(self, calls: int) -> None:
        self._client.gather([self._client.submit(noop, pure=False) for _ in range(calls)])

    def workers(self) -> set[int]:
        return _pids(self._client.submit(os.getpid, pure=False) for _ in range(_PROBES))

    def actor(self) -> DaskActor:
        """An actor on one of the workers."""
        return DaskActor(self._client.submit(_Answering, actor=True).result())


class _Answering:
    def noop(self) -> None:
        """Nothing."""

    def pid(self) -> int:
        return os.getpid()


class DaskActor:
    """Calls of one Dask actor."""

    slow_down = 20

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def one(self) -> None:
        self._actor.noop().result()

    def many(self, calls: int) -> None:
        for future in [self._actor.noop() for _ in range(calls)]:
            future.result()

    def workers(self) -> set[int]:
        return {self._actor.pid().result()}


def _pids(futures: Iterable[Any]) -> set[int]:
    return {future.result() for future in list(futures)}
