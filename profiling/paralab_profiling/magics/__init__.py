"""IPython's side of paralab: what ``%load_ext paralab`` loads, and ``%unload_ext`` takes away.

Loading registers magics and watches for interrupted cells.  It prints nothing and starts nothing:
the first magic that needs a session starts it, as the first task would.
"""

from __future__ import annotations

from typing import Any

_ATTRIBUTE = "_paralab_extension"


class _Extension:
    """What one shell has loaded, and what it had before."""

    def __init__(self, shell: Any) -> None:
        from paralab_profiling.magics.control import ControlMagics
        from paralab_profiling.magics.interrupts import Interrupts
        from paralab_profiling.magics.measuring import MeasuringMagics
        from paralab_profiling.magics.pictures import PictureMagics
        from paralab_profiling.magics.profiling import ProfilingMagics
        from paralab_profiling.magics.remote import RemoteMagics

        self._shell = shell
        self._interrupts = Interrupts(shell)
        groups: list[Any] = [
            ControlMagics(shell, self._interrupts),
            RemoteMagics(shell),
            PictureMagics(shell),
            MeasuringMagics(shell),
            ProfilingMagics(shell),
        ]
        table = shell.magics_manager.magics
        self._before: dict[str, dict[str, Any]] = {
            kind: {name: table[kind].get(name) for group in groups for name in group.magics[kind]}
            for kind in ("line", "cell")
        }
        self._classes = [type(group).__name__ for group in groups]
        shell.register_magics(*groups)
        self._interrupts.watch()

    def unload(self) -> None:
        """Puts back what was there."""
        manager = self._shell.magics_manager
        for kind, names in self._before.items():
            for name, before in names.items():
                if before is None:
                    manager.magics[kind].pop(name, None)
                else:
                    manager.magics[kind][name] = before
        for name in self._classes:
            manager.registry.pop(name, None)
        self._interrupts.leave()


def load(shell: Any) -> None:
    """Registers the magics with an IPython shell; does nothing if they are there."""
    if getattr(shell, _ATTRIBUTE, None) is None:
        setattr(shell, _ATTRIBUTE, _Extension(shell))


def unload(shell: Any) -> None:
    """Undoes :func:`load`."""
    extension = getattr(shell, _ATTRIBUTE, None)
    if extension is not None:
        extension.unload()
        setattr(shell, _ATTRIBUTE, None)
