"""Which names a cell reads, binds and deletes."""

from __future__ import annotations

import ast
import symtable
import sys
import textwrap
from pathlib import Path

import pytest

from paralab_profiling.magics.names import names_of

CASES = {
    # code: (reads, binds)
    "y = x + 1": ("x", "y"),
    "x = 1\ny = x": ("", "x y"),
    "x = x + 1": ("x", "x"),
    "x += 1": ("x", "x"),
    "x: int = 1\ny: int": ("int", "x"),
    "d['a'] = 1": ("d", ""),
    "o.a.b = c": ("o c", ""),
    "import numpy as np, os.path\nnp.x": ("", "np os"),
    "from m import a, b as c": ("", "a c"),
    "from m import *": ("", ""),
    "[i * k for i in r if i > j]": ("k r j", ""),
    "[i for i in i]": ("i", ""),
    "[(i, j) for i in a for j in b(i)]": ("a b", ""),
    "{k: v for k, v in p}": ("p", ""),
    "[n := i for i in r]\nn": ("r", "n"),
    "for i in r:\n  t = t + i\nprint(i)": ("r t print i", "i t"),
    "while c:\n  a = 1\na": ("c a", "a"),
    "if c:\n  a = 1\nelse:\n  a = 2\na": ("c", "a"),
    "if c:\n  a = 1\na": ("c a", "a"),
    "try:\n  a = f()\nexcept E as e:\n  a = e\na": ("f E a", "a e"),
    "try:\n  a = 1\nfinally:\n  b = 2\na, b": ("", "a b"),
    "with open(p) as f:\n  t = f.read()\nt": ("open p", "f t"),
    "(a, *b), c.d = v": ("c v", "a b"),
    "match v:\n  case [x, *y]: x, y\n  case {'k': z, **w}: z, w\n  case C(u) as q: u, q": (
        "v C", "x y z w u q",
    ),
    "def f(a, b=c, *d, e: T, **g) -> R:\n  h = a + i\n  return h": ("c T R i", "f"),
    "def f():\n  return f()": ("f", "f"),
    "def f():\n  global n\n  n += 1": ("n", "n f"),
    "def f():\n  n = 1\n  def g():\n    nonlocal n\n    n += m\n  return g": ("m", "f"),
    "@d\nclass C(B, k=K):\n  a = x\n  b = a\n  def f(self):\n    return a": ("d B K x a", "C"),
    "class C:\n  x = [y for z in range(2)]\n  y = 1": ("y range", "C"),
    "class C:\n  global n\n  n = 1": ("", "n C"),
    "g = lambda a, b=c: a + b + e": ("c e", "g"),
    "async def f():\n  async for i in a:\n    await i": ("a", "f"),
    "del x": ("x", ""),
    "x = 1\ndel x\nx": ("x", "x"),
    "f'{a:{b}} {c!r}'": ("a b c", ""),
    "def f():\n  try: 1\n  except E as e: return e\n  import m.n\n  return m": ("E", "f"),
    "def f():\n  return [y := 1 for _ in z], y": ("z", "f"),
    "x = 1\ndef f():\n  return x": ("", "x f"),
}  # fmt: skip


@pytest.mark.parametrize("code", CASES)
def test_names_of_a_cell(code: str) -> None:
    reads, binds = CASES[code]
    found = names_of(ast.parse(code))
    assert found.reads == set(reads.split())
    assert set(found.binds) == set(binds.split())


def test_what_is_deleted() -> None:
    found = names_of(ast.parse("del a, b[0]\ndef f():\n  global c\n  del c"))
    assert found.deletes == {"a", "c"}
    assert found.reads == {"a", "b", "c"}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is Python 3.12's")
def test_type_parameters() -> None:
    code = "type A[T] = list[T | U]\ndef f[V: W](x: V) -> V: return x\nclass C[X](B[X]): pass"
    found = names_of(ast.parse(code))
    assert found.reads == {"list", "U", "W", "B"}
    assert found.binds == ("A", "f", "C")


MODULES = ["argparse", "ast", "dataclasses", "inspect", "typing", "collections", "enum", "shutil"]


@pytest.mark.parametrize("name", MODULES)
def test_python_itself_finds_the_same_names(name: str) -> None:
    file = sys.modules[name].__file__ if name in sys.modules else __import__(name).__file__
    assert file is not None
    source = Path(file).read_text(encoding="utf-8")
    tree = ast.parse(source)
    found = names_of(tree)
    top = symtable.symtable(source, file, "exec")
    referenced, bound = set(), set()
    tables = [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            is_top = table is top
            if is_top or symbol.is_global():
                if symbol.is_referenced():
                    referenced.add(symbol.get_name())
                if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
                    bound.add(symbol.get_name())
    # From 3.12 on (PEP 709), Python's tables have the variables of comprehensions as if outside.
    inside = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.comprehension)
        for name in ast.walk(node.target)
        if isinstance(name, ast.Name)
    }
    assert set(found.binds) <= bound <= {*found.binds, *inside}
    # All that Python looks up and nothing binds is read, and nothing else than it looks up is.
    assert referenced - bound - {"__class__"} <= found.reads, "3.12 lists what super() needs"
    assert found.reads <= referenced | bound


def test_methods_know_their_class() -> None:
    cell = "class A:\n  def of(self): return __class__, super().of()\ndef f(): return __class__"
    assert names_of(ast.parse(cell)).reads == {"super", "__class__"}
    assert names_of(ast.parse(cell.partition("\ndef f")[0])).reads == {"super"}


def test_order_counts_inside_one_statement() -> None:
    cell = """
        total = 0
        for x in values:
            total += weight(x)
        mean = total / len(values)
        """
    found = names_of(ast.parse(textwrap.dedent(cell)))
    assert found.reads == {"values", "weight", "len"}
    assert found.binds == ("total", "x", "mean")
