"""The table of small values."""

from __future__ import annotations

from paralab.state.key_values import KeyValues


def test_values_stay_in_their_namespaces() -> None:
    table = KeyValues()
    assert table.do("put", b"one", b"k", (b"1", True)) is False
    assert table.do("put", b"two", b"k", (b"2", True)) is False
    assert table.do("get", b"one", b"k", None) == b"1"
    assert table.do("get", b"three", b"k", None) is None
    assert table.do("delete", b"one", b"k", False) == 1
    assert table.do("get", b"two", b"k", None) == b"2"


def test_nothing_is_left_of_what_was_deleted() -> None:
    table = KeyValues()
    for key in (b"a", b"ab", b"b"):
        table.do("put", b"n", key, (b"", True))
    assert table.do("delete", b"n", b"a", True) == 2
    assert table.do("list", b"n", b"", None) == [b"b"]
    assert table.do("delete", b"n", b"", True) == 1
    assert table.do("delete", b"never", b"", True) == 0
    assert not vars(table)["_spaces"]
