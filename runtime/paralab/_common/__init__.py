"""Where Ray keeps what its packages share; here: the helpers that tests import from there."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from paralab.absent import submodule

    return submodule("paralab._common", name)
