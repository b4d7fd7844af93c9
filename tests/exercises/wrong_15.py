"""Answers to exercise 15 with a known mistake, and the kind that the check must find in each."""

from __future__ import annotations

FINDER = """
def defined_twice(source):
    found = []
    for owner in ast.walk(ast.parse(source)):
        if isinstance(owner, ast.ClassDef):
            lines = {}
            for node in owner.body:
                if isinstance(node, KINDS) and CONDITION:
                    lines.setdefault(node.name, []).append(node.lineno)
            found += [(owner.name, name, at[LINE]) for name, at in lines.items() if len(at) > 1]
    return found
"""


def finder(kinds: str, condition: str, line: int) -> str:
    with_kinds = FINDER.replace("KINDS", kinds).replace("CONDITION", condition)
    return with_kinds.replace("LINE", str(line))


BOTH = "(ast.FunctionDef, ast.AsyncFunctionDef)"
STUB = "other classes"
WRONG = [
    (finder(BOTH, "True", -1), "setters"),
    (finder("ast.FunctionDef", "not node.decorator_list", -1), "missed"),
    (finder(BOTH, "not node.decorator_list", 0), "line"),
    (finder(BOTH, "not node.decorator_list", 1), "line"),
    ("def defined_twice(source):\n    return 'Judge.score'", "result"),
]
