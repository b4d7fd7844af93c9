"""A session of the runtime's own classes on an imagined machine: driver, node, zygote, workers.

What is written anew here is only what real processes do around these classes: the zygote's fork,
and the few lines of ``worker.main`` that set up an interpreter of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paralab import system_config
from paralab.exceptions import LocalNodeDied
from paralab.messages import ENVIRONMENT_FAILED, READY
from paralab.process.construction import Construction
from paralab.process.driver import DriverCore
from paralab.process.executor import Executor
from paralab.process.node import Node
from paralab.process.session import _job, _node_config
from paralab.process.worker import WorkerCore
from sim import kernel
from sim.story import Tap
from sim.world import Process, World

CONFIG = _node_config(
    num_cpus=1,
    process_limit=40,
    # What this machine has left is no part of the imagined one.
    settings={**system_config.settings(), "memory_monitor_refresh_ms": 0},
)
JOB = {**_job("sim", None, None), "sys_path": [], "argv": ["sim"], "cwd": "/"}
DRIVER, NODE = "driver", "node"


class Zygote:
    """The node's socket to the zygote, and the zygote itself: asked to, it makes a worker."""

    def __init__(self, session: Session, node: Process) -> None:
        self._session = session
        self._node = node
        end, self._other = kernel.stream(session.world)
        self._fd = kernel.Descriptor(end, node).fd

    def fileno(self) -> int:
        return self._fd

    def sendall(self, _path: bytes) -> None:
        pass

    def ask(self, _parts: Any, fds: list[int]) -> int:
        """What ``socket.send_fds`` does."""
        world = self._session.world
        world.check_alive()
        sock = self._node.files[fds[0]].file
        sock.descriptors += 1  # on its way
        pipes = [self._node.files[fd].file for fd in fds[1:]]
        for pipe in pipes:
            pipe.descriptors += 1
        world.later(world.bits(22), self._fork, sock, pipes)
        return 1

    def _fork(self, sock: Any, pipes: list[Any]) -> None:
        if not self._node.dead:
            self._session.start(self._node, [sock, *pipes])
            for file in (sock, *pipes):
                file.descriptors -= 1

    def close(self) -> None:
        entry = self._node.files.get(self._fd)
        if entry is not None:
            entry.close()


class Session:
    """One session: everything that there is in a run.

    Args:
        main: the program, run in the driver's main thread.
        cpus: of the node.
        capacity: of its store, in bytes.
    """

    def __init__(
        self, world: World, main: Callable[[Session], None], cpus: int, capacity: int
    ) -> None:
        self.world = world
        self.workers = 0
        self.cpus = cpus
        self.capacity = capacity
        self.driver = world.process(DRIVER)
        self.node_process = world.process(NODE, self.driver)
        self.node_process.follows = False
        self.node_process.local["session"] = self
        self.node: Any = None
        there, here = kernel.stream(world)
        self._there = kernel.Descriptor(there, self.node_process).fd
        self._here = kernel.Descriptor(here, self.driver).fd
        world.thread(self.node_process, "main", self._serve)
        world.thread(self.driver, "main", lambda: self._drive(main))

    def _serve(self) -> None:
        world = self.world
        config = {
            **CONFIG,
            "resources": {"CPU": self.cpus * 10_000},
            "capacity": self.capacity,
            "job": JOB,
        }
        sock: Any = kernel.Socket(world, self.node_process.files[self._there].file, self._there)
        zygote: Any = Zygote(self, self.node_process)
        self.node = node = Node(config, sock, zygote, 0)
        node.handlers = Tap(node.handlers, world, self.node_process)
        try:
            node.run()
        finally:
            if not self.node_process.dead:
                node.close()
        world.exit(self.node_process, 0)

    def _drive(self, main: Callable[[Session], None]) -> None:
        world = self.world
        sock: Any = kernel.Socket(world, self.driver.files[self._here].file, self._here)
        try:
            core: Any = DriverCore(sock, None, log=False)
        except LocalNodeDied:
            world.exit(self.driver, 0)
            return
        self.driver.core = self.driver.engine = core
        self.driver.local.clear()
        core.links._handlers = Tap(core.handlers, world, self.driver)
        from paralab import engine

        engine._Slot.engine = core
        core.start()
        main(self)
        core.shutdown()
        world.exit(self.driver, 0)

    def start(self, node: Process, files: list[Any]) -> int:
        """A new worker, child of the node, that has a socket and pipes; its pid."""
        self.workers += 1
        process = self.world.process(f"worker{self.workers}", node)
        fds = [kernel.Descriptor(file, process).fd for file in files]
        self.world.thread(process, "main", lambda: self.work(process, fds[0]))
        return process.pid

    def work(self, process: Process, fd: int) -> None:
        """What ``worker.main`` does, without what it does to its interpreter."""
        world = self.world
        sock: Any = kernel.Socket(world, process.files[fd].file, fd)
        executor = Executor()
        construction = Construction(executor)
        handlers = {**executor.incoming.handlers, **construction.handlers}
        try:
            core: Any = WorkerCore(sock, "io", _ignore, handlers)
        except Exception:  # the session ended while this process started
            world.exit(process, 1)
            return
        core.executor = executor
        core.construction = construction
        executor.attach(core)
        process.core = process.engine = core
        core.links._handlers = Tap(core.handlers, world, process)
        from paralab import engine

        engine._Slot.engine = core
        core.start()
        if core.welcome["environment"][1].get("env_vars", {}).get("STARTS"):
            core.post_node((ENVIRONMENT_FAILED, process.pid, "Its hook raised."))
            executor._end(None)
        else:
            core.post_node((READY, process.pid))
        executor.run()
        world.exit(process, executor.exit_code)


def _ignore(_name: str, _pid: int, _stream: str, _text: str) -> None:
    pass
