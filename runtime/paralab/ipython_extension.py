"""``%load_ext paralab``: the magics are another package's, and are found through an entry point.

Whatever is installed under the group ``paralab.ipython`` names a module with functions ``load``
and ``unload`` of IPython's shell.  The runtime knows no more of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

GROUP = "paralab.ipython"


def load_ipython_extension(shell: Any) -> None:
    """What ``%load_ext paralab`` calls.

    Raises:
        ImportError: nothing that provides magics is installed.
    """
    modules = list(_modules())
    if not modules:
        raise ImportError(
            "%load_ext paralab found no magics: nothing is installed under the entry point "
            f"{GROUP!r}. They come with paralab_profiling, a part of the distribution 'paralab': "
            "install that anew, with pip install --force-reinstall paralab, or from a clone with "
            "pip install -e ."
        )
    for module in modules:
        module.load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What ``%unload_ext paralab`` calls."""
    for module in _modules():
        module.unload(shell)


def _modules() -> Iterator[Any]:
    # An editable install beside another copy may be listed twice.
    found = {each.value: each for each in entry_points(group=GROUP)}
    for each in found.values():
        yield each.load()
