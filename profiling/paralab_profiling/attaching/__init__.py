"""Profiling what is already running: ``attach`` and the command ``paralab profile``.

::

    actor, ref, pid, name ──targets──▶ processes ──samples──▶ what their samplers saw ─┐
                                            └─────outside───▶ what py-spy saw ─────────┴▶ Profile

The sampler is a part of the runtime (``paralab.sampling``): a worker starts it when it is asked
to, and pays nothing before.
"""

from paralab_profiling.attaching.attach import attach
from paralab_profiling.attaching.targets import AttachError

__all__ = ["AttachError", "attach"]
