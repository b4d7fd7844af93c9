"""Starting a session: the driver starts the node process, or finds one, and becomes its client.

This module imports little, so that the node's interpreter starts first, and what the driver
itself needs is imported while the other boots.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from paralab import engine as seam
from paralab import limits, system_config
from paralab.boot import python_command
from paralab.call_sites import record_if_wanted
from paralab.exceptions import LocalNodeDied
from paralab.library_name import is_called_ray
from paralab.process.session_folder import SCHEME
from paralab.store.arena import default_capacity
from paralab.task_spec import fixed_resources

if TYPE_CHECKING:
    from paralab.process.driver import DriverCore

_RUN_NODE = "from paralab.process.session import run_node; run_node(int(sys.argv[2]))"
_RUN_ZYGOTE = "from paralab.process.session import run_zygote; run_zygote(int(sys.argv[2]))"


def start_session(
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    memory: float | None = None,
    object_store_memory: int | None = None,
    log_to_driver: bool = True,
    namespace: str | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    logging: Mapping[str, Any] | None = None,
    idle_seconds: float = 60.0,
    process_limit: int | None = None,
    faults: str = "",
    settings: Mapping[str, Any] | None = None,
    spill_folders: Sequence[str] = (),
) -> DriverCore:
    """Starts a node on this machine and returns the driver's engine.

    Args:
        num_cpus, num_gpus: by default what the machine, its cgroup and its affinity allow, and 0.
        resources: further resources by name.
        labels: of the node, by name.
        memory: bytes that tasks may ask for; by default what the cgroup allows less the store.
        object_store_memory: bytes of shared memory; by default a share of the machine's.
        log_to_driver: whether to show what tasks print.
        namespace: of named actors.
        runtime_env: environment of all tasks, a ``RuntimeEnv``.
        logging: how log records look in workers, a ``LoggingConfig`` as a dict; empty: as ever.
        idle_seconds: after which a worker without work ends.
        process_limit: of workers that run tasks; by default 2,000, or fewer on small machines.
        faults: rules of the fault switch (:mod:`paralab.faults.rules`); by default those of the
            environment variable.
        settings: of ``paralab.system_config``; by default those of the environment.
        spill_folders: where objects go that do not fit into the store; by default the session's.

    Raises:
        RuntimeError: the node process did not start; its error output is in the message.
    """
    config = _node_config(
        *(num_cpus, num_gpus, resources, labels, memory, object_store_memory),
        *(idle_seconds, process_limit, faults, settings, spill_folders),
    )
    config["job"] = _job(namespace, runtime_env, logging)
    process, mine = _start_node(config)
    from paralab.process.driver import DriverCore, end_node

    try:
        core = DriverCore(mine, process, log_to_driver)
    except BaseException:
        mine.close()
        end_node(process)
        raise
    return _install(core, runtime_env)


def attach_session(
    folder: str,
    *,
    log_to_driver: bool = True,
    namespace: str | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    logging: Mapping[str, Any] | None = None,
) -> DriverCore:
    """Becomes one more driver of a node that runs already.

    Args:
        folder: the node's (:func:`find_node`).
        log_to_driver, namespace, runtime_env, logging: see :func:`start_session`.

    Raises:
        ConnectionError: no node of this user listens there.
    """
    from paralab.process.door import knock
    from paralab.process.driver import DriverCore

    sock = knock(folder, "driver", **_job(namespace, runtime_env, logging))
    try:
        core = DriverCore(sock, None, log_to_driver)
    except BaseException as error:
        sock.close()
        if isinstance(error, (LocalNodeDied, ConnectionError)):
            raise ConnectionError(f"The node at {SCHEME}{folder} let nobody in.") from error
        raise
    return _install(core, runtime_env)


def start_node_alone(*, ends_with_us: bool = False, **amounts: Any) -> str:
    """Starts a node that is no driver's, and returns its folder.

    Args:
        ends_with_us: whether it ends when this process does; else it outlives it.
        **amounts: ``num_cpus`` to ``object_store_memory`` of :func:`start_session`.

    Raises:
        RuntimeError: it did not start; what it had to say is in the message.
    """
    config = {**_node_config(**amounts), "job": None, "ends_with": os.getpid() * ends_with_us}
    # Not our own output: who waits for the end of that would wait for the node's.
    process, mine = _start_node(config, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    with mine, process.stderr as stderr:
        folder = mine.recv(1 << 12).decode()
        if not folder:
            said = stderr.read().decode(errors="replace")
            raise RuntimeError(f"The node did not start; it ended with {process.wait()}.\n{said}")
    process.returncode = 0  # it is not ours to wait for
    return folder


def find_node(address: str | None) -> str | None:
    """The folder of the node that ``address`` means; None for one to be started here.

    Args:
        address: None for a node that stands alone, if there is one; "auto" for any that runs;
            "local" for none; or the address of one.

    Raises:
        ConnectionError: there is none.
    """
    if address == "local":
        return None
    from paralab.process import session_folder

    if address is None or address == "auto":
        found = session_folder.running(on_their_own=True)
        if not found and address == "auto":
            found = session_folder.running(on_their_own=False)
        if found or address is None:
            return found[0] if found else None
        raise ConnectionError(
            "Could not find any running instance: init(address='auto') joins one that runs on "
            "this machine. Start one with 'paralab start --head', or leave address out."
        )
    if address.startswith(SCHEME):
        return os.path.expanduser(address.removeprefix(SCHEME))
    raise ConnectionError(
        f"init(address={address!r}): no node listens there. Nodes of other machines cannot be "
        f"joined yet; the address of one of this machine begins with {SCHEME!r}, and 'paralab "
        "status' shows it."
    )


def _node_config(
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    memory: float | None = None,
    object_store_memory: int | None = None,
    idle_seconds: float = 60.0,
    process_limit: int | None = None,
    faults: str = "",
    settings: Mapping[str, Any] | None = None,
    spill_folders: Sequence[str] = (),
) -> dict[str, Any]:
    memory_limit = limits.memory_limit()
    capacity = int(object_store_memory or default_capacity(memory_limit))
    free = float(memory if memory is not None else max(0, memory_limit - capacity))
    amounts = {
        "object_store_memory": float(capacity),
        "node:__internal_head__": 1.0,
        **node_amounts(num_cpus, num_gpus, resources, free),
    }
    return {
        "resources": fixed_resources(amounts),
        "labels": dict(labels or {}),
        "capacity": capacity,
        "idle_seconds": idle_seconds,
        "process_limit": process_limit,
        "faults": faults or os.environ.get("PARALAB_FAULTS", ""),
        "settings": settings if settings is not None else system_config.settings(),
        "spill_folders": list(spill_folders),
        "info": _address_info(),
    }


def node_amounts(
    num_cpus: float | None,
    num_gpus: float | None,
    resources: Mapping[str, float] | None,
    memory: float,
) -> dict[str, float]:
    """What every node has."""
    return {
        "CPU": float(limits.cpu_count() if num_cpus is None else num_cpus),
        "GPU": float(num_gpus or 0),
        "memory": memory,
        "node:127.0.0.1": 1.0,
        **(resources or {}),
    }


def _job(
    namespace: str | None,
    runtime_env: Mapping[str, Any] | None,
    logging: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What workers have to know of the driver for which they work."""
    return {
        "namespace": namespace or os.urandom(16).hex(),
        "sys_path": list(sys.path),
        "as_ray": is_called_ray(),
        "cwd": os.getcwd(),
        "argv": sys.argv,
        "logging": dict(logging or {}),
        # What it is can only be said once there is a folder that things can be copied into.
        "environment": None if runtime_env else ("", {}),
    }


def _start_node(
    config: dict[str, Any], stdout: int | None = None, stderr: int | None = None
) -> tuple[subprocess.Popen[bytes], socket.socket]:
    mine, theirs = socket.socketpair()
    process = subprocess.Popen(
        python_command(_RUN_NODE, theirs.fileno()),
        stdin=subprocess.PIPE,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        stdout=stdout,
        stderr=stderr,
    )
    theirs.close()
    assert process.stdin is not None
    with process.stdin as pipe:
        pipe.write(json.dumps(config).encode())
    return process, mine


def _install(core: DriverCore, runtime_env: Mapping[str, Any] | None) -> DriverCore:
    record_if_wanted(core, core.welcome["settings"]["record_ref_creation_sites"])
    core.start()
    try:
        if runtime_env:
            core.say_environment(runtime_env)
    except BaseException:
        core.shutdown()
        raise
    seam.install(core)
    if not _Forks.are_watched:
        os.register_at_fork(after_in_child=_forked)
        _Forks.are_watched = True
    return core


class _Forks:
    are_watched = False
    """Set by the first session; a handler cannot be taken back."""


def _forked() -> None:
    disown = getattr(seam.installed(), "disown", None)
    if disown is not None:
        disown()


def _address_info() -> dict[str, Any]:
    return {
        "node_ip_address": "127.0.0.1",
        "raylet_ip_address": "127.0.0.1",
        "redis_address": None,
        "object_store_address": None,
        "raylet_socket_name": None,
        "webui_url": "",
        "session_dir": None,
        "metrics_export_port": None,
        "gcs_address": "local",
        "address": "local",
        "dashboard_agent_listen_port": None,
    }


def run_node(descriptor: int) -> None:
    """What the node process runs.

    The zygote is forked first, so that both import what they need at the same time.
    """
    mine, theirs = socket.socketpair()
    node_pid = os.getpid()
    zygote_pid = os.fork()
    if not zygote_pid:
        mine.close()
        os.close(descriptor)
        _forget_standard_input()
        run_zygote(theirs.detach(), node_pid)
        os._exit(0)
    theirs.close()
    try:
        config = json.loads(sys.stdin.buffer.read())
    except ValueError:
        os._exit(1)  # the driver was killed before it could say what it wants
    _forget_standard_input()
    from paralab.process.node import main

    main(descriptor, config, mine, zygote_pid)


def _forget_standard_input() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def spawn_zygote() -> tuple[socket.socket, int]:
    """Starts a zygote as a fresh interpreter, for a node whose own has died."""
    mine, theirs = socket.socketpair()
    process = subprocess.Popen(
        python_command(_RUN_ZYGOTE, theirs.fileno()),
        stdin=subprocess.DEVNULL,
        pass_fds=[theirs.fileno()],
        start_new_session=True,
    )
    theirs.close()
    pid = process.pid
    process.returncode = 0  # the node waits for it itself
    return mine, pid


def run_zygote(descriptor: int, node_pid: int | None = None) -> None:
    """What a zygote runs, forked or started as a fresh interpreter."""
    node_pid = node_pid or os.getppid()
    from paralab.process.zygote import serve

    serve(socket.socket(fileno=descriptor), node_pid)
