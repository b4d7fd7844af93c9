"""``JobConfig``: what a driver wants for all that it starts, as one object."""

from __future__ import annotations

from typing import Any

from paralab.logging_config import LoggingConfig

_LIFETIMES = ("detached", "non_detached")


class JobConfig:
    """Settings of a job, for ``init(job_config=...)``.

    Args:
        jvm_options, code_search_path: for Java and C++, which paralab does not run.
        runtime_env: the environment of all tasks and actors.
        metadata: texts by name; nobody reads them here.
        ray_namespace: the namespace of named actors.
        default_actor_lifetime: "detached" or "non_detached".

    Raises:
        ValueError: the lifetime is neither of the two.
        TypeError: the search path is no list.
    """

    def __init__(
        self,
        jvm_options: list[str] | None = None,
        code_search_path: list[str] | None = None,
        runtime_env: dict[str, Any] | None = None,
        _client_job: bool = False,
        metadata: dict[str, str] | None = None,
        ray_namespace: str | None = None,
        default_actor_lifetime: str = "non_detached",
        _disable_job_level_lineage_reconstruction: bool = False,
        _py_driver_sys_path: list[str] | None = None,
    ) -> None:
        if code_search_path is not None and not isinstance(code_search_path, (list, tuple)):
            raise TypeError(
                f"The type of code search path is incorrect: {type(code_search_path)}; "
                "expected a list of str."
            )
        self.jvm_options = jvm_options or []
        self.code_search_path = code_search_path or []
        self.metadata = metadata or {}
        self.ray_namespace = ray_namespace
        self.py_logging_config: LoggingConfig | None = None
        self.set_runtime_env(runtime_env)
        self.set_default_actor_lifetime(default_actor_lifetime)

    def set_metadata(self, key: str, value: str) -> None:
        """Adds one text."""
        self.metadata[key] = value

    def set_ray_namespace(self, ray_namespace: str) -> None:
        """Sets the namespace of named actors."""
        self.ray_namespace = ray_namespace

    def set_runtime_env(self, runtime_env: dict[str, Any] | None, validate: bool = False) -> None:
        """Sets the environment of all tasks and actors; ``init`` checks it."""
        self.runtime_env = dict(runtime_env) if runtime_env else {}

    def set_default_actor_lifetime(self, default_actor_lifetime: str) -> None:
        """Sets the lifetime of actors that are given none.

        Raises:
            ValueError: it is neither "detached" nor "non_detached".
        """
        if default_actor_lifetime not in _LIFETIMES:
            raise ValueError("Default actor lifetime must be one of `detached`, `non_detached`")
        self.default_actor_lifetime = default_actor_lifetime

    def set_py_logging_config(self, logging_config: LoggingConfig | None = None) -> None:
        """Sets how log records look."""
        self.py_logging_config = logging_config

    def ensure_logging_config(
        self, logging_config: LoggingConfig | dict[str, Any] | None = None
    ) -> None:
        """Sets how log records look, unless that is set."""
        if self.py_logging_config is None:
            if isinstance(logging_config, dict):
                logging_config = LoggingConfig.from_dict(logging_config)
            self.py_logging_config = logging_config

    @classmethod
    def from_json(cls, job_config_json: dict[str, Any]) -> JobConfig:
        """The settings in a dict with ``runtime_env``, ``metadata`` and ``ray_namespace``."""
        return cls(
            runtime_env=job_config_json.get("runtime_env"),
            metadata=job_config_json.get("metadata"),
            ray_namespace=job_config_json.get("ray_namespace"),
        )
