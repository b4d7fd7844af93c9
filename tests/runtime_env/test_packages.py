"""Copies of folders and modules, named by what is in them."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from paralab.runtime_env import packages


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text("A = 1\n")
    (folder / "sub" / "b.txt").write_text("b")
    return folder


@pytest.fixture
def session(tmp_path: Path) -> str:
    (tmp_path / "session").mkdir()
    return str(tmp_path / "session")


def names(folder: str) -> list[str]:
    found = Path(folder).rglob("*")
    return sorted(str(path.relative_to(folder)) for path in found)


def test_equal_folders_are_one_copy_and_others_are_not(source: Path, session: str) -> None:
    first = packages.copy_tree(str(source), session, [])
    assert names(first) == ["a.py", "sub", "sub/b.txt"]
    assert packages.copy_tree(str(source), session, []) == first
    (source / "sub" / "b.txt").write_text("c")
    assert packages.copy_tree(str(source), session, []) != first
    assert len(os.listdir(session)) == 2


def test_what_is_left_out(source: Path, session: str) -> None:
    for name in (".git", "__pycache__", "venv"):
        (source / name).mkdir()
        (source / name / "file").touch()
    (source / "sub" / ".gitignore").write_text("*.txt\n")
    copy = packages.copy_tree(str(source), session, ["a.*"])
    assert names(copy) == ["sub", "sub/.gitignore"]


def test_links_are_followed_and_circles_are_not(source: Path, session: str) -> None:
    (source / "sub" / "up").symlink_to(source)
    (source / "link.py").symlink_to("a.py")
    (source / "nothing").symlink_to("not there")
    os.mkfifo(source / "fifo")
    copy = packages.copy_tree(str(source), session, [])
    assert names(copy) == ["a.py", "link.py", "sub", "sub/b.txt"]
    assert not (Path(copy) / "link.py").is_symlink()


def test_too_much_is_refused_and_leaves_nothing(
    source: Path, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "MAX_BYTES", 5)
    with pytest.raises(ValueError, match=r"more than 0 MiB.*excludes"):
        packages.copy_tree(str(source), session, [])
    assert os.listdir(session) == []


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
def test_archives(source: Path, session: str, tmp_path: Path, ending: str) -> None:
    archive = tmp_path / f"packed{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            packed.write(source / "a.py", "a.py")
    else:
        with tarfile.open(archive, "w:gz") as bundle:
            bundle.add(source / "a.py", "a.py")
    assert names(packages.copy_tree(str(archive), session, [])) == ["a.py"]
    archive.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        packages.copy_tree(str(archive), session, [])
