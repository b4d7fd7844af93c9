"""Patterns of what is not copied, as git reads them."""

from __future__ import annotations

import pytest

from paralab.runtime_env.ignore import is_left_out, patterns


@pytest.mark.parametrize(
    ("lines", "left_out", "kept"),
    [
        (["*.log"], ["a.log", "d/a.log"], ["a.log.txt", "log"]),
        (["/a"], ["a"], ["b/a"]),
        (["a/b"], ["a/b"], ["c/a/b", "a/bc"]),
        (["**/a"], ["a", "b/a", "b/c/a"], ["ab"]),
        (["a/**"], ["a/b", "a/b/c"], ["a", "b"]),
        (["a/**/b"], ["a/b", "a/x/b", "a/x/y/b"], ["b", "ab"]),
        (["a?c", "[x-z]1", "[!a]2"], ["abc", "y1", "b2"], ["ac", "a1", "a2"]),
        (["*.py", "!keep.py"], ["a.py"], ["keep.py", "d/keep.py"]),
        (["# no", "", r"\#yes", r"\!yes"], ["#yes", "!yes"], ["no"]),
        (["a.b"], ["a.b"], ["axb"]),
    ],
)
def test_patterns(lines: list[str], left_out: list[str], kept: list[str]) -> None:
    known = patterns(lines)
    assert [p for p in left_out + kept if is_left_out(p, False, known)] == left_out


def test_patterns_for_folders_leave_files_in() -> None:
    known = patterns(["build/"])
    assert is_left_out("build", True, known)
    assert is_left_out("a/build", True, known)
    assert not is_left_out("build", False, known)


def test_patterns_of_a_folder_hold_in_it_only() -> None:
    known = patterns(["*.txt", "/x"], "sub")
    assert is_left_out("sub/a.txt", False, known)
    assert is_left_out("sub/x", False, known)
    assert not is_left_out("a.txt", False, known)
    assert not is_left_out("sub/y/x", False, known)
