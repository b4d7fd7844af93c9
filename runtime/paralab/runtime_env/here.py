"""An environment for what runs in this very process: ``local_mode``.

Variables, folder and import path are changed while a task runs and then put back.  Folders are
used where they are, not copied.  What a module does when it is imported stays done.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from paralab.runtime_env.fields import ARCHIVES

_hooked: set[Any] = set()
"""Hooks that have run here; they never leave, as what they did stays."""


@contextmanager
def applied(fields: Mapping[str, Any]) -> Iterator[None]:
    """Changes this process, and changes it back.

    Raises:
        NotImplementedError: there is no such environment without a process of its own.
    """
    folders = [fields["working_dir"]] if fields.get("working_dir") else []
    modules = fields.get("py_modules", ())
    folders += [path if path.endswith(".whl") else os.path.dirname(path) for path in modules]
    for name in ("pip", "uv"):
        if fields.get(name):
            _refuse(name, fields[name])
    for path in folders:
        if path.endswith(ARCHIVES):
            _refuse("working_dir", path)
    path, folder, before = list(sys.path), os.getcwd(), dict(os.environ)
    try:
        os.environ.update(fields.get("env_vars", {}))
        sys.path[:0] = folders
        if fields.get("working_dir"):
            os.chdir(fields["working_dir"])
        _run_hook(fields.get("worker_process_setup_hook"))
        yield
    finally:
        _put_back(fields.get("env_vars", {}), before)
        if folders:
            sys.path[:] = path
            os.chdir(folder)


def _put_back(names: Mapping[str, str], before: Mapping[str, str]) -> None:
    for name in names:
        if name in before:
            os.environ[name] = before[name]
        else:
            os.environ.pop(name, None)


def _run_hook(hook: Any) -> None:
    if hook is None or hook in _hooked:
        return
    _hooked.add(hook)
    if isinstance(hook, str):
        from importlib import import_module

        module, _, name = hook.rpartition(".")
        hook = getattr(import_module(module), name)
    hook()


def _refuse(name: str, value: object) -> None:
    raise NotImplementedError(
        f"runtime_env[{name!r}]={value!r} needs worker processes, and local_mode has none: leave "
        "it out, or leave out local_mode."
    )
