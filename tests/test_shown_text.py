"""Names and texts of users, as they are shown."""

from __future__ import annotations

import os

import pytest

from paralab.shown_text import LONGEST_NAME, shown_name, shown_path, shown_text


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("Counter.inc", "Counter.inc"),
        ("größe \N{SNOWMAN}", "größe \N{SNOWMAN}"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("a\nb\r\nc\td", "a b c d"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("\x9b2J\x00\x7f", "\ufffd2J\ufffd\ufffd"),
        ("\u202eevil\u2069\u2028x", "\ufffdevil\ufffd x"),
        ("half \ud800 a character", "half \ufffd a character"),
    ],
)
def test_a_name_is_one_harmless_line(raw: str, shown: str) -> None:
    assert shown_name(raw) == shown
    assert shown_name(shown) == shown
    shown.encode()


def test_a_long_name_is_cut() -> None:
    assert shown_name("x" * LONGEST_NAME) == "x" * LONGEST_NAME
    assert len(shown_name("x" * 10_000_000)) == LONGEST_NAME


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        ("from DOS\r\nline", "from DOS\nline"),
        ("\x1b[31mred\nstill", "\x1b[31mred\nstill\x1b[0m"),
        ("\x1b[31mred\x1b[0m\n\x1b]0;title\x07", "\x1b[31mred\x1b[0m\n\ufffd]0;title\ufffd"),
        ("a\rb\x08\ud800", "a\ufffdb\ufffd\ufffd"),
    ],
)
def test_text_keeps_lines_and_colours(raw: str, shown: str) -> None:
    assert shown_text(raw) == shown
    assert shown_text(shown) == shown


def test_home_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert shown_path("/home/ada/tmp/x") == "~/tmp/x"
    assert shown_path("/home/adams/x") == "/home/adams/x"
    assert shown_path("relative/x") == "relative/x"
    monkeypatch.setenv("HOME", os.sep)
    assert shown_path("/tmp/x") == "/tmp/x"
