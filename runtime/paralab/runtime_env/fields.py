"""What each field of a runtime environment may be, and the form in which it is kept.

Names, accepted forms and error types are Ray's.  A field that is unknown is an error here, where
Ray keeps it for plugins that may or may not exist: a typing error would otherwise go unnoticed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NoReturn

from paralab.shown_text import did_you_mean, shown_name

ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.xz")
_ELSEWHERE = {
    "conda": "use pip or uv, or start Python from the conda environment that you want",
    "container": "start the whole program in the container",
    "image_uri": "start the whole program in the container",
    "java_jars": "there are no Java workers here",
    "mpi": "start MPI programs from a task, by subprocess",
    "nsight": "profile the whole program, or a task by the tools of paralab_profiling",
    "_nsight": "profile the whole program, or a task by the tools of paralab_profiling",
    "rocprof_sys": "profile the whole program, or a task by the tools of paralab_profiling",
    "_rocprof_sys": "profile the whole program, or a task by the tools of paralab_profiling",
    "py_executable": "start the program with the Python that you want; pip and uv add packages",
}
"""What Ray has and paralab has not, and what to use instead."""
_ALONE = ("image_uri", "container")
PASSED_ON = ("_ray_commit", "_ray_release", "_inject_current_ray")
"""Notes that Ray's own tools leave; nothing depends on them here."""


def _wrong_type(field: str, expected: str, value: object) -> NoReturn:
    raise TypeError(
        f"runtime_env[{field!r}] must be of type {expected}, got {value!r} of {type(value)}"
    )


def _strings(field: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        _wrong_type(field, "List[str]", value)
    return list(value)


def _env_vars(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):  # said without the value, which may hold secrets
        raise TypeError(
            f"runtime_env['env_vars'] must be of type Dict[str, str], got one of {type(value)}"
        )
    for key, text in value.items():
        for what, item in (("key", key), ("value", text)):
            if not isinstance(item, str):
                raise TypeError(
                    "runtime_env['env_vars'] must be of type Dict[str, str], but the "
                    f"{what} {item!r} is of type {type(item)}"
                )
        if not key or "=" in key or "\0" in key + text:
            raise ValueError(  # without the value too
                f"runtime_env['env_vars']: {key!r} cannot be a variable: a name has no '=' and is "
                "not empty, and neither name nor value has a zero byte."
            )
    return dict(value)


def _local(field: str, path: str) -> str:
    """The absolute path of something that is there."""
    scheme, colon, rest = path.partition("://")
    if scheme == "file" and colon:
        path = rest
    elif colon:
        raise NotImplementedError(
            f"runtime_env[{field!r}]={path!r}: paralab fetches nothing from elsewhere; download "
            "it and give the path of the folder or archive."
        )
    full = os.path.abspath(os.path.expanduser(path))
    if not os.path.exists(full):
        raise ValueError(
            f"{shown_name(path)} is not a valid path: runtime_env[{field!r}] names nothing."
        )
    return full


def _working_dir(value: Any) -> str:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str):
        raise TypeError(f"`working_dir` must be a string, got {type(value)}.")
    if not value:
        return ""
    path = _local("working_dir", value)
    if not os.path.isdir(path) and not path.endswith(ARCHIVES):
        raise ValueError(
            f"runtime_env['working_dir']={value!r} is neither a folder nor one of "
            f"{', '.join(ARCHIVES)}."
        )
    return path


def _py_modules(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"`py_modules` must be a list of strings, got {type(value)}.")
    return [_py_module(item) for item in value]


def _py_module(item: Any) -> str:
    if isinstance(item, ModuleType):
        folders = list(getattr(item, "__path__", ()))
        path = folders[0] if folders else getattr(item, "__file__", None)
        if path is None:
            raise ValueError(f"`py_module` {item!r} has no file that workers could be given.")
        item = path
    if isinstance(item, os.PathLike):
        item = os.fspath(item)
    if not isinstance(item, str):
        raise TypeError(f"`py_module` must be a string, got {type(item)}.")
    path = _local("py_modules", item)
    if not os.path.basename(path):
        raise ValueError(f"runtime_env['py_modules']: {item!r} has no name to import it by.")
    if not os.path.isdir(path) and not path.endswith((".py", ".whl", *ARCHIVES)):
        raise ValueError(
            f"runtime_env['py_modules']: {item!r} is neither a folder, a .py file, a wheel nor "
            f"one of {', '.join(ARCHIVES)}."
        )
    return path


def _requirements(field: str, value: Any) -> list[str]:
    """Lines of a requirements file, or the list itself; each once."""
    if isinstance(value, str):
        path = os.path.abspath(os.path.expanduser(value))
        if not os.path.isfile(path):
            raise ValueError(
                f"{shown_name(value)} is not a valid file: runtime_env[{field!r}] names nothing."
            )
        with open(path, encoding="utf-8") as file:
            value = [line.strip() for line in file]
    return list(dict.fromkeys(line for line in value if line))


def _installer(field: str, flag: str, version: str, options: str) -> Callable[[Any], Any]:
    known = ("packages", flag, version, options)

    def check(value: Any) -> dict[str, Any] | None:
        if isinstance(value, (str, list)):
            if isinstance(value, list) and not all(isinstance(item, str) for item in value):
                _wrong_type(field, "str or List[str]", value)
            value = {"packages": value}
        if not isinstance(value, dict):
            _wrong_type(field, "str or List[str], or dict", value)
        if set(value) - set(known) or "packages" not in value:
            raise ValueError(
                f"runtime_env[{field!r}] can only have these fields: {', '.join(known)}, and "
                f"needs packages, but got: {list(value)}"
            )
        packages = value["packages"]
        if not isinstance(packages, (str, list)) or (field == "uv" and isinstance(packages, str)):
            raise ValueError(
                f"runtime_env[{field!r}]['packages'] must be of type list, got: {type(packages)}"
            )
        checked = {"packages": _requirements(field, packages), flag: value.get(flag, False)}
        if not isinstance(checked[flag], bool):
            _wrong_type(f"{field}']['{flag}", "bool", value[flag])
        if version in value:
            if not isinstance(value[version], str):
                _wrong_type(f"{field}']['{version}", "str", value[version])
            checked[version] = value[version]
        if options in value:
            given = value[options]
            if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
                _wrong_type(f"{field}']['{options}", "List[str]", given)
            checked[options] = given
        return checked if checked["packages"] else None

    return check


def _hook(value: Any) -> Any:
    if not (isinstance(value, str) or callable(value)):
        _wrong_type("worker_process_setup_hook", "str or a callable", value)
    if isinstance(value, str) and not value.rpartition(".")[0]:
        raise ValueError(
            f"runtime_env['worker_process_setup_hook']={value!r}: expected 'module.function'."
        )
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "env_vars": _env_vars,
    "working_dir": _working_dir,
    "py_modules": _py_modules,
    "excludes": lambda value: _strings("excludes", value),
    "pip": _installer("pip", "pip_check", "pip_version", "pip_install_options"),
    "uv": _installer("uv", "uv_check", "uv_version", "uv_pip_install_options"),
    "worker_process_setup_hook": _hook,
}


def checked(name: str, value: Any) -> Any:
    """One field in the form in which it is kept; None leaves it out.

    Raises:
        ValueError, TypeError: there is no such field, or its value is wrong.
        NotImplementedError: Ray has it and paralab has not; the message says what to use.
    """
    if name in _ELSEWHERE:
        raise NotImplementedError(
            f"runtime_env[{name!r}] is not available in paralab: {_ELSEWHERE[name]}."
        )
    if name in PASSED_ON:
        return value
    check = _CHECKS.get(name)
    if check is None:
        advice = did_you_mean(name, _CHECKS).rstrip() or f"Known are {', '.join(_CHECKS)}."
        raise ValueError(f"runtime_env has no field {name!r}. {advice}")
    return None if value is None else check(value)


def check_together(fields: Mapping[str, Any]) -> None:
    """Raises ValueError for fields that exclude each other."""
    for alone in _ALONE:
        others = {name for name in fields if name not in (alone, "config", "env_vars")}
        if fields.get(alone) and others:
            raise ValueError(
                f"The {alone!r} field currently cannot be used together with other fields of "
                f"runtime_env. Specified fields: {others}"
            )
    given = [name for name in ("pip", "uv", "conda") if fields.get(name)]
    if len(given) > 1:
        raise ValueError(
            "The 'pip' field, 'uv' field, and 'conda' field of runtime_env cannot be specified "
            f"at the same time; got {' and '.join(given)}."
        )
