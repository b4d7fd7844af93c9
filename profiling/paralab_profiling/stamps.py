"""What something was measured on: the line below every result, saved with it.

A figure without its machine cannot be compared with another.  The facts come from the package
``watermark`` where a notebook has it, and from the standard library elsewhere: both say the same.
What cannot change is found once for each process; packages are those that the user's program has
imported by name, because a notebook's own would fill pages.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from types import ModuleType
from typing import Any

from paralab.limits import cpu_count, memory_limit
from paralab.shown_text import shown_name
from paralab_profiling.details import byte_count

MOST_PACKAGES = 12
"""In the line; all are in the table."""
_LIBRARY = {*sys.stdlib_module_names, "__main__", "paralab", "paralab_profiling"}


@dataclass(frozen=True)
class Stamp:
    """What a result was measured on.

    Attributes:
        python: implementation and version, such as "CPython 3.11.9".
        system: its name and release.
        machine: the kind of processor, such as "x86_64".
        cores: how many CPUs this process may use, which may be fewer than the machine has.
        memory: bytes that it may use at most.
        packages: versions by name: of paralab, and of what the program has imported.
        source: what told this: "watermark" or "the standard library".
    """

    python: str
    system: str
    machine: str
    cores: int
    memory: int
    packages: Mapping[str, str] = field(default_factory=dict)
    source: str = field(default="the standard library", compare=False)

    def __str__(self) -> str:
        return " · ".join(self.facts().values())

    def facts(self) -> dict[str, str]:
        """The same as text by name, as profiles keep it."""
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        facts = {"python": self.python, "system": self.system, "machine": self.machine}
        facts |= {"cores": cores, "memory": byte_count(self.memory)}
        packages = [f"{name} {version}" for name, version in self.packages.items()]
        if len(packages) > MOST_PACKAGES:
            left = len(packages) - MOST_PACKAGES
            packages = [*packages[:MOST_PACKAGES], f"{left} more packages"]
        facts["packages"] = ", ".join(packages)
        return {name: shown_name(fact) for name, fact in facts.items()}

    def differences(self, other: Stamp) -> list[str]:
        """In what two results were measured differently, one sentence each; best none."""
        found = []
        for what in ("python", "system", "machine", "cores", "memory"):
            mine, others = getattr(self, what), getattr(other, what)
            if mine != others:
                show = byte_count if what == "memory" else str
                found.append(f"{what}: {show(mine)} here, {show(others)} there")
        for name in dict.fromkeys([*self.packages, *other.packages]):
            mine, others = (each.packages.get(name, "not used") for each in (self, other))
            if mine != others:
                found.append(f"{name}: {mine} here, {others} there")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain data, which :meth:`from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Any) -> Stamp:
        """What :meth:`to_dict` has made.

        Raises:
            ValueError: ``data`` is something else.
        """
        try:
            texts = {name: _text(data[name]) for name in ("python", "system", "machine", "source")}
            packages = {_text(name): _text(data["packages"][name]) for name in data["packages"]}
            return cls(
                **texts, cores=int(data["cores"]), memory=int(data["memory"]), packages=packages
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"This is no stamp of what was measured on: {error!r}") from error


def stamp(packages: Iterable[str] = ()) -> Stamp:
    """What results of this process are measured on.

    Args:
        packages: names that are told besides those that the program has imported, such as the
            profiler's.
    """
    names = dict.fromkeys(["paralab", *packages, *_imported()])
    versions = {name: version for name in names if (version := _version(name))}
    python, system, machine, source = _facts()
    return Stamp(python, system, machine, cpu_count(), memory_limit(), versions, source)


def _imported() -> list[str]:
    """Packages of which the program, or the notebook, has something under a name of its own."""
    names = set()
    for value in list(vars(sys.modules["__main__"]).values()):
        if isinstance(value, ModuleType):
            name: Any = value.__name__
        elif inspect.isfunction(value) or inspect.isclass(value):
            name = value.__module__
        else:
            continue
        if isinstance(name, str) and not name.startswith("_"):
            names.add(name.partition(".")[0])
    return sorted(names - _LIBRARY)


@cache
def _version(name: str) -> str:
    """The version of a package, "" where it tells none."""
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass  # a package may have another name than its modules, as scikit-learn has
    version = getattr(sys.modules.get(name), "__version__", "")
    return version if isinstance(version, str) else ""


@cache
def _facts() -> tuple[str, str, str, str]:
    """Python, system, machine, and who says so."""
    # Importing watermark imports IPython, which takes longer than most programs that are measured.
    if "IPython" in sys.modules and importlib.util.find_spec("watermark") is not None:
        told = _told_by_watermark()
        if told is not None:
            return (*told, "watermark")
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.release()}"
    return python, system, platform.machine(), "the standard library"


def _told_by_watermark() -> tuple[str, str, str] | None:
    """What the package tells; None if it is another one than we know."""
    try:
        text = importlib.import_module("watermark").watermark(python=True, machine=True)
    except Exception:  # a broken package must not take the result with it
        return None
    facts = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        facts[name.strip()] = value.strip()
    try:
        python = f"{facts['Python implementation']} {facts['Python version']}"
        return python, f"{facts['OS']} {facts['Release']}", facts["Machine"]
    except KeyError:
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
