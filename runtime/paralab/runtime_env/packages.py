"""Copies of users' folders and modules in the session's folder, named by what is in them.

A copy is made at the first use of the options that name the folder, so workers see it as it was
then, whatever is edited later, and what they write into their copy does not reach the original.
The same contents have the same name, so equal folders are one copy, and one environment.

    source ──copy and hash, file by file──▶ <session>/.<random> ──rename──▶ <session>/<hash>
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from paralab.runtime_env.archives import MAX_BYTES, unpack
from paralab.runtime_env.ignore import ALWAYS, Pattern, is_left_out, patterns, patterns_in

_BLOCK = 1 << 20


def copy_tree(source: str, session: str, excludes: Sequence[str]) -> str:
    """A copy of a folder, or of what is in an archive; the path of the copy.

    Args:
        source: the folder or archive.
        session: the session's folder.
        excludes: patterns as in ``.gitignore``; they have no effect on archives.

    Raises:
        ValueError: there is too much in it, or the archive is no good.
        OSError: a file cannot be read.
    """
    if os.path.isdir(source):
        return _kept(session, lambda into: _copy_folder(source, into, session, excludes))
    return _kept(session, lambda into: _unpack(source, into))


def copy_module(source: str, session: str, excludes: Sequence[str]) -> str:
    """A copy of a module; the path of the folder to import it from.

    Args:
        source: a folder that is a package, a .py file, a wheel, or an archive of modules.
        session, excludes: as for :func:`copy_tree`.
    """
    name = os.path.basename(source)
    if os.path.isdir(source):

        def copy(into: str) -> str:
            inner = os.path.join(into, name)
            os.mkdir(inner)
            return name + _copy_folder(source, inner, session, excludes)

        return _kept(session, copy)
    if source.endswith(".py"):
        return _kept(session, lambda into: name + _copy_file(source, os.path.join(into, name)))
    return _kept(session, lambda into: _unpack(source, into))


def keep_hook(hook: Callable[[], Any], session: str) -> str:
    """A function as a file; its path."""
    import cloudpickle

    data = cloudpickle.dumps(hook, 5)

    def write(into: str) -> str:
        with open(os.path.join(into, "hook"), "wb") as file:
            file.write(data)
        return hashlib.sha256(data).hexdigest()

    return os.path.join(_kept(session, write), "hook")


def _kept(session: str, make: Callable[[str], str]) -> str:
    """A folder in the session's, with what ``make`` writes into it and by whose digest it is named.

    Whoever comes second with the same contents uses what is there.
    """
    making = os.path.join(session, f".{os.urandom(8).hex()}")
    os.mkdir(making, 0o700)
    try:
        digest = make(making)
        name = hashlib.sha256(os.fsencode(digest)).hexdigest()[:24]
        kept = os.path.join(session, name)
        if not os.path.isdir(kept):
            try:
                os.rename(making, kept)
            except OSError:
                if not os.path.isdir(kept):
                    raise
        return kept
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _copy_folder(source: str, into: str, session: str, excludes: Sequence[str]) -> str:
    """Copies what is not left out; returns a digest of names and contents."""
    digest = hashlib.sha256()
    total = 0
    known = patterns([*ALWAYS, *excludes])
    # The session's folder may lie in what is copied: the copy must not go into itself, nor the
    # token into the copy.
    seen = {os.path.realpath(each) for each in (source, session, into)}
    for path, entry in _walk(source, "", known, seen):
        target = os.path.join(into, path)
        if entry is None:
            os.mkdir(target)
            digest.update(os.fsencode(f"d{path}\0"))
            continue
        total += entry.st_size
        if total > MAX_BYTES:
            raise ValueError(
                f"{source} holds more than {MAX_BYTES >> 20} MiB (up to {path}), which is too "
                "much to copy for workers. Leave out what they do not need by 'excludes' or a "
                ".gitignore, and give data by path or by put()."
            )
        content = _copy_file(os.path.join(source, path), target)
        digest.update(os.fsencode(f"f{path}\0{entry.st_mode & stat.S_IXUSR}{content}"))
    return digest.hexdigest()


def _walk(
    source: str, base: str, known: list[Pattern], seen: set[str]
) -> Iterator[tuple[str, os.stat_result | None]]:
    """Paths relative to ``source``, folders (with None) before what is in them, in order."""
    folder = os.path.join(source, base)
    if os.environ.get("RAY_RUNTIME_ENV_IGNORE_GITIGNORE") != "1":
        known = known + patterns_in(folder, base)
    for name in sorted(os.listdir(folder)):
        path = f"{base}/{name}" if base else name
        full = os.path.join(folder, name)
        try:
            found = os.stat(full)
        except FileNotFoundError:
            continue  # a link to nothing, or it went while we looked
        is_folder = stat.S_ISDIR(found.st_mode)
        if is_left_out(path, is_folder, known):
            continue
        if stat.S_ISREG(found.st_mode):
            yield path, found
        elif is_folder:
            real = os.path.realpath(full)
            if real not in seen:  # a link may lead in a circle
                yield path, None
                yield from _walk(source, path, known, seen | {real})


def _copy_file(source: str, target: str) -> str:
    """Copies a file and returns the digest of its contents."""
    with open(source, "rb") as reading, open(target, "wb") as writing:
        digest = _digest(reading, writing.write)
    shutil.copymode(source, target)
    return digest


def _digest(reading: IO[bytes], found: Callable[[bytes], object]) -> str:
    digest = hashlib.sha256()
    while block := reading.read(_BLOCK):
        digest.update(block)
        found(block)
    return digest.hexdigest()


def _unpack(archive: str, into: str) -> str:
    """Unpacks an archive and returns its digest."""
    unpack(archive, into)
    with open(archive, "rb") as reading:
        return _digest(reading, lambda _block: None)
