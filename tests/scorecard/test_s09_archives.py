"""S9: archives made to leave their folder, to fill the disk or the memory, or to make devices."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import paralab
from paralab.runtime_env import archives, packages


@pytest.fixture
def session(tmp_path: Path) -> Path:
    folder = tmp_path / "session"
    folder.mkdir()
    return folder


def make_zip(path: Path, *entries: tuple[str, bytes, int]) -> Path:
    """Entries are name, content and the Unix mode that the archive says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content, mode in entries:
            item = zipfile.ZipInfo(name)
            item.compress_type = zipfile.ZIP_DEFLATED
            item.external_attr = mode << 16
            packed.writestr(item, content)
    return path


def make_tar(path: Path, *entries: dict[str, Any]) -> Path:
    with tarfile.open(path, "w:gz") as bundle:
        for fields in entries:
            item = tarfile.TarInfo(fields["name"])
            content = fields.get("content", b"")
            item.size = len(content)
            item.type = fields.get("type", tarfile.REGTYPE)
            item.linkname = fields.get("link", "")
            item.mode = fields.get("mode", 0o644)
            bundle.addfile(item, io.BytesIO(content))
    return path


def refused(archive: Path, session: Path, said: str) -> None:
    before = sorted(path for path in session.parent.rglob("*"))
    with pytest.raises(ValueError, match=said) as caught:
        packages.copy_tree(str(archive), str(session), [])
    assert str(archive) in str(caught.value)
    assert sorted(path for path in session.parent.rglob("*")) == before, "nothing stays behind"


REGULAR = stat.S_IFREG | 0o644
LEADS_OUT = "leads out"
ZIPS: dict[str, tuple[tuple[str, bytes, int], str]] = {
    "upwards": (("../evil.py", b"x", REGULAR), r"'\.\./evil\.py' leads out"),
    "upwards within": (("a/../../evil.py", b"x", REGULAR), LEADS_OUT),
    "absolute": (("/tmp/evil.py", b"x", REGULAR), "'/tmp/evil.py' leads out"),
    "link": (("link", b"/etc/passwd", stat.S_IFLNK | 0o777), "'link' is a link or a device"),
    "device": (("null", b"", stat.S_IFCHR | 0o666), "'null' is a link or a device"),
    "pipe": (("pipe", b"", stat.S_IFIFO | 0o666), "'pipe' is a link or a device"),
    "terminal": (("../\x1b[2J", b"x", REGULAR), "'../\N{REPLACEMENT CHARACTER}\\[2J' leads"),
    "long": (("x" * 300, b"x", REGULAR), "cannot be unpacked"),
}


@pytest.mark.parametrize("attack", ZIPS)
def test_zip(attack: str, session: Path, tmp_path: Path) -> None:
    entry, said = ZIPS[attack]
    refused(make_zip(tmp_path / "evil.zip", ("good.py", b"", REGULAR), entry), session, said)


TARS: dict[str, tuple[dict[str, Any], str]] = {
    "upwards": ({"name": "../evil.py"}, r"'\.\./evil\.py' leads out"),
    "absolute": ({"name": "/tmp/evil.py"}, LEADS_OUT),
    "link": ({"name": "link", "type": tarfile.SYMTYPE, "link": "../../x"}, "'link' leads out"),
    "absolute link": ({"name": "l", "type": tarfile.SYMTYPE, "link": "/etc/passwd"}, LEADS_OUT),
    "hard link": ({"name": "link", "type": tarfile.LNKTYPE, "link": "../../x"}, LEADS_OUT),
    "device": ({"name": "null", "type": tarfile.CHRTYPE}, "'null' is a device or a pipe"),
    "pipe": ({"name": "pipe", "type": tarfile.FIFOTYPE}, "'pipe' is a device or a pipe"),
}


@pytest.mark.parametrize("attack", TARS)
def test_tar(attack: str, session: Path, tmp_path: Path) -> None:
    entry, said = TARS[attack]
    refused(make_tar(tmp_path / "evil.tar.gz", {"name": "good.py"}, entry), session, said)


def test_links_through_links(session: Path, tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "evil.tgz",
        {"name": "a", "type": tarfile.SYMTYPE, "link": "."},
        {"name": "a/b", "type": tarfile.SYMTYPE, "link": "../.."},
        {"name": "a/b/evil.py", "content": b"x"},
    )
    refused(archive, session, LEADS_OUT)


def test_a_link_that_goes_up_by_way_of_another(session: Path, tmp_path: Path) -> None:
    archive = make_tar(
        tmp_path / "evil.tgz",
        {"name": "here", "type": tarfile.SYMTYPE, "link": "."},
        {"name": "up", "type": tarfile.SYMTYPE, "link": "here/.."},
    )
    refused(archive, session, "'up' leads out")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"name": "here/a.py"}, LEADS_OUT),
        ({"name": "here"}, "replaces one"),
        ({"name": "hard", "type": tarfile.LNKTYPE, "link": "here/good.py"}, "by way of a link"),
        ({"name": "hard", "type": tarfile.LNKTYPE, "link": "none.py"}, "no file that it stands"),
        ({"name": "good.py", "type": tarfile.SYMTYPE, "link": "here"}, "cannot be unpacked"),
    ],
)
def test_what_a_link_inside_is_not_used_for(
    entry: dict[str, Any], said: str, session: Path, tmp_path: Path
) -> None:
    here = {"name": "here", "type": tarfile.SYMTYPE, "link": "."}
    refused(make_tar(tmp_path / "evil.tgz", {"name": "good.py"}, here, entry), session, said)


def a_large_zip(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_zip(path.with_suffix(".zip"), ("zeros", bytes(9 << 20), REGULAR))


def a_large_tar(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_tar(path.with_suffix(".tgz"), {"name": "zeros", "content": bytes(9 << 20)})


def many_in_a_zip(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 50)
    return make_zip(path.with_suffix(".zip"), *((f"{n}", b"", REGULAR) for n in range(51)))


def many_in_a_tar(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(archives, "MAX_ENTRIES", 50)
    return make_tar(path.with_suffix(".tgz"), *({"name": f"{n}"} for n in range(51)))


def a_long_header(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pax header, which tarfile reads into memory whole."""
    header = tarfile.TarInfo("header")
    header.type = tarfile.XHDTYPE
    header.size = 64 << 20
    archive = path.with_suffix(".tar.gz")
    with gzip.open(archive, "wb") as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            out.write(bytes(1 << 20))
    return archive


def a_negative_size(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    header = tarfile.TarInfo("back")
    header.size = -1024
    archive = path.with_suffix(".tar.gz")
    with gzip.open(archive, "wb") as out:
        out.write(header.tobuf(tarfile.GNU_FORMAT) * 3)
    return archive


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (a_large_zip, r"holds 9 MiB \(up to zeros\), more than the 8 MiB"),
        (a_large_tar, r"holds 9 MiB \(up to zeros\), more than the 8 MiB"),
        (many_in_a_zip, "more than 50 files"),
        (many_in_a_tar, "more than 50 files"),
        (a_long_header, "longer than any honest one"),
        (a_negative_size, "holds|negative|cannot be unpacked"),
    ],
)
def test_bombs(
    attack: Callable[[Path, pytest.MonkeyPatch], Path],
    said: str,
    session: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 8 << 20)
    refused(attack(tmp_path / "bomb", monkeypatch), session, said)


def test_a_zip_whose_sizes_lie(session: Path, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "evil.zip", ("zeros", bytes(4 << 20), REGULAR))
    data = bytearray(archive.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # the size in the directory at the end
    assert int.from_bytes(data[at : at + 4], "little") == 4 << 20
    data[at : at + 4] = (100).to_bytes(4, "little")
    archive.write_bytes(bytes(data))
    refused(archive, session, "cannot be unpacked")


def test_damaged_and_encrypted_ones(session: Path, tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", ("a.py", os.urandom(5_000), REGULAR))
    whole = archive.read_bytes()
    for at in (200, 2_000):
        archive.write_bytes(whole[:at] + b"\xff" * 50 + whole[at + 50 :])
        refused(archive, session, "cannot be unpacked")
    encrypted = bytearray(whole)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(magic) + offset] |= 1
    archive.write_bytes(bytes(encrypted))
    refused(archive, session, "cannot be unpacked")
    tar = make_tar(tmp_path / "a.tar.gz", {"name": "a.py", "content": os.urandom(5_000)})
    tar.write_bytes(tar.read_bytes()[:2_000])
    refused(tar, session, "cannot be unpacked")


def test_honest_ones_are_unpacked_and_nothing_else_is_touched(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed: list[Any] = []
    chmod = os.chmod

    def noted(path: Any, *args: Any, **kwargs: Any) -> None:
        changed.append(path)
        chmod(path, *args, **kwargs)

    monkeypatch.setattr(os, "chmod", noted)
    link = {"name": "pkg/link.py", "type": tarfile.SYMTYPE, "link": "a.py"}
    folder = {"name": "pkg", "type": tarfile.DIRTYPE, "mode": 0o755}
    module = {"name": "pkg/a.py", "content": b"A", "mode": 0o4755}
    up = {"name": "pkg/deep/up.py", "type": tarfile.SYMTYPE, "link": "../a.py"}
    hard = {"name": "hard.py", "type": tarfile.LNKTYPE, "link": "pkg/a.py"}
    good = make_tar(tmp_path / "good.tar.gz", folder, module, link, up, hard)
    copy = Path(packages.copy_tree(str(good), str(session), []))
    for name in ("pkg/link.py", "pkg/deep/up.py", "hard.py"):
        assert (copy / name).read_bytes() == b"A"
    assert not (copy / "pkg" / "a.py").stat().st_mode & stat.S_ISUID
    for packing, ending in (("w:xz", ".tar.xz"), ("w", ".tar.gz"), ("w:bz2", ".tgz")):
        other = tmp_path / f"good{ending}"
        with tarfile.open(other, packing) as bundle:  # type: ignore[call-overload]
            bundle.addfile(tarfile.TarInfo("empty.py"))
        assert os.listdir(packages.copy_tree(str(other), str(session), [])) == ["empty.py"]
    assert changed
    assert os.devnull not in changed


@pytest.mark.slow
def test_a_task_whose_package_is_refused_says_so(
    session: Path, tmp_path: Path, runtime: Any, scorecard: Any
) -> None:
    entry, said = ZIPS["upwards"]
    archive = make_zip(tmp_path / "evil.zip", entry)
    task = paralab.remote(lambda: os.getcwd())
    for field, value in (("working_dir", str(archive)), ("py_modules", [str(archive)])):
        with pytest.raises(ValueError, match=said):
            paralab.get(task.options(runtime_env={field: value}).remote())
    assert paralab.get(task.remote()) == os.getcwd()
    attacks = len(ZIPS) + len(TARS) + 10
    scorecard.figure(
        "S9",
        f"{attacks} hostile archives: files outside, or left behind",
        0,
        "files",
        short=f"{attacks} archives: {{}} outside",
    )
