"""The zygote: a process with everything loaded, from which workers are forked in milliseconds.

It is made before any thread exists, imports what nearly every task needs, freezes that memory
so that garbage collection does not copy its pages, and then only forks.  It forks twice: the
worker's parent ends at once, so that the worker becomes a child of the node, which can then
wait for it and read how it ended.

A request is one byte with three descriptors beside it: the worker's socket to the node, and the
pipes for its standard output and error.  What comes without descriptors is the path of the node's
folder: when the node dies without having removed it, the zygote does.
"""

from __future__ import annotations

import array
import gc
import importlib
import os
import select
import signal
import socket
import traceback
from typing import NoReturn

from paralab import platform
from paralab.process import session_folder

REQUEST = b"w"
_LONGEST_PATH = 1 << 12
QUIET_SECONDS = 0.02
"""When nothing has been asked for so long, there is time to import NumPy."""
_SPACE = socket.CMSG_SPACE(3 * 4)


def serve(control: socket.socket, node_pid: int) -> None:
    """Forks workers until the node is gone.  Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes in the middle
    platform.name_thread("paralab-zygote")
    folder = b""
    signal.signal(signal.SIGTERM, lambda _number, _frame: _end(folder))
    try:
        platform.die_with_parent(node_pid, signal.SIGTERM)
    except ProcessLookupError:
        os._exit(0)  # the node died before we could ask to die with it
    _preload()
    freeze()
    has_numpy = False
    while True:
        if not has_numpy and not select.select([control], [], [], QUIET_SECONDS)[0]:
            _preload_numpy()
            freeze()
            has_numpy = True
        try:
            data, ancillary, _flags, _address = control.recvmsg(
                _LONGEST_PATH, _SPACE, socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            data, ancillary = b"", []
        if not data:
            _end(folder)
        # Bytes that have no descriptors may come together with the next one that has.
        folder = data[: -len(REQUEST)] or folder if ancillary else data
        fds: array.array[int] = array.array("i")
        for _level, _kind, packed in ancillary:
            fds.frombytes(packed[: len(packed) - len(packed) % fds.itemsize])
        if len(fds) == 3:
            sock, out, err = fds
            _fork(control, sock, out, err, node_pid)
        for fd in fds:
            os.close(fd)


def _end(folder: bytes) -> NoReturn:
    """The node is gone.  It has removed its folder, unless it was killed."""
    if folder:
        session_folder.remove(os.fsdecode(folder))
    os._exit(0)


def _fork(control: socket.socket, sock: int, out: int, err: int, node_pid: int) -> None:
    if os.fork():
        return
    if os.fork():
        os._exit(0)
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        control.close()
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.close(out)
        os.close(err)
        _wait_for_adoption(node_pid, sock)
        from paralab.process.worker import main

        status = main(socket.socket(fileno=sock), node_pid)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _wait_for_adoption(node_pid: int, sock: int) -> None:
    """Waits until the process in the middle has ended and the node is our parent.

    Whether the node lives is seen by the socket to it: its pid stays until its parent has waited.
    """
    poll = select.poll()
    poll.register(sock, 0)  # only a hang-up
    while os.getppid() != node_pid:
        if poll.poll(0):
            os._exit(1)
        os.sched_yield()


def freeze() -> None:
    """Takes what exists out of the garbage collector's sight, so that forks go on sharing it."""
    gc.collect()
    gc.freeze()


def _preload() -> None:
    """Imports what every worker needs, on one thread."""
    # By name: users' functions need the API, this room does not.
    for name in ("paralab.process.worker", "paralab.api", "paralab.runtime_env.surroundings"):
        importlib.import_module(name)


def _preload_numpy() -> None:
    """Imports what many tasks need.

    It takes longer than all the rest, so a worker that is wanted at once is forked before.
    """
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # or NumPy starts a thread, and threads do not fork
    try:
        import numpy  # noqa: F401, ICN001
    except ImportError:
        pass
    finally:
        if before is None:
            del os.environ["OPENBLAS_NUM_THREADS"]
        else:
            os.environ["OPENBLAS_NUM_THREADS"] = before
