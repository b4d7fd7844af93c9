"""``RuntimeEnv``: a checked description of an environment, and how it is laid over another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from paralab.runtime_env.fields import PASSED_ON, check_together, checked

_EXCLUSIVE = ("pip", "uv")


class RuntimeEnvConfig(dict[str, Any]):
    """How an environment is set up; it does not tell one environment from another.

    Args:
        setup_timeout_seconds: seconds that setting up may take, -1 for no limit.
        eager_install: whether ``init`` begins to build at once.
        log_files: accepted for Ray's programs; there is no dashboard that would show them.

    Raises:
        TypeError, ValueError: one is wrong.
    """

    def __init__(
        self,
        setup_timeout_seconds: Any = 600,
        eager_install: Any = True,
        log_files: Any = None,
    ) -> None:
        if not isinstance(setup_timeout_seconds, int) or isinstance(setup_timeout_seconds, bool):
            raise TypeError(
                f"setup_timeout_seconds must be of type int, got: {type(setup_timeout_seconds)}"
            )
        if setup_timeout_seconds <= 0 and setup_timeout_seconds != -1:
            raise ValueError(
                "setup_timeout_seconds must be greater than zero or equals to -1, got: "
                f"{setup_timeout_seconds}"
            )
        if not isinstance(eager_install, bool):
            raise TypeError(f"eager_install must be a boolean. got {type(eager_install)}")
        if log_files is not None and not (
            isinstance(log_files, list) and all(isinstance(name, str) for name in log_files)
        ):
            raise TypeError(
                f"log_files must be a list of strings or None, got {log_files!r} with type "
                f"{type(log_files)}."
            )
        super().__init__(
            setup_timeout_seconds=setup_timeout_seconds,
            eager_install=eager_install,
            log_files=log_files or [],
        )

    @classmethod
    def default_config(cls) -> RuntimeEnvConfig:
        """The defaults."""
        return cls()

    @staticmethod
    def parse_and_validate_runtime_env_config(config: Any) -> RuntimeEnvConfig:
        """A config from a dict, or the config itself.

        Raises:
            TypeError, ValueError: ``config`` is neither, or a value or name in it is wrong.
        """
        if isinstance(config, RuntimeEnvConfig):
            return config
        if not isinstance(config, dict):
            raise TypeError(
                f"runtime_env['config'] must be of type dict or RuntimeEnvConfig, got: "
                f"{type(config)}"
            )
        unknown = config.keys() - {"setup_timeout_seconds", "eager_install", "log_files"}
        if unknown:
            raise ValueError(f"runtime_env['config'] has no field {', '.join(sorted(unknown))}.")
        return RuntimeEnvConfig(**config)

    def to_dict(self) -> dict[str, Any]:
        """A plain dict of it."""
        return dict(self)

    def __reduce__(self) -> Any:
        return _config_from, (dict(self),)


def _config_from(fields: dict[str, Any]) -> RuntimeEnvConfig:
    return RuntimeEnvConfig(**fields)


class RuntimeEnv(dict[str, Any]):
    """An environment for a job, a task or an actor; a dict of its fields does as well.

    Args:
        env_vars: variables, str to str; ``${NAME}`` in a value is what NAME was without it.
        working_dir: a folder, or an archive of one.  Workers get a copy as their current folder
            and first place to import from.
        excludes: patterns, as in ``.gitignore``, of what is not copied.
        py_modules: folders that are packages, .py files, wheels, or modules, to import from.
        pip, uv: a list of requirements, the path of a file of them, or a dict with ``packages``
            and ``pip_check``, ``pip_version``, ``pip_install_options`` (``uv_check``,
            ``uv_version``, ``uv_pip_install_options``).
        worker_process_setup_hook: a function of no arguments, or "module.function", called in
            each worker before its first task.
        config: a :class:`RuntimeEnvConfig`, or a dict of its arguments.
        conda, container, image_uri, nsight, rocprof_sys, py_executable: Ray's, not available.
        _validate: False leaves the checks to the first use.

    Raises:
        ValueError, TypeError: a field is unknown or wrong; the message names it.
        NotImplementedError: a field is known from Ray but not available.
    """

    def __init__(
        self,
        *,
        py_modules: list[Any] | None = None,
        py_executable: str | None = None,
        working_dir: str | None = None,
        pip: Any = None,
        conda: Any = None,
        container: dict[str, str] | None = None,
        env_vars: dict[str, str] | None = None,
        worker_process_setup_hook: Callable[[], Any] | str | None = None,
        nsight: Any = None,
        rocprof_sys: Any = None,
        config: Any = None,
        _validate: bool = True,
        image_uri: str | None = None,
        uv: Any = None,
        **kwargs: Any,
    ) -> None:
        given = {
            "py_modules": py_modules,
            "working_dir": working_dir,
            "pip": pip,
            "uv": uv,
            "conda": conda,
            "nsight": nsight,
            "rocprof_sys": rocprof_sys,
            "py_executable": py_executable,
            "container": container,
            "image_uri": image_uri,
            "env_vars": env_vars,
            "worker_process_setup_hook": worker_process_setup_hook,
            "config": config,
            **kwargs,
        }
        given = {name: value for name, value in given.items() if value is not None}
        self._is_checked = _validate
        if not _validate:
            super().__init__(given)
            return
        check_together(given)
        super().__init__()
        for name, value in given.items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "config":
            kept: Any = RuntimeEnvConfig.parse_and_validate_runtime_env_config(value)
        else:
            kept = checked(name, value)
        if kept is None:
            self.pop(name, None)
        else:
            super().__setitem__(name, kept)

    def set(self, name: str, value: Any) -> None:
        """Sets a field, checked."""
        self[name] = value

    def to_dict(self) -> dict[str, Any]:
        """A plain dict of it."""
        return {n: dict(v) if n == "config" else v for n, v in self.items()}

    def serialize(self) -> str:
        """It as JSON; raises TypeError for what JSON cannot say, such as a function."""
        return json.dumps(self, sort_keys=True)

    @classmethod
    def deserialize(cls, serialized_runtime_env: str) -> RuntimeEnv:
        """The opposite of :meth:`serialize`."""
        return cls(**json.loads(serialized_runtime_env))

    def has_working_dir(self) -> bool:
        """Whether it names a folder to work in."""
        return bool(self.get("working_dir"))

    def has_pip(self) -> bool:
        """Whether packages are installed by pip."""
        return bool(self.get("pip"))

    def has_uv(self) -> bool:
        """Whether packages are installed by uv."""
        return bool(self.get("uv"))

    def env_vars(self) -> dict[str, str]:
        """Its variables."""
        return dict(self.get("env_vars", {}))

    def working_dir(self) -> str | None:
        """Its folder to work in."""
        return self.get("working_dir")

    def py_modules(self) -> list[str]:
        """What it adds to import from."""
        return list(self.get("py_modules", ()))

    def pip_config(self) -> dict[str, Any]:
        """What pip installs."""
        return dict(self.get("pip", {}))

    def uv_config(self) -> dict[str, Any]:
        """What uv installs."""
        return dict(self.get("uv", {}))

    def over(self, parent: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of this and of its parent's, of which this one's count, variables apart."""
        merged = {**parent, **{n: v for n, v in self.to_dict().items() if n not in PASSED_ON}}
        if parent.get("env_vars") and self.get("env_vars"):
            merged["env_vars"] = {**parent["env_vars"], **self["env_vars"]}
        for one, other in (_EXCLUSIVE, _EXCLUSIVE[::-1]):
            if one in self and other in parent:
                merged.pop(other, None)
        return merged

    def applied(self) -> AbstractContextManager[None]:
        """Makes this process look like it while the context lasts, for ``local_mode``.

        Raises:
            NotImplementedError: it asks for what only a process of its own can have.
        """
        from paralab.runtime_env.here import applied

        return applied(self)

    def named(self, parent: Mapping[str, Any], folder: str) -> tuple[str, dict[str, Any]]:
        """This environment laid over its parent's, as a dict that is JSON, and its name.

        The name is a hash of all but ``config``; "" if nothing is special.

        Folders and modules are copied now, and what was written into them later is not seen.

        Args:
            parent: the dict that this has returned for whoever submits; or {}.
            folder: the session's.

        Raises:
            ValueError: something to be copied is too large, or an archive is no good.
            OSError: a file cannot be read.
        """
        import hashlib  # it loads OpenSSL, which takes longer than all of this module

        fields = self if self._is_checked else RuntimeEnv(**self)
        merged = fields.over(parent)
        excludes = merged.pop("excludes", [])
        copied = {"working_dir", "py_modules", "worker_process_setup_hook"} & fields.keys()
        if copied:
            from paralab.runtime_env import packages

            if fields.get("working_dir"):
                merged["working_dir"] = packages.copy_tree(fields["working_dir"], folder, excludes)
            if "py_modules" in fields:
                merged["py_modules"] = [
                    packages.copy_module(path, folder, excludes) for path in fields["py_modules"]
                ]
            hook = fields.get("worker_process_setup_hook")
            if callable(hook):
                merged["worker_process_setup_hook"] = packages.keep_hook(hook, folder)
        described = {name: value for name, value in merged.items() if value}
        config = described.pop("config", None)
        key = ""
        if described:
            text = json.dumps(described, sort_keys=True)
            key = hashlib.sha256(text.encode()).hexdigest()[:32]
        return key, described if config is None else {**described, "config": config}

    def __reduce__(self) -> Any:
        return _env_from, (dict(self), self._is_checked)


def _env_from(fields: dict[str, Any], is_checked: bool) -> RuntimeEnv:
    # What was checked in the driver need not be there where a worker unpickles it.
    made = RuntimeEnv(_validate=False, **fields)
    made._is_checked = is_checked
    return made


def as_runtime_env(runtime_env: dict[str, Any]) -> RuntimeEnv:
    """A dict of an environment's fields, checked.

    Raises:
        ValueError, TypeError, NotImplementedError: see :class:`RuntimeEnv`.
    """
    if isinstance(runtime_env, RuntimeEnv):
        return runtime_env
    return RuntimeEnv(**{str(name): value for name, value in runtime_env.items()})
