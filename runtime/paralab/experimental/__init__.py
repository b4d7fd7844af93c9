"""What Ray calls experimental, as far as paralab has it: bars, and values under names."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    from paralab.absent import submodule

    return submodule("paralab.experimental", name)
