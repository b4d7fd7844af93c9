"""Names that programs take from Ray's C++ module: the public classes that paralab has too."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import paralab

    if name in paralab.__all__ and isinstance(getattr(paralab, name), type):
        return getattr(paralab, name)
    raise AttributeError(
        f"{__name__} has no {name!r} here: paralab has no raylet. What is public stands in "
        "`paralab` itself."
    )
