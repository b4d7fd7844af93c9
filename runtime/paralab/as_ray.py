"""``import ray`` means paralab: ``install_as_ray()``, and ``python -m paralab.as_ray program.py``.

Two parts, one for the process that asks, one for those that it starts:

*Here*, ``sys.modules["ray"]`` is paralab itself, and a finder gives ``ray.X.Y`` the module
``paralab.X.Y``.  There is one tree, so ``ray.exceptions is paralab.exceptions``, and what was
pickled under either name loads.  Classes that users see are given Ray's names.

*In other Python processes* (``subprocess``, ``multiprocessing``, kernels), a folder at the front
of PYTHONPATH holds a tiny package ``ray`` that does the same as soon as it is imported.  Rejected:
a ``sitecustomize`` (there may be one already, and every start would pay) and a ``.pth`` file
(it would have to be installed, and would then be there for everybody).

Ray itself cannot run in a process that has the alias, because it imports itself by name all the
time.  It runs in a process that is started with :func:`environment_without_alias`, and
:func:`find_real_ray` says where it is.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, DistributionFinder
from types import ModuleType

from paralab import engine, exceptions, task_error
from paralab.absent import why_absent
from paralab.library_name import call_it_ray, is_called_ray

RAY_RELEASE = "2.60.0"
"""What ``ray.__version__`` says: the release whose API this is."""
HOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ray_hook")
"""Stands in PYTHONPATH of child processes."""
COMMAND = os.path.join(os.path.dirname(HOOK), "ray_command")
"""Stands in PATH of child processes: the program ``ray``."""
_SHOWN_AS = {
    "object_ref.ObjectRef": "ray",
    "actor.ActorClass": "ray.actor",
    "actor.ActorHandle": "ray.actor",
    "actor.ActorMethod": "ray.actor",
    "object_ref_generator.DynamicObjectRefGenerator": "ray._private.object_ref_generator",
    "object_ref_generator.ObjectRefGenerator": "ray",
    "remote_function.RemoteFunction": "ray.remote_function",
    "runtime_context.RuntimeContext": "ray.runtime_context",
}
"""Classes that tutorials print, and the module that they are then said to be from."""


class _Finder(DistributionFinder):
    """Finds ``ray.X`` in ``paralab.X``, and the distribution "ray"."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        library, _, rest = name.partition(".")
        if library not in ("ray", "paralab") or not rest:
            return None
        # `from ray import tune` looks for paralab.tune, which is what the package calls itself; an
        # error about another name than that is not swallowed, so that the program's user sees it.
        problem = why_absent(rest)
        if problem is not None:
            raise ModuleNotFoundError(problem, name=f"ray.{rest}")
        if library == "paralab":
            return None
        real = "paralab." + rest
        try:
            importlib.import_module(real)
        except ModuleNotFoundError as error:
            if error.name != real:
                raise
            return None  # Python then says that there is no module of this name
        _share_modules()
        return ModuleSpec(name, _Loader(), is_package=hasattr(sys.modules[real], "__path__"))

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterable[Distribution]:
        return [_Release()] if context is not None and context.name == "ray" else []

    def invalidate_caches(self) -> None:
        pass


class _Loader(Loader):
    """Puts the module of paralab where the import system has put an empty one."""

    def create_module(self, _spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        sys.modules[name] = sys.modules["paralab" + name[len("ray") :]]


class _Release(Distribution):
    """What ``importlib.metadata`` knows of Ray: its name and release."""

    def read_text(self, filename: str) -> str | None:
        if filename in ("METADATA", "PKG-INFO"):
            return f"Metadata-Version: 2.1\nName: ray\nVersion: {RAY_RELEASE}\n"
        return None

    def locate_file(self, path: str | os.PathLike[str]) -> os.PathLike[str]:  # type: ignore[override]
        from pathlib import Path

        return Path(HOOK, path)


def _share_modules() -> None:
    """Gives every loaded module of paralab its name under ``ray``.

    Not one by one by the import system: that would set the package's attribute
    ``placement_group``, a function, to the module of the same name.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "paralab":
            sys.modules["ray" + name[len("paralab") :]] = module


def install() -> None:
    """Makes ``ray`` mean paralab in this process and in those that it starts.  May be repeated.

    Raises:
        RuntimeError: Ray itself has been imported here already.
    """
    import paralab

    found = sys.modules.get("ray")
    if is_called_ray():
        return
    if found is not None and found is not paralab and not _is_hook(found):
        raise RuntimeError(
            f"Ray itself has been imported already, from {getattr(found, '__file__', '?')}: call "
            "paralab.install_as_ray() before the first `import ray`."
        )
    call_it_ray()
    _share_modules()
    sys.meta_path.insert(0, _Finder())
    _show_rays_names()
    _tell_children()
    if HOOK not in sys.path:  # what multiprocessing hands on is this list
        sys.path.insert(0 if sys.flags.safe_path else 1, HOOK)


def _is_hook(module: ModuleType) -> bool:
    return (getattr(module, "__file__", None) or "").startswith(HOOK)


def with_hook(path: str) -> str:
    """A PYTHONPATH with which ``import ray`` means paralab."""
    parts = [part for part in path.split(os.pathsep) if part and part != HOOK]
    return os.pathsep.join([HOOK, *parts])


def _tell_children() -> None:
    """Both names, ``import ray`` and the program ``ray``, mean paralab in what is started here."""
    os.environ["PYTHONPATH"] = with_hook(os.environ.get("PYTHONPATH", ""))
    os.environ["PATH"] = os.pathsep.join([COMMAND, *_other_commands()])
    os.environ["PARALAB_PYTHON"] = sys.executable


def _other_commands() -> list[str]:
    path = os.environ.get("PATH", os.defpath)
    return [part for part in path.split(os.pathsep) if part != COMMAND]


def _show_rays_names() -> None:
    for name, cls in list(vars(exceptions).items()):
        if isinstance(cls, type) and issubclass(cls, exceptions.ParalabError):
            cls.__module__ = "ray.exceptions"
            if name != cls.__name__ and name in exceptions.__all__:
                cls.__name__ = cls.__qualname__ = name
    task_error.forget_combined()
    for path, shown in _SHOWN_AS.items():
        module, _, name = path.rpartition(".")
        getattr(importlib.import_module(f"paralab.{module}"), name).__module__ = shown


def install_as_ray() -> None:
    """Makes ``import ray`` and its submodules mean paralab, here, in workers and in children.

    Call it before the first ``import ray`` and before ``paralab.init()``.  It cannot be undone
    in this process.

    Raises:
        RuntimeError: Ray itself has been imported already, or paralab runs already.
    """
    if engine.installed() is not None and not is_called_ray():
        raise RuntimeError(
            "paralab runs already, and its workers do not know the alias: call "
            "paralab.install_as_ray() before paralab.init(), or paralab.shutdown() first."
        )
    install()


def find_real_ray() -> ModuleSpec | None:
    """Where Ray itself is installed; None if it is not.  It is not imported."""
    elsewhere = [path for path in sys.path if os.path.abspath(path) != HOOK]
    return PathFinder.find_spec("ray", elsewhere)


def environment_without_alias() -> dict[str, str]:
    """``os.environ`` for a child process in which ``import ray`` is to find Ray itself."""
    environment = dict(os.environ)
    kept = [part for part in environment.get("PYTHONPATH", "").split(os.pathsep) if part != HOOK]
    environment["PYTHONPATH"] = os.pathsep.join(kept)
    environment["PATH"] = os.pathsep.join(_other_commands())
    return environment


_USAGE = """usage: python -m paralab.as_ray [python's options] PROGRAM.py | -m MODULE | -c CODE | -

Runs a program that says `import ray` with paralab, without changing it."""


def _interpreter_options() -> Iterator[str]:
    """The options of this interpreter, such as ``-W error``, to be given to the next one."""
    for option in sys.orig_argv[1:]:
        if option == "-m" or option.endswith("mparalab.as_ray"):
            return
        yield option


def main() -> None:
    """Starts the program in this process's place, with the hook at the front of PYTHONPATH.

    A fresh interpreter runs it, so ``__main__``, ``sys.path`` and ``sys.argv`` are what
    they always are.
    """
    if sys.argv[1:] in ([], ["-h"], ["--help"]):
        sys.stdout.write(_USAGE + "\n")
        sys.exit(0 if sys.argv[1:] else 2)
    if sys.flags.ignore_environment:
        sys.exit("paralab.as_ray: with -E or -I Python does not look at PYTHONPATH; leave it out.")
    _tell_children()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *_interpreter_options(), *sys.argv[1:]])


if __name__ == "__main__":
    main()
