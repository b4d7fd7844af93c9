"""The older place of :mod:`paralab.util.queue`."""

from __future__ import annotations

import warnings

from paralab.library_name import said
from paralab.util.queue import Empty, Full, Queue

__all__ = ["Empty", "Full", "Queue"]

_moved = said("paralab.experimental.queue has been moved to paralab.util.queue.")
warnings.warn(DeprecationWarning(_moved), stacklevel=2)
