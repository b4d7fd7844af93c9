"""The life of a session: ``init``, ``shutdown``, and the start that nobody asked for.

::

    nothing --init(), or the first .remote(), put, get, ...--> running --shutdown(), exit--> nothing

One session runs in a process at a time.  A new one shares nothing with the last: refs and
handles of that one stay invalid.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from typing import Any

from paralab import remote_traceback
from paralab.call_sites import record_if_wanted
from paralab.context import Context
from paralab.engine import Engine, _Slot, install, installed
from paralab.init_options import InitOptions, check_init_options, refuse_when_joining
from paralab.library_name import said

LINGER_SECONDS = 0.5
"""What tasks that nobody waits for may still take when the interpreter exits; as in Ray."""
JOIN_SECONDS = 5.0
"""For so long a node that is found but lets nobody in is taken for one that is just ending."""


class _Session:
    """The running session.  Set by init, cleared by shutdown; the lock orders the two."""

    lock = threading.RLock()
    started_at = ""
    by_itself = False
    options: InitOptions | None = None
    pid = 0
    is_watching_exit = False
    is_over = False
    """The interpreter is exiting: its threads cannot be started any more, and nobody would end
    another session."""


def _user_line() -> str:
    """File and line of the nearest frame that is not paralab's."""
    frame = sys._getframe(1)
    while frame.f_back is not None and remote_traceback.is_own_file(frame.f_code.co_filename):
        frame = frame.f_back
    return f"{remote_traceback.shown_file(frame.f_code.co_filename)}:{frame.f_lineno}"


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: dict[str, float] | None = None,
    labels: dict[str, str] | None = None,
    object_store_memory: int | None = None,
    local_mode: bool | str = False,
    ignore_reinit_error: bool = False,
    include_dashboard: bool | None = None,
    dashboard_host: str = "127.0.0.1",
    dashboard_port: int | None = None,
    job_config: Any = None,
    configure_logging: bool = True,
    logging_level: int | str = "info",
    logging_format: str | None = None,
    logging_config: Any = None,
    log_to_driver: bool | None = None,
    namespace: str | None = None,
    runtime_env: dict[str, Any] | None = None,
    enable_resource_isolation: bool = False,
    cgroup_path: str | None = None,
    system_reserved_cpu: float | None = None,
    system_reserved_memory: int | None = None,
    proxy_server_url: str | None = None,
    **kwargs: Any,
) -> Context:
    """Starts paralab on this machine.

    Args:
        address: which node to join.  None: the one of the environment variable
            PARALAB_ADDRESS, or the one that ``paralab start --head`` has started, or else a new
            one, which ends with this process.  "auto": any that runs on this machine.  "local": a
            new one.  Or the address of one, which its ``address_info["address"]`` tells.
        num_cpus: CPUs that tasks may use at once; by default those this process may use.
        num_gpus: GPUs that tasks may use at once.
        resources: amounts of custom resources, by name.
        labels: of this node, by name, for ``label_selector``.
        object_store_memory: shared memory for objects, in bytes, 1 MiB at least.
        local_mode: True runs every task and actor in this process, in order, for debugging;
            "pickled" also copies every argument and result as sending it would.
        ignore_reinit_error: if paralab runs already, return its context instead of raising.
        log_to_driver: whether what tasks print is shown here (default True).
        namespace: of named actors; made up by default.
        runtime_env: environment of the workers, a dict or :class:`paralab.runtime_env.RuntimeEnv`:
            variables, folders, modules and packages.
        logging_level, configure_logging: level of the logger "paralab".
        include_dashboard, dashboard_host, dashboard_port, logging_format: accepted for Ray's
            users; there is nothing that they could change.
        job_config: a :class:`paralab.job_config.JobConfig`; its namespace and environment stand
            for those that are not given here.
        logging_config: a :class:`paralab.LoggingConfig`: how log records look, here and in workers.
        enable_resource_isolation, cgroup_path,
            system_reserved_cpu, system_reserved_memory, proxy_server_url: Ray's, not
            available yet.
        **kwargs: ``_full_tracebacks=True`` shows paralab's own frames in tracebacks;
            ``_idle_worker_seconds=60`` is how long a worker without work stays;
            ``_system_config`` is a dict of the settings in :mod:`paralab.system_config`, such as
            those of the memory monitor, and its "faults" are the rules of the fault switch
            (:mod:`paralab.faults.rules`);
            ``object_spilling_directory`` is where objects go that do not fit into the store, by
            default the session's folder; a few of Ray's hidden options are accepted.

    Returns:
        A context with ``address_info``; leaving its ``with`` block calls ``shutdown``.

    Raises:
        RuntimeError: paralab runs already, or an argument is unknown.
        ValueError, TypeError: an argument is wrong; the message names it.
        ConnectionError: no node runs at that address.
        NotImplementedError: the argument is known from Ray but not available yet.
    """
    # The arguments are this function's only locals so far.
    given = dict(locals())
    options = check_init_options({**given.pop("kwargs"), **given})
    with _Session.lock:
        engine = installed()
        if engine is not None:
            if not ignore_reinit_error:
                raise RuntimeError(_twice())
            return _context(engine)
        if configure_logging:
            level = logging_level.upper() if isinstance(logging_level, str) else logging_level
            logging.getLogger("paralab").setLevel(level)
        _start(options, by_itself=False)
        started = installed()
        assert started is not None
        return _context(started)


def _twice() -> str:
    if not _Session.started_at:
        started = "This is a worker of a running session."
    elif _Session.by_itself:
        started = (
            f"It was started by itself at {_Session.started_at}, which used it before init() "
            "was called; call init() before that line."
        )
    else:
        started = f"It was started at {_Session.started_at}."
    return said(
        "Maybe you called paralab.init twice by accident? This error can be suppressed by passing "
        "in 'ignore_reinit_error=True' or by calling 'paralab.shutdown()' prior to "
        f"'paralab.init()'. {started}"
    )


def _context(engine: Engine) -> Context:
    return Context(engine.info("address"), None, shutdown, engine.info("cluster_resources"))


def _refuse_when_exiting() -> None:
    if _Session.is_over or sys.is_finalizing():
        raise RuntimeError(
            said(
                "The interpreter is exiting, so paralab cannot start: a __del__ method, a thread "
                "or an atexit handler has called it after the end of the session."
            )
        )


def _start(options: InitOptions, *, by_itself: bool) -> None:
    _refuse_when_exiting()
    where = _user_line()
    if options.logging:
        from paralab.logging_config import apply

        apply(options.logging)
    if options.local_mode:
        from paralab.local_mode.engine import LocalEngine

        engine: Engine = LocalEngine(
            pickled=options.local_mode == "pickled",
            num_cpus=options.num_cpus,
            num_gpus=options.num_gpus,
            resources=options.resources,
            labels=options.labels,
            namespace=options.namespace,
            runtime_env=options.runtime_env,
        )
        record_if_wanted(engine, options.settings["record_ref_creation_sites"])
    else:
        engine = _start_or_join(options)
    if not _Session.is_watching_exit:
        atexit.register(_at_exit)
        _Session.is_watching_exit = True
    remote_traceback.show_all_frames(options.full_tracebacks)
    _Session.started_at, _Session.by_itself = where, by_itself
    _Session.pid = os.getpid()
    install(engine)


def _start_or_join(options: InitOptions) -> Engine:
    """The engine of a node that runs, or of a new one.

    A node may end between the moment in which it is found and that in which it would let us in.
    Who has not named it gets the next one that is found, or one of their own.
    """
    from paralab.process import session, session_folder

    deadline = time.monotonic() + JOIN_SECONDS
    while (folder := session.find_node(options.address)) is not None:
        refuse_when_joining(options, session_folder.SCHEME + folder)
        try:
            return session.attach_session(
                folder,
                log_to_driver=options.log_to_driver,
                namespace=options.namespace,
                runtime_env=options.runtime_env,
                logging=options.logging,
            )
        except ConnectionError as error:
            is_named = (options.address or "").startswith(session_folder.SCHEME)
            if is_named or time.monotonic() > deadline:
                address = session_folder.SCHEME + folder
                raise ConnectionError(said(_cannot_join(address, error, is_named))) from error
        time.sleep(0.05)
    return session.start_session(
        num_cpus=options.num_cpus,
        num_gpus=options.num_gpus,
        resources=options.resources,
        labels=options.labels,
        memory=options.memory,
        object_store_memory=options.object_store_memory,
        log_to_driver=options.log_to_driver,
        namespace=options.namespace,
        runtime_env=options.runtime_env,
        logging=options.logging,
        idle_seconds=options.idle_worker_seconds,
        faults=options.faults,
        settings=options.settings,
        spill_folders=options.spill_folders,
    )


def _cannot_join(address: str, error: ConnectionError, is_named: bool) -> str:
    if is_named:
        return (
            f"{error} It has been stopped, or has ended with the program that had started it: "
            "leave address out for a node of this program's own, or start one with 'paralab start "
            "--head'."
        )
    return (
        f"The node at {address} is found, but lets nobody in: {error} End it with 'paralab stop "
        "--force', or call paralab.init(address='local') for a node of this program's own."
    )


def start_by_itself() -> Engine:
    """Starts paralab with the defaults of ``init`` because something needs it now.

    Raises:
        RuntimeError: this is a child that a task has forked, or the interpreter is exiting.
    """
    _refuse_when_exiting()  # before options are looked at, which needs modules that may be gone
    if _Slot.forked_from and not _Session.pid:
        raise RuntimeError(
            said(
                f"This process was forked by a task in process {_Slot.forked_from}, whose session "
                "it has no part in: call paralab in the task itself and give the child what it "
                "needs. Or call paralab.init() here, for a session of its own."
            )
        )
    with _Session.lock:
        if installed() is None:
            _start(check_init_options({}), by_itself=True)
        engine = installed()
        assert engine is not None
        return engine


def other_session() -> str:
    """From which session a ref is that is not from the one in use, and what to do."""
    if _Slot.forked_from:
        return (
            f"the session of process {_Slot.forked_from}, of which this one is a forked child: it "
            "has no part in that session. Get the value before the fork."
        )
    return (
        "a session that was shut down; its value is gone. Refs are not valid across sessions: run "
        "the task that made it again."
    )


def _at_exit() -> None:
    # A child that the user forked inherits this handler, but not the session.
    if _Session.pid == os.getpid():
        _Session.is_over = True
        shutdown(_exiting_interpreter=True)


def shutdown(*, wait_for_processes: bool = False, _exiting_interpreter: bool = False) -> None:
    """Ends the session: its workers, actors and objects are gone when this returns.

    May be called twice.  Processes have always ended when this returns, whatever
    ``wait_for_processes`` says.  A later ``.remote()`` of a function or class starts a new session;
    refs and handles of this one stay invalid.

    When the interpreter exits, tasks that nobody has waited for may go on for half a second, so
    that a program whose last line is ``f.remote()`` sees what ``f`` prints.
    """
    with _Session.lock:
        engine = installed()
        if engine is None:
            return
        install(None)
        _Session.started_at, _Session.by_itself = "", False
        engine.shutdown(LINGER_SECONDS if _exiting_interpreter else 0.0)
        futures = sys.modules.get("paralab.object_futures")
        if futures is not None:
            futures.end_deliveries()


def is_initialized() -> bool:
    """Whether a session runs in this process."""
    return _Slot.engine is not None
