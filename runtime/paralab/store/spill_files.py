"""Files for what leaves the arena: nameless, written and read by a thread of their own.

A file has no name from the beginning, or loses it at once, so no death leaves one behind.  Each
holds what was spilled together; the space of an object that goes is given back at once where
the file system can, and the file goes with its last object.

The bytes go from the arena to the file, and back, inside the kernel (``sendfile``): nothing is
mapped, and nothing is copied through this process.  In GB/s, 200 MB at a time, on a virtual machine
with two cores, where a plain Python program writes 1.3 to 2.8 and reads 2.0 to 2.4::

                      to the file     to the arena
    sendfile           1.6 to 2.4       3.7 to 3.9
    mmap, pwrite       1.0 to 1.2       1.4 to 1.5
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from queue import SimpleQueue
from typing import Any

from paralab import platform
from paralab.state.stored import Slice

_STEP = 16 << 20
"""Longest single copy, so that the end does not have to wait long for the thread."""


class SpillFiles:
    """The spill files of one node, and the thread that fills and reads them.

    Args:
        folders: where they lie, in turns; one that is full is passed over.
        arena: the arena's descriptor.
    """

    def __init__(self, folders: Sequence[str], arena: int) -> None:
        self._folders = folders
        self._next_folder = cycle(folders).__next__
        self._arena = arena
        self._files: dict[int, int] = {}
        """Descriptor -> objects in it; a file appears when it is full and goes with the last."""
        self._jobs: SimpleQueue[Any] = SimpleQueue()
        """What to do, with what, and what then; None at the end."""
        self._done: deque[Callable[[], None]] = deque()
        self._closing = False
        self.bell = platform.Bell()
        """Is readable when :meth:`finish` has something to do."""
        self._thread = threading.Thread(target=self._run, name="paralab-spilling", daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        return ", ".join(self._folders)

    def write(self, blocks: Sequence[tuple[int, int]], then: Callable[..., None]) -> None:
        """Has a file made of these (offset, size) of the arena, one behind the other.

        Args:
            then: is called by :meth:`finish` with the file's number, and None or an OSError.
        """
        self._jobs.put((self._write, blocks, then))

    def read(self, copy: Slice, offset: int, then: Callable[..., None]) -> None:
        """Has an object copied back into the arena; ``then`` as for :meth:`write`."""
        self._jobs.put((self._read, (copy, offset), then))

    def finish(self) -> None:
        """Calls what waits for copies that are done."""
        self.bell.silence()
        while self._done:
            self._done.popleft()()

    def drop(self, copy: Slice) -> None:
        """An object of a file is not needed any more, once what was asked for before is done."""
        self._jobs.put((self._drop, copy, None))

    def close(self) -> None:
        """Ends the thread, and with it all files."""
        self._closing = True
        self._jobs.put(None)
        self._thread.join()
        for file in self._files:
            os.close(file)
        self.bell.close()

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, what, then = job
            file, error = -1, None
            try:
                file = work(what)
            except OSError as failed:
                error = failed
            if then is not None:
                self._done.append(partial(then, file, error))
                self.bell.ring()

    def _write(self, blocks: Sequence[tuple[int, int]]) -> int:
        for others in reversed(range(len(self._folders))):
            try:
                return self._write_to(self._next_folder(), blocks)
            except OSError:
                if not others:
                    raise
        raise AssertionError("there is no folder")

    def _write_to(self, folder: str, blocks: Sequence[tuple[int, int]]) -> int:
        file = platform.nameless_file(folder)
        try:
            for offset, size in blocks:
                self._copy(self._arena, offset, file, size)
        except BaseException:
            os.close(file)
            raise
        self._files[file] = len(blocks)
        return file

    def _read(self, what: tuple[Slice, int]) -> int:
        copy, offset = what
        # Nobody else uses the position of this descriptor: processes map the arena, or pwrite.
        os.lseek(self._arena, offset, os.SEEK_SET)
        self._copy(copy.file, copy.position, self._arena, copy.size)
        return copy.file

    def _drop(self, copy: Slice) -> None:
        self._files[copy.file] -= 1
        if not self._files[copy.file]:
            del self._files[copy.file]
            os.close(copy.file)
        else:  # an OSError says that the file system cannot: the space comes back with the file
            platform.drop_pages(copy.file, copy.position, copy.size)

    def _copy(self, source: int, start: int, to: int, size: int) -> None:
        done = 0
        while done < size:
            if self._closing:
                raise InterruptedError("the session ends")
            sent = os.sendfile(to, source, start + done, min(_STEP, size - done))
            if not sent:
                raise OSError(errno.ENODATA, f"it ends after {done:,} of {size:,} bytes")
            done += sent
