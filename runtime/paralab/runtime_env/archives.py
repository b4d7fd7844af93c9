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
import os
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import NoReturn

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
    """By hand: the filter of :mod:`tarfile` is missing in Python 3.11.0 to 3.11.3."""
    plan = _Plan(archive)
    links: set[str] = set()
    with (
        _opened(archive) as stream,
        tarfile.open(fileobj=_Bounded(stream), mode="r:") as bundle,
    ):
        for item in bundle:
            plan.add(item.name, item.size)
            if not (item.isreg() or item.isdir() or item.issym() or item.islnk()):
                plan.refuse(item.name, "is a device or a pipe")
            name = posixpath.normpath(item.name)
            if any(above in links for above in _and_above(name)):
                plan.refuse(item.name, "leads out by a link, or replaces one")
            if item.issym():
                links.add(name)
                if not _stays(posixpath.dirname(name), item.linkname):
                    plan.refuse(item.name, "leads out of its folder, or may do so, as a link")
            if item.islnk():
                if not _stays("", item.linkname):
                    plan.refuse(item.name, "leads out of its folder as a link")
                target = posixpath.normpath(item.linkname)
                if any(above in links for above in _and_above(target)):
                    plan.refuse(item.name, "is a link by way of a link")
        for item in bundle.getmembers():
            _write(bundle, item, into)


def _and_above(name: str) -> Iterator[str]:
    """A path and the folders that it lies in."""
    while name not in ("", "."):
        yield name
        name = posixpath.dirname(name)


def _stays(folder: str, target: str) -> bool:
    """Whether a link in a folder stays in the archive, wherever other links lead.

    It may go up only at its start, where no other link can have been followed.
    """
    downwards = target
    while downwards.startswith("../"):
        downwards = downwards[3:]
    if target.startswith("/") or "\0" in target or ".." in downwards.split("/")[1:]:
        return False
    return not posixpath.normpath(posixpath.join(folder, target)).startswith("..")


def _write(bundle: tarfile.TarFile, item: tarfile.TarInfo, into: str) -> None:
    """Writes what has been looked at; owners and special modes are not taken over."""
    path = os.path.join(into, posixpath.normpath(item.name))
    if item.isdir():
        os.makedirs(path, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if item.issym():
        os.symlink(item.linkname, path)
        return
    if item.islnk():
        try:
            os.link(os.path.join(into, posixpath.normpath(item.linkname)), path)
        except FileNotFoundError:
            raise tarfile.ExtractError("a link has no file that it stands for") from None
        return
    content = bundle.extractfile(item)
    assert content is not None
    with content, open(path, "wb") as file:
        shutil.copyfileobj(content, file)
    os.chmod(path, item.mode & 0o755 | 0o600)


def _opened(archive: str) -> io.BufferedIOBase:
    """The archive unpacked, as a stream; what it is packed with is told by its first bytes."""
    with open(archive, "rb") as file:
        start = file.read(6)
    for magic, opened in ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\0", lzma.open), (b"BZh", bz2.open)):
        if start.startswith(magic):
            stream: io.BufferedIOBase = opened(archive)
            return stream
    return open(archive, "rb")


class _Bounded(io.BufferedIOBase):
    """A stream that gives no more at once than a tar's header may have."""

    def __init__(self, stream: io.BufferedIOBase) -> None:
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
