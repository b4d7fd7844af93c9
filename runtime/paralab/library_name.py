"""What this library is called in what it says: "paralab", or "ray" under the alias.

A program that says ``import ray`` looks for ``ray.init`` in messages, and its reader too.  So
texts are written with paralab's name, and whoever shows one asks :func:`said` for it.
"""

from __future__ import annotations


class _Name:
    is_ray = False
    """Set once, by ``paralab.install_as_ray``, and never taken back."""


def call_it_ray() -> None:
    """From now on texts of this process say "ray"."""
    _Name.is_ray = True


def is_called_ray() -> bool:
    """Whether this process has the alias."""
    return _Name.is_ray


def said(text: str) -> str:
    """``text`` with the name by which the program calls this library."""
    return text.replace("paralab.", "ray.") if _Name.is_ray else text
