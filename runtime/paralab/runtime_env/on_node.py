"""The node's side of environments: what they are, and the processes that build them.

What takes long, installing packages, is done by a process of its own for each environment
(``paralab.runtime_env.build``), so that the node goes on serving::

    request names it ──▶ BuildEnvironment ──▶ builder process ──stdout: JSON──▶ python, or why not

The builder has a process group of its own.  Whatever happens to it, the group is killed with it,
so that no installer goes on alone; if the node dies, the builder's parent-death signal does that.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from paralab.boot import python_command, start_worker
from paralab.exceptions import RuntimeEnvSetupError
from paralab.messages import REFUSED
from paralab.remote_errors import pack_failure
from paralab.runtime_env.cache import hold
from paralab.runtime_env.variables import INSTALLED, come_after_the_fork, expanded
from paralab.state.lease_instructions import RefuseEnvironment
from paralab.state.obituaries import ended

if TYPE_CHECKING:
    from paralab.process.node import Node
    from paralab.process.node_workers import Process

READ = 1 << 16


class NodeEnvironments:
    """The environments of one node; made with the first."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._table = node.leases.environments
        self._known: dict[str, dict[str, Any]] = {}
        """Descriptions; never leave."""
        self._built: dict[str, dict[str, Any]] = {}
        """What the builder said of each that it has built: the interpreter, and variables."""
        self._held: list[int] = []
        """Locks of what was built, so that it is not removed while this node lives."""
        self._builders: set[subprocess.Popen[bytes]] = set()
        """While they run."""

    def add(self, client: Process, key: str, description: dict[str, Any], of_job: bool) -> None:
        """A client names an environment, a driver that of its job."""
        if key:
            self._known.setdefault(key, description)
            self._table.add(key, any(description.get(field) for field in INSTALLED))
        if of_job:
            self._node.drivers.environment(client, key, description)

    def named(self, key: str) -> tuple[str, dict[str, Any]]:
        """What a worker of it is told."""
        return key, self._known[key]

    def start_worker(self, key: str, *descriptors: int) -> int:
        """Starts a worker of it as a fresh interpreter, if it must be one: its pid, or 0.

        Its variables are there before the first import of anything.
        """
        description = self._known[key]
        if come_after_the_fork(description):
            return 0
        built = self._built.get(key)
        variables = dict(built["env_vars"]) if built else {}
        variables |= expanded(description.get("env_vars", {}), os.environ | variables)
        return start_worker((built or {}).get("python", ""), variables, *descriptors)

    # -- building ----------------------------------------------------------------------------

    def build(self, key: str) -> None:
        """Starts the process that builds it."""
        builder = subprocess.Popen(
            python_command("from paralab.runtime_env.build import main; main()"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._builders.add(builder)
        self._node.helpers.add(builder.pid)
        assert builder.stdin is not None
        assert builder.stdout is not None
        with builder.stdin as pipe:
            pipe.write(json.dumps(self._known[key]).encode())
        said = bytearray()
        fd = builder.stdout.fileno()
        self._node.watch(fd, lambda _event: self._read(key, builder, fd, said))

    def _read(self, key: str, builder: subprocess.Popen[bytes], fd: int, said: bytearray) -> None:
        data = os.read(fd, READ)
        said += data
        if data:
            return
        self._node.unwatch(fd)
        self._end(builder)
        self._node.pool.sweep()
        try:
            answer = json.loads(said)
        except ValueError:
            answer = {"error": f"The process that built it ended with code {builder.returncode}."}
        if "error" in answer:
            self.failed(key, answer["error"])
        else:
            self._built[key] = answer
            self._held.append(hold(answer["lock"]))
            self._table.built(key)
        self._node.undecided = True

    def _end(self, builder: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(builder.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        assert builder.stdout is not None
        builder.stdout.close()
        builder.wait()
        self._builders.discard(builder)
        self._node.helpers.discard(builder.pid)

    # -- failures ----------------------------------------------------------------------------

    def failed(self, key: str, text: str) -> None:
        """There is no such environment: requests that wait for it fail."""
        for instruction in self._node.leases.environment_failed(key, text):
            self._node.carry_out(instruction)

    def give_up(self, process: Process) -> None:
        """Too many workers of it ended before they could take work; this is the last one."""
        how = "ended before it could take work"
        self.failed(
            process.environment, ended("A worker process of it", how, list(process.last_lines))
        )

    def bad(self, process: Process, pid: int, text: str) -> None:
        """A worker says that its environment cannot be set up, and ends."""
        self.failed(process.environment, text)
        self._node.pool.watch_end(process, pid)

    def refuse(self, instruction: RefuseEnvironment) -> None:
        """Tells a client why its tasks or its actor cannot run."""
        error = RuntimeEnvSetupError(instruction.text)
        node = self._node
        failure = pack_failure(error, function="", pid=os.getpid(), node=node.node_id.hex())
        if instruction.actor is None:
            node.post(instruction.client, (REFUSED, instruction.class_number, failure))
            return
        node.actors.end_before(instruction.actor, failure, instruction.text)

    def close(self) -> None:
        """Ends the builders, and lets go of what was built."""
        for builder in list(self._builders):
            self._end(builder)
        while self._held:
            os.close(self._held.pop())
