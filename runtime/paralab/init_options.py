"""The arguments of ``init``: which are known, which do something, and what each may be."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paralab.options import check_resources
from paralab.platform import nameless_file
from paralab.shown_text import did_you_mean
from paralab.system_config import settings as read_settings

_HARMLESS = {
    "include_dashboard", "include_webui", "dashboard_host", "dashboard_port", "logging_format",
    "_node_name", "_node_ip_address", "_metrics_export_port", "_redis_username",
    "_redis_password", "_plasma_directory", "_enable_object_reconstruction",
    "_driver_object_store_memory", "_skip_env_hook",
}  # fmt: skip
"""Names of Ray's parts that do not exist here: there is nothing that they could change.  Older
tutorials say ``include_webui``."""

NOT_YET: dict[str, str] = {
    "enable_resource_isolation": "limits by cgroup",
    "cgroup_path": "limits by cgroup",
    "system_reserved_cpu": "limits by cgroup",
    "system_reserved_memory": "limits by cgroup",
    "proxy_server_url": "the dashboard",
    "_tracing_startup_hook": "tracing hooks",
    "allow_multiple": "several clusters at once",
}
"""What asks for a thing that this version has not; it raises if it is given."""

SMALLEST_STORE = 1 << 20
"""Bytes; less could not hold a single object of those that go into shared memory."""

_ACTED_ON = {
    "address", "num_cpus", "num_gpus", "resources", "object_store_memory", "local_mode",
    "ignore_reinit_error", "configure_logging", "logging_level", "log_to_driver", "namespace",
    "runtime_env", "labels", "job_config", "logging_config", "_full_tracebacks",
    "_idle_worker_seconds", "object_spilling_directory", "_system_config", "_temp_dir", "_memory",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class InitOptions:
    """The arguments of ``init`` that mean something to an engine, checked."""

    address: str | None = None
    num_cpus: float | None = None
    num_gpus: float | None = None
    resources: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    memory: float | None = None
    """Whole bytes that tasks may ask for."""
    object_store_memory: int | None = None
    local_mode: bool | str = False
    log_to_driver: bool = True
    namespace: str = ""
    runtime_env: dict[str, Any] = field(default_factory=dict)
    logging: dict[str, Any] = field(default_factory=dict)
    """How log records look; empty if that is left alone."""
    full_tracebacks: bool = False
    idle_worker_seconds: float = 60.0
    faults: str = ""
    """Rules of the fault switch."""
    settings: dict[str, Any] = field(default_factory=read_settings)
    """Of ``_system_config`` and the environment (``paralab.system_config``)."""
    spill_folders: tuple[str, ...] = ()
    """Where objects go that do not fit into the store; empty: into the session's folder."""


def check_init_options(given: Mapping[str, Any]) -> InitOptions:
    """Checks the arguments of ``init``, defaults included.

    Raises:
        RuntimeError: one is unknown.
        ValueError, TypeError: one is wrong; the message names it.
        NotImplementedError: one is known from Ray but not available yet.
    """
    unknown = given.keys() - _ACTED_ON - _HARMLESS - NOT_YET.keys()
    if unknown:
        names = sorted(unknown)
        advice = "".join(did_you_mean(name, _ACTED_ON) for name in names).rstrip()
        known = sorted(name for name in _ACTED_ON if not name.startswith("_"))
        advice = advice or f"Known are {', '.join(known)}."
        raise RuntimeError(f"Unknown keyword argument(s): {', '.join(names)}. {advice}")
    for name, what in NOT_YET.items():
        if given.get(name):
            raise NotImplementedError(f"init({name}={given[name]!r}): {what} is not available yet.")
    given = {**given, **_of_job(given)}
    address = _address(given.get("address"))
    for name in ("num_cpus", "num_gpus"):
        _check_count(name, given.get(name))
    memory = given.get("_memory")
    if memory is not None:
        _check_type("_memory", memory, (int, float), "a number of bytes >= 0")
        if not 0 <= memory < math.inf:
            raise ValueError(f"init(_memory={memory}): expected a number of bytes >= 0.")
    store = given.get("object_store_memory")
    if store is not None:
        expected = f"a number of bytes >= {SMALLEST_STORE:,}"
        _check_type("object_store_memory", store, int, expected)
        if store < SMALLEST_STORE:
            raise ValueError(f"init(object_store_memory={store}): expected {expected}.")
    resources = given.get("resources") or {}
    _check_type("resources", resources, dict, "a dict of amounts by name")
    check_resources(resources, "init(resources)")
    labels = given.get("labels") or {}
    _check_type("labels", labels, dict, "a dict of str by str")
    local_mode = given.get("local_mode", False)
    if local_mode not in (True, False, "pickled"):
        raise ValueError(f"init(local_mode={local_mode!r}): expected True, False or 'pickled'.")
    log_to_driver = given.get("log_to_driver")
    idle = given.get("_idle_worker_seconds", 60.0)
    if not isinstance(idle, (int, float)) or not idle > 0:
        raise ValueError(f"init(_idle_worker_seconds={idle!r}): expected a number of seconds > 0.")
    return InitOptions(
        address=address,
        num_cpus=given.get("num_cpus"),
        num_gpus=given.get("num_gpus"),
        resources=dict(resources),
        labels=_labels(labels),
        memory=None if memory is None else float(int(memory)),
        object_store_memory=store,
        local_mode=local_mode,
        log_to_driver=True if log_to_driver is None else bool(log_to_driver),
        namespace=_namespace(given.get("namespace")),
        runtime_env=_runtime_env(given.get("runtime_env")),
        logging=_logging(given),
        full_tracebacks=bool(given.get("_full_tracebacks", False)),
        idle_worker_seconds=float(idle),
        faults=_faults(given.get("_system_config") or {}),
        settings=read_settings(given.get("_system_config")),
        spill_folders=_spill_folders(given),
    )


def _faults(config: Any) -> str:
    """What ``_system_config`` says of the fault switch; its other keys are for parts of Ray's."""
    _check_type("_system_config", config, dict, "a dict")
    given = config.get("faults", "")
    _check_type("_system_config['faults']", given, str, "a str of rules")
    where = "init(_system_config={'faults': ...})" if given else "PARALAB_FAULTS"
    if rules := given or os.environ.get("PARALAB_FAULTS", ""):
        from paralab.faults.rules import parse  # most programs need none

        parse(rules, where)
    return str(given)


def _spill_folders(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The folders to spill to, made if they are not there; each has been tried."""
    name = "object_spilling_directory"
    folders = given.get(name)
    if folders is None:
        config = (given.get("_system_config") or {}).get("object_spilling_config")
        if config:
            name, folders = "_system_config", _of_spilling_config(config)
    if folders is None:
        name, folders = "_temp_dir", given.get("_temp_dir")
    if folders is None:
        return ()
    found = []
    for folder in folders if isinstance(folders, list) else [folders]:
        _check_type(name, folder, (str, os.PathLike), "the path of a folder")
        path = os.path.abspath(os.fspath(folder))
        try:
            os.makedirs(path, exist_ok=True)
            os.close(nameless_file(path))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", error)  # a path with a zero byte has none
            raise ValueError(
                f"init({name}={os.fspath(folder)!r}): expected a folder in which this user can "
                f"write, for objects that do not fit into the store: {why}."
            ) from None
        found.append(path)
    return tuple(found)


def _of_spilling_config(config: Any) -> Any:
    """The folders that Ray's older way of saying it names."""
    expected = 'JSON such as \'{"type": "filesystem", "params": {"directory_path": "/path"}}\''
    try:
        said = json.loads(config)
        kind, folders = said["type"], said["params"]["directory_path"]
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"init(_system_config={{'object_spilling_config': {config!r}}}): expected {expected}."
        ) from None
    if kind != "filesystem":
        raise NotImplementedError(
            f"init(_system_config=): objects are spilled to folders only, not to {kind!r}."
        )
    return folders


def _of_job(given: Mapping[str, Any]) -> dict[str, Any]:
    """What ``job_config`` says about arguments that are not given."""
    job = given.get("job_config")
    if job is None:
        return {}
    from paralab.job_config import JobConfig

    _check_type("job_config", job, JobConfig, "a JobConfig")
    if job.default_actor_lifetime == "detached":
        raise NotImplementedError(
            "init(job_config=): default_actor_lifetime='detached' is not available; give the "
            "actors lifetime='detached' themselves."
        )
    said = {"namespace": job.ray_namespace, "runtime_env": job.runtime_env or None}
    return {name: value for name, value in said.items() if given.get(name) is None}


def _logging(given: Mapping[str, Any]) -> dict[str, Any]:
    config = given.get("logging_config")
    if config is None:
        config = getattr(given.get("job_config"), "py_logging_config", None)
    if config is None:
        return {}
    from paralab.logging_config import LoggingConfig

    _check_type("logging_config", config, LoggingConfig, "a LoggingConfig")
    if config.log_level not in logging.getLevelNamesMapping():
        known = ", ".join(logging.getLevelNamesMapping())
        raise ValueError(f"LoggingConfig(log_level={config.log_level!r}): expected one of {known}.")
    return dict(config.to_dict())


def _labels(labels: dict[str, str]) -> dict[str, str]:
    if not labels:
        return {}
    from paralab.labels import check_labels  # most programs need none

    return check_labels(labels)


def _check_type(name: str, value: object, type_: type | tuple[type, ...], expected: str) -> None:
    if not isinstance(value, type_):
        raise TypeError(
            f"init({name}={value!r}) is of type {type(value).__name__}; expected {expected}."
        )


def _address(address: object) -> str | None:
    """The address that was given, or the one that the environment names."""
    if address is not None:
        _check_type("address", address, str, "None, 'auto', 'local' or an address")
        if _is_here(str(address)):
            return "auto"
        if "://" in str(address):
            raise ValueError(
                f"init(address={address!r}): clients of another machine's cluster are not "
                "available; run the program on that machine."
            )
    return str(address or os.environ.get("PARALAB_ADDRESS") or _rays_address() or "") or None


def _is_here(address: str) -> bool:
    """Whether it is Ray's way of naming a cluster of this machine, by a port that is not here."""
    host, _, port = address.removeprefix("ray://").partition(":")
    return host in ("localhost", "127.0.0.1") and (port.isdecimal() or not port)


def _rays_address() -> str | None:
    """The variable of Ray's users, for programs that know us by that name."""
    if sys.modules.get("ray") is sys.modules["paralab"]:
        return os.environ.get("RAY_ADDRESS")
    return None


def refuse_when_joining(options: InitOptions, address: str) -> None:
    """A node that runs already has its resources.

    Raises:
        ValueError: some were asked for.
    """
    given = {
        "num_cpus": options.num_cpus,
        "num_gpus": options.num_gpus,
        "resources": options.resources,
        "labels": options.labels,
        "_memory": options.memory,
        "object_store_memory": options.object_store_memory,
        "_system_config": {"faults": options.faults} if options.faults else None,
        "object_spilling_directory": list(options.spill_folders) or None,
    }
    for name, value in given.items():
        if value not in (None, {}):
            raise ValueError(
                f"When connecting to an existing cluster, {name} must not be provided; got "
                f"{name}={value!r}. The node at {address} runs already; init(address='local') "
                "starts one of your own."
            )


def _check_count(name: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, (int, float)):
        raise TypeError(
            f"init({name}={value!r}) is of type {type(value).__name__}; expected a number >= 0."
        )
    if not math.isfinite(value) or value < 0 or value != int(value):
        raise ValueError(f"init({name}={value!r}): expected a whole number >= 0.")


def _namespace(namespace: object) -> str:
    if namespace is None:
        return os.urandom(16).hex()
    _check_type("namespace", namespace, str, "a str")
    if not namespace:
        raise ValueError("init(namespace=''): expected a str with text, or None.")
    return str(namespace)


def _runtime_env(runtime_env: Any) -> dict[str, Any]:
    if runtime_env is None:
        return {}
    _check_type("runtime_env", runtime_env, dict, "a dict")
    from paralab.runtime_env.runtime_env import as_runtime_env  # most programs need none

    return as_runtime_env(runtime_env)
