"""The options on a magic's line, and the expression behind them.

IPython's ``parse_argstring`` takes quotes off, which an expression needs, and what is wrong ends as
a line that is printed and that no test of a notebook sees.  So options are cut off by hand, and
errors are exceptions.
"""

from __future__ import annotations

import argparse
import ast
import keyword
import re
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError

from paralab_profiling.magics.cells import ends_with_semicolon

_UNITS = {
    unit: factor
    for power, letter in enumerate("kmgt", 1)
    for unit, factor in ((f"{letter}b", 1000**power), (f"{letter}ib", 1024**power))
} | {"": 1, "b": 1}


def parse(magic: Any, line: str) -> argparse.Namespace:
    """The options and arguments of a magic whose line has nothing else.

    Raises:
        ValueError: it does not know one, or a value is wrong.
    """
    __tracebackhide__ = True
    try:
        parsed: argparse.Namespace = magic.parser.parse_argstring(line.rstrip().rstrip(";"))
    except UsageError as error:
        raise ValueError(f"{_name(magic)}: {error}; {_name(magic)}? shows its options") from None
    return parsed


def split(magic: Any, line: str) -> tuple[argparse.Namespace, str, bool]:
    """The options in front, the expression behind them, and whether a semicolon ends it.

    Raises:
        ValueError: it does not know an option, or a value is wrong.
    """
    __tracebackhide__ = True
    rest = line.strip()
    takes_value = {
        name: action.nargs is None
        for action in magic.parser._actions
        for name in action.option_strings
    }
    while rest.startswith("-"):
        found = re.match(r"\S+\s*", rest)
        assert found is not None
        rest = rest[found.end() :]
        if takes_value.get(found[0].strip(), False):
            rest = re.sub(r"^(\"[^\"]*\"|'[^']*'|\S+)\s*", "", rest)
    options = line.strip()[: len(line.strip()) - len(rest)]
    is_silenced = ends_with_semicolon(rest)
    if is_silenced:
        rest = rest.rstrip()[:-1] if rest.rstrip().endswith(";") else rest.rpartition(";")[0]
    return parse(magic, options), rest.strip(), is_silenced


def name(text: str) -> str:
    """The argument of ``-o``: a name that can be assigned."""
    text = text.rstrip(";")
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name for a variable")
    return text


def text(written: str) -> str:
    """A text that may stand in quotes."""
    is_quoted = len(written) > 1 and written[0] == written[-1] and written[0] in "'\""
    return written[1:-1] if is_quoted else written


def counts(text: str) -> list[int]:
    """``1,2,4``."""
    try:
        return [int(each) for each in text.rstrip(";").split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not like 1,2,4") from None


def amounts(text: str) -> dict[str, float]:
    """``a=1,b=0.5``, or a dict as Python or JSON writes it."""
    try:
        if text.lstrip().startswith(("{", "'{", '"{')):
            found = ast.literal_eval(text.strip("'\""))
            return {str(each): float(amount) for each, amount in found.items()}
        pairs = [part.partition("=") for part in text.strip("'\"").split(",")]
        return {key.strip(): float(amount) for key, _, amount in pairs}
    except (AttributeError, SyntaxError, TypeError, ValueError):
        raise argparse.ArgumentTypeError(f"{text} is not like name=1,other=0.5") from None


def size(text: str) -> int:
    """``500000``, ``500MB`` or ``1.5GiB`` in bytes."""
    found = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]*)", text)
    try:
        assert found is not None
        return int(float(found[1]) * _UNITS[found[2].lower()])
    except (AssertionError, KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 500MB") from None


def _name(magic: Callable[..., Any]) -> str:
    return f"%{magic.__name__}"
