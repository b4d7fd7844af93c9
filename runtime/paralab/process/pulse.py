"""The pulse board: a page of shared memory where each worker writes which task it has begun.

After SIGKILL nobody can ask a worker what it was doing.  Its last word stands here, so tasks
that only waited in its queue move elsewhere without spending a retry.
"""

from __future__ import annotations

import mmap
import os
import struct

from paralab.ids import Address, process_number

SLOTS = 4096
_SLOT = struct.Struct("=16sQ")
SIZE = SLOTS * _SLOT.size


class PulseBoard:
    """The board, mapped.  Takes over ``descriptor`` and closes it."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, SIZE)
        os.close(descriptor)

    def begin(self, worker: Address, caller: Address, key: int) -> None:
        """``worker`` begins the task ``key`` of ``caller``."""
        _SLOT.pack_into(self._page, process_number(worker) % SLOTS * _SLOT.size, caller, key)

    def begun(self, worker: Address, caller: Address) -> int | None:
        """The task of ``caller`` that ``worker`` began last; 0 when it began another's since."""
        at = process_number(worker) % SLOTS * _SLOT.size
        wrote, key = _SLOT.unpack_from(self._page, at)
        return int(key) if wrote == caller else 0

    def close(self) -> None:
        """Unmaps the board."""
        self._page.close()
