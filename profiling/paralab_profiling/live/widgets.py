"""The one widget class, made when it is first needed: importing this needs no Jupyter."""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def has_widgets() -> bool:
    """Whether this is the kernel of a notebook, with the packages that live views need."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel") and find_spec("anywidget") is not None


def new_widget(module: str, frame: dict[str, Any], kind: str = "") -> Any:
    """A widget that is not shown yet.

    Args:
        module: its ES module, as text.
        frame: what it shows first.
        kind: what the module reads as ``kind``.

    Raises:
        ImportError: anywidget or ipywidgets is missing.
    """
    return _widget_class()(_esm=module, frame=frame, kind=kind)


def show(thing: Any) -> Any:
    """Shows something in the notebook; returns its place, which can show something else later.

    Raises:
        ImportError: IPython is missing.
    """
    return import_module("IPython.display").display(thing, display_id=True)


@cache
def _widget_class() -> Any:
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise ImportError(
            "Live views need anywidget and ipywidgets: pip install 'paralab[lab]'. Pictures, and "
            "progress() in a terminal, do without."
        ) from error

    traits = {
        "_esm": traitlets.Unicode().tag(sync=True),
        "kind": traitlets.Unicode().tag(sync=True),
        "frame": traitlets.Dict().tag(sync=True),
        # What a page without a kernel shows in the widget's place.
        "__repr__": lambda self: "A live view: it is seen while its kernel runs.",
    }
    return type("LiveWidget", (anywidget.AnyWidget,), traits)
