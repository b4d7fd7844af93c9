"""The pulse board: shared memory where each worker writes what it does, in case it is killed.

After SIGKILL nobody can ask a worker what it was doing.  Which task it began last stands here, so
that tasks which only waited in its queue move elsewhere without spending a retry; and so does
the end of its error output, so that the error which its caller gets can show it.

One slot a worker, by its process number; the page behind a slot comes with its first use.
"""

from __future__ import annotations

import mmap
import os
import struct

from paralab.ids import Address, process_number

SLOTS = 4096
_SLOT = struct.Struct("=16sQ")
_LENGTH = struct.Struct("=I")
WORDS = 2044
"""Bytes of error output that are kept."""
_WORDS_SLOT = WORDS + _LENGTH.size
_WORDS_AT = SLOTS * _SLOT.size
SIZE = _WORDS_AT + SLOTS * _WORDS_SLOT


class PulseBoard:
    """The board, mapped.  Takes over ``descriptor`` and closes it."""

    def __init__(self, descriptor: int) -> None:
        self._page = mmap.mmap(descriptor, SIZE)
        os.close(descriptor)
        self._words = b""

    def begin(self, worker: Address, caller: Address, key: int) -> None:
        """``worker`` begins the task ``key`` of ``caller``."""
        _SLOT.pack_into(self._page, process_number(worker) % SLOTS * _SLOT.size, caller, key)

    def begun(self, worker: Address, caller: Address) -> int | None:
        """The task of ``caller`` that ``worker`` began last; 0 when it began another's since."""
        at = process_number(worker) % SLOTS * _SLOT.size
        wrote, key = _SLOT.unpack_from(self._page, at)
        return int(key) if wrote == caller else 0

    def say(self, worker: Address, text: str) -> None:
        """``worker``, which is this process, has written ``text`` to its error output."""
        words = self._words = (self._words + text.encode("utf-8", "backslashreplace"))[-WORDS:]
        at = _WORDS_AT + process_number(worker) % SLOTS * _WORDS_SLOT
        self._page[at : at + _LENGTH.size + len(words)] = _LENGTH.pack(len(words)) + words

    def take_words(self, worker: Address) -> str:
        """The end of a dead worker's error output; the slot is then free for another one."""
        at = _WORDS_AT + process_number(worker) % SLOTS * _WORDS_SLOT
        (length,) = _LENGTH.unpack_from(self._page, at)
        if not length:
            return ""
        start = at + _LENGTH.size
        words = self._page[start : start + min(length, WORDS)]
        _LENGTH.pack_into(self._page, at, 0)
        return words.decode("utf-8", "replace")

    def close(self) -> None:
        """Unmaps the board."""
        self._page.close()
