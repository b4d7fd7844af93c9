"""A worker process, from the fork (or exec) to its end."""

from __future__ import annotations

import atexit
import importlib
import os
import random
import signal
import socket
import sys
import time
from typing import Any

from paralab import engine, platform
from paralab.call_sites import record_if_wanted
from paralab.exceptions import ActorExit
from paralab.ids import actor_id, object_id, task_id
from paralab.messages import ENVIRONMENT_FAILED, PRINTED, READY, RELAY_PRINT
from paralab.process.client import CoreClient
from paralab.process.construction import Construction
from paralab.process.executor import Executor
from paralab.process.prints import PrintStream
from paralab.process.received import WorkerTemplate

SWITCH_INTERVAL = 0.0005
"""Seconds; an I/O thread beside a Python loop then answers within a millisecond."""
PRINT_SECONDS = 1.0
"""How long a print may wait until the kernel has it."""


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class WorkerCore(CoreClient):
    """The engine inside a worker: what it tells about itself includes the task."""

    executor: Executor
    construction: Construction

    def context(self) -> dict[str, Any]:
        """Facts about the process and the task that asks."""
        facts = super().context()
        executor = self.executor
        call = executor.call_here()
        if call is not None:
            facts["task_id"] = task_id(call.link.address, call.key).hex()
            facts["task_name"] = call.template.name
            facts["is_canceled"] = call.cancelled
            facts["function_name"] = _defined_as(call.template, executor.actor_class)
        if executor.actor_ref is not None:
            facts["actor"] = executor.actor_ref, executor.actor_class
            facts["actor_id"] = actor_id(object_id(*executor.actor_ref)).hex()
            lanes = executor.lanes
            facts["exit"] = lanes.leaving if lanes is not None and lanes.is_async else ActorExit
        facts |= self.construction.facts
        facts.update(executor.assigned.facts())
        return facts


def _defined_as(template: WorkerTemplate, cls: Any) -> str:
    """Where the running function or method is defined."""
    definition: Any = template.function or cls
    name = f"{definition.__module__}.{definition.__qualname__}"
    return name if template.function else f"{name}.{template.method or '__init__'}"


def main(sock: socket.socket, node_pid: int) -> int:
    """Runs a worker to its end and returns its exit code.

    Descriptors 1 and 2 are pipes to the node already.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        platform.die_with_parent(node_pid, signal.SIGKILL)
    except ProcessLookupError:
        os._exit(1)  # the node died before we could ask to die with it
    platform.name_thread("paralab-worker")
    platform.offer_to_be_killed()
    sys.setswitchinterval(SWITCH_INTERVAL)
    executor = Executor()
    try:
        construction = Construction(executor)
        handlers = {**executor.incoming.handlers, **construction.handlers}
        core = WorkerCore(sock, "paralab-io", _ignore_print, handlers)
    except Exception:
        os._exit(1)  # the session ended while this process started
    core.executor = executor
    core.construction = construction
    executor.attach(core)
    record_if_wanted(core, core.welcome["settings"]["record_ref_creation_sites"])
    engine.install(core)
    executor.settle()
    _adopt(core.welcome)
    _redirect(core, executor)
    executor.imports.install()
    if core.welcome["logging"]:  # by name: it stands above this room
        importlib.import_module("paralab.logging_config").apply(core.welcome["logging"])
    core.start()
    failure = ""
    if core.welcome["environment"][0]:  # by name: it stands above this room
        around = importlib.import_module("paralab.runtime_env.surroundings")
        failure = around.set_up(core.welcome["environment"][1])
    if failure:
        core.post_node((ENVIRONMENT_FAILED, os.getpid(), failure))
        executor._end(None)
    else:
        core.post_node((READY, os.getpid()))
    executor.run()
    engine.install(None)
    atexit._run_exitfuncs()
    executor.flush_prints()
    return executor.exit_code


def _adopt(welcome: dict[str, Any]) -> None:
    """Takes over what the driver calls things; gives this process seeds of its own."""
    sys.argv = list(welcome["argv"])
    if welcome["as_ray"]:
        importlib.import_module("paralab.as_ray").install()  # by name: it stands above this room
    for variable in _THREADS:  # of numeric libraries that are still to be loaded
        os.environ.setdefault(variable, "1")
    random.seed()
    # Newer NumPy imports this part when it is first used; it then seeds itself.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed(int.from_bytes(os.urandom(4), "little"))


def _redirect(core: CoreClient, executor: Executor) -> None:
    """Sends what Python prints to the driver, with the task's name."""
    driver = core.welcome["driver"]
    pid = os.getpid()

    def post(stream: str, text: str) -> None:
        call = executor.call_here()
        name = out.shown_as or executor.label or (call.template.name if call is not None else "")
        of = None if call is None else (call.link.address, call.key)
        if call is not None and call.link.address == driver:
            link = call.link
            link.post((PRINTED, name, pid, stream, text, of))
        else:
            link = core.node
            link.post((RELAY_PRINT, name, pid, stream, text, of))
        if core.baton.held_here():  # a finaliser prints while the engine is at work
            return
        # Not only posted: the process may be killed the moment after.
        core.baton.wait(lambda: not link.outbox, time.monotonic() + PRINT_SECONDS)

    def note(text: str) -> None:
        core.pulse.say(core.address, text)

    out, err = PrintStream("stdout", 1, post), PrintStream("stderr", 2, post, note)
    sys.stdout = sys.__stdout__ = out  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = err  # type: ignore[assignment,misc]
    core.objects.unseen.show = err.write

    def finish() -> None:
        if out.unfinished:
            out.finish()
        if err.unfinished:
            err.finish()

    def forked() -> None:
        for stream in (out, err):
            stream.forked(_write_raw)
        core.disown()
        executor.disown()

    executor.flush_prints = finish
    os.register_at_fork(after_in_child=forked)


def _write_raw(stream: str, text: str) -> None:
    """How a child that a task has forked prints."""
    data = memoryview(text.encode("utf-8", "backslashreplace"))
    try:
        while data:
            data = data[os.write(1 if stream == "stdout" else 2, data) :]
    except OSError:
        pass  # nobody reads any more


def _ignore_print(*_printed: Any) -> None:
    pass
