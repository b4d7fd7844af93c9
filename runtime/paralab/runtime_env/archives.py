"""Unpacks archives that may have been made to do harm.

An archive is a plan for writing files, drawn up by who made it.  So the whole plan is looked at
before the first byte is written, and what could leave the folder, or fill the disk, is refused by
its name:

- paths that are absolute or lead upwards, and names with a zero byte;
- devices, pipes, and links: a zip may have none, a tar only those that stay in the folder;
- too many entries, too many bytes.  The sizes that a zip declares are also the most that is
  unpacked of each entry; in a tar a size is the distance to the next entry, so it cannot lie.
  Headers of a tar are read whole, so their length is limited too.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from typing import IO, Any, NoReturn

from paralab.shown_text import shown_name, shown_text

MAX_BYTES = 512 << 20
"""What a folder or archive may hold: copies of data sets belong elsewhere."""
MAX_ENTRIES = 100_000
LONGEST_READ = 1 << 20
"""Of a tar's header; files are read in smaller pieces."""
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    UnicodeError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What Python's modules raise for archives that are damaged, encrypted or of an unknown kind."""
_BAD_NAMES = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of names that contradict each other, or that it cannot have."""


def unpack(archive: str, into: str) -> None:
    """Unpacks an archive into a folder that is empty and ours.

    Raises:
        ValueError: it is no good; the message names the entry.
        OSError: it cannot be read, or the disk is full.
    """
    try:
        if archive.endswith((".zip", ".whl")):
            _unpack_zip(archive, into)
        else:
            _unpack_tar(archive, into)
    except _BROKEN as error:
        raise ValueError(f"{archive} cannot be unpacked: {shown_text(str(error))}") from error
    except OSError as error:
        if error.errno not in _BAD_NAMES:
            raise
        raise ValueError(f"{archive} cannot be unpacked: {shown_text(str(error))}") from error


class _Plan:
    """What has been planned so far."""

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._entries = self._bytes = 0

    def add(self, name: str, size: int) -> None:
        self._entries += 1
        self._bytes += size
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            self.refuse(name, "leads out of the folder into which it is unpacked")
        if self._entries > MAX_ENTRIES:
            raise ValueError(f"{self._archive} holds more than {MAX_ENTRIES:,} files and folders.")
        if size < 0 or self._bytes > MAX_BYTES:
            raise ValueError(
                f"{self._archive} holds {self._bytes >> 20} MiB (up to {shown_name(name)}), more "
                f"than the {MAX_BYTES >> 20} MiB that are copied for workers."
            )

    def refuse(self, name: str, why: str) -> NoReturn:
        raise ValueError(f"{self._archive} is refused: its entry {shown_name(name)!r} {why}.")


def _unpack_zip(archive: str, into: str) -> None:
    plan = _Plan(archive)
    with zipfile.ZipFile(archive) as packed:
        for item in packed.infolist():
            plan.add(item.orig_filename, item.file_size)
            kind = stat.S_IFMT(item.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                plan.refuse(item.filename, "is a link or a device")
        packed.extractall(into)  # noqa: S202 - each entry has been looked at


def _unpack_tar(archive: str, into: str) -> None:
    plan = _Plan(archive)
    with (
        _opened(archive) as stream,
        tarfile.open(fileobj=_Bounded(stream), mode="r:") as bundle,
    ):
        for item in bundle:
            plan.add(item.name, item.size)
            if not (item.isreg() or item.isdir() or item.issym() or item.islnk()):
                plan.refuse(item.name, "is a device or a pipe")
            try:
                tarfile.data_filter(item, into)
            except tarfile.FilterError as error:
                plan.refuse(item.name, f"leads out of its folder ({error})")
        bundle.extractall(into, filter="data")


def _opened(archive: str) -> IO[bytes]:
    """The archive unpacked, as a stream; what it is packed with is told by its first bytes."""
    with open(archive, "rb") as file:
        start = file.read(6)
    for magic, opened in ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\0", lzma.open), (b"BZh", bz2.open)):
        if start.startswith(magic):
            stream: Any = opened(archive)
            return stream  # type: ignore[no-any-return]
    return open(archive, "rb")


class _Bounded(io.BufferedIOBase):
    """A stream that gives no more at once than a tar's header may have."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int | None = -1) -> bytes:
        """Reads so many bytes."""
        if size is None or not 0 <= size <= LONGEST_READ:
            raise tarfile.ReadError("a header is longer than any honest one")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Goes to a position."""
        if offset < 0:
            raise tarfile.ReadError("an entry has a negative size")
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._stream.tell()
