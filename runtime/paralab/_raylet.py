"""Names that programs take from Ray's C++ module: classes and errors that paralab has, too."""

from __future__ import annotations

from typing import Any

_OLDER = {"StreamingObjectRefGenerator": "ObjectRefGenerator"}


def __getattr__(name: str) -> Any:
    import paralab
    from paralab import id_types

    public = _OLDER.get(name, name)
    if isinstance(vars(id_types).get(name), type):
        return vars(id_types)[name]
    for module in (paralab, paralab.exceptions):
        if public in module.__all__ and isinstance(getattr(module, public), type):
            return getattr(module, public)
    raise AttributeError(
        f"{__name__} has no {name!r} here: paralab has no raylet. What is public stands in "
        "`paralab` itself."
    )
