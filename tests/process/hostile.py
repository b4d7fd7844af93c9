"""Text that was written to do harm where it is shown, and what shown text must be like."""

from __future__ import annotations

import re
from html.parser import HTMLParser

PAYLOADS = (
    # HTML
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><iframe src=javascript:alert(1)>",
    "</text><script>alert(1)</script>",
    "</title></head><body onload=alert(1)>",
    "<style>*{display:none}</style>",
    "<a href='javascript:alert(1)'>x</a>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--",
    "]]><script>alert(1)</script>",
    "<details open ontoggle=alert(1)>",
    '" onmouseover="alert(1)',
    "' style='position:fixed;inset:0",
    "</td></tr></table><h1>owned</h1>",
    # SVG and XML
    "<svg><foreignObject><body onload=alert(1)/></foreignObject></svg>",
    "<use href='data:image/svg+xml,<svg/>'/>",
    "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
    "&b;&#0;&#x1b;",
    "\x00\x01\x08\ufffe\uffff",
    # Markdown, TeX, formulas of spreadsheets, the markup of rich
    "[x](javascript:alert(1))",
    "![x](https://example.org/leak)",
    "```\n# a title\n```",
    "$\\href{javascript:alert(1)}{x}$",
    "=cmd|'/C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+1",
    "[bold red]x[/bold red][link=https://example.org]y[/link]",
    "[/]",
    # what terminals act on
    "\x1b[2J\x1b[H",
    "\x1b[31mred",
    "\x1b]0;owned\x07",
    "\x1b]8;;https://example.org\x1b\\x\x1b]8;;\x1b\\",
    "\x1b]52;c;b3duZWQ=\x07",
    '\x1bP$q"p\x1b\\',
    "\x9b2J\x9d0;owned\x9c",
    "\x1b[6n\x1b[c\x05",
    "over\rwritten",
    "back\x08\x08\x08\x08space\x7f",
    "\x0e\x0f\x0b\x0c",
    # lines that look like others
    "line\n(driver pid=1) forged",
    'line\r\nTraceback (most recent call last):\n  File "forged"',
    "one\u2028two\u2029three\x85four",
    # the direction of text, and what cannot be written
    "\u202egnp.exe",
    "\u2066\u2067\u2068\u202d",
    "half \ud800 a \udfff character",
    # formats and paths
    "{0.__class__} %s %n ${PATH} `id` $(id)",
    "../../../etc/passwd",
    "a\x00b",
    "-rf --help",
    # size
    "x" * 10_000_000,
)  # fmt: skip

_colour = re.compile(r"\x1b\[[0-9;:]*m")
_acts = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def name_of(payload: str) -> str:
    """A short name for a test."""
    return ascii(payload[:30]) + ("..." if len(payload) > 30 else "")


def acts(text: str, colours: bool = False) -> list[str]:
    """What of a text a terminal would act on."""
    return _acts.findall(_colour.sub("", text) if colours else text)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        for name, value in attrs:
            if name in ("href", "src"):
                self.tags.add(f"{name}:{(value or '').partition(':')[0]}")

    def handle_data(self, data: str) -> None:
        self.text += data


def markup_of(html: str) -> tuple[set[str], set[str], str]:
    """Tags (with the schemes of links), attributes and text."""
    parser = _Tags()
    parser.feed(html)
    parser.close()
    return parser.tags, parser.attributes, parser.text
