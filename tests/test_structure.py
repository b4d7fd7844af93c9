"""The rules that keep the source readable: who imports whom, and how long files are.

Imports go one way::

    api  ->  process  ->  store, transport  ->  state  ->  the bottom

where *api* is every module that is not named in ``LEVELS``.  Imports inside functions count.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import THE_SAME_EVERYWHERE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
RUNTIME = ROOT / "runtime" / "paralab"
PROFILING = ROOT / "profiling" / "paralab_profiling"

BOTTOM = (
    "messages", "worker_stamps", "task_spec", "ids", "id_types", "object_ref",
    "object_ref_generator", "object_futures", "engine",
    "exceptions", "actor_errors", "object_errors", "task_error", "unseen_errors", "library_name",
    "plain_exception", "remote_errors", "remote_traceback", "shown_text",
    "serialization", "blob_format", "unpicklable",
    "platform", "limits", "boot", "system_config", "call_sites", "bar_lines",
)  # fmt: skip
LEVELS = dict.fromkeys(BOTTOM, 0) | {"state": 1, "store": 2, "transport": 2, "process": 3}
API = 4
ROOMS = ("state", "store", "transport", "process")

MAX_LINES = 450
"""Lines of one file, everything counted."""
MAX_CODE_IN_ROOMS = 11_494
"""Lines of the four rooms, without blank lines, comments and docstrings.  ``runtime/README.md``
says why there are more than the 8,000 at which the design aimed."""

PURE_OF_OURS = {
    "state", "messages", "worker_stamps", "task_spec", "ids", "object_ref", "exceptions",
    "shown_text",
}  # fmt: skip
PURE = {
    "__future__", "abc", "array", "bisect", "collections", "copy", "dataclasses", "enum",
    "fractions", "functools", "heapq", "itertools", "math", "operator", "struct", "types", "typing",
}  # fmt: skip
"""What ``state/`` may import besides paralab: nothing that does I/O, waits or has a clock."""

SOURCES = sorted([*RUNTIME.rglob("*.py"), *PROFILING.rglob("*.py")])


def name_of(path: Path) -> str:
    """The dotted name of the module in ``path``."""
    package = RUNTIME if path.is_relative_to(RUNTIME) else PROFILING
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCES}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of each module that ``path`` imports anywhere."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from paralab import x` means the module x where there is one.
            full = {f"{base}.{alias.name}" for alias in node.names}
            names = full & MODULES.keys()
            yield from ((node.lineno, name) for name in sorted(names))
            if names != full:
                yield node.lineno, base


def level_of(name: str) -> int:
    """How high in the order of imports the module ``paralab...`` stands."""
    parts = name.split(".")
    return LEVELS.get(parts[1], API) if len(parts) > 1 else API


def below(folder: str) -> list[Path]:
    return sorted((RUNTIME / folder).rglob("*.py"))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def code_lines(path: Path) -> int:
    """Lines that hold code: not blank, not a comment, not a docstring."""
    source = text_of(path)
    skip = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in skip and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_imports_go_one_way() -> None:
    wrong = []
    for path in sorted(RUNTIME.rglob("*.py")):
        level = level_of(name_of(path))
        for line, name in imports(path):
            if name.split(".")[0] == "paralab" and level_of(name) > level:
                wrong.append(f"{where(path, line)} imports {name}, which is above it")
    assert not wrong, "\n".join(wrong)


def test_runtime_does_not_import_profiling() -> None:
    wrong = [
        f"{where(path, line)} imports {name}; find it by entry point instead"
        for path in RUNTIME.rglob("*.py")
        for line, name in imports(path)
        if name.split(".")[0] == "paralab_profiling"
    ]
    assert not wrong, "\n".join(wrong)


def test_state_is_pure() -> None:
    wrong = []
    for path in below("state"):
        for line, name in imports(path):
            root = name.split(".")[0]
            ours = root == "paralab" and name.split(".")[1] in PURE_OF_OURS
            if not ours and root not in PURE:
                wrong.append(f"{where(path, line)} imports {name}, which is not pure")
        for node in ast.walk(ast.parse(path.read_bytes())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"open", "print", "input", "exec", "eval", "breakpoint"}
            ):
                wrong.append(f"{where(path, node.lineno)} calls {node.func.id}()")
    assert not wrong, "\n".join(wrong)


def test_only_shells_know_sockets() -> None:
    wrong = [
        f"{where(path, line)} imports {name}"
        for path in RUNTIME.rglob("*.py")
        # The benchmark measures against a bare socket; platform holds all calls to the system;
        # the fault switch stands between a connection and its socket.
        if path.relative_to(RUNTIME).parts[0]
        not in {"process", "transport", "store", "benchmark", "faults", "platform.py"}
        for line, name in imports(path)
        if name.split(".")[0] in {"socket", "selectors", "socketserver"}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_file_is_short_and_says_what_it_is(path: Path) -> None:
    text = text_of(path)
    lines = text.count("\n")
    assert lines <= MAX_LINES, f"{path.relative_to(ROOT)} has {lines} lines: make two files of it"
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no docstring"


def test_rooms_stay_small() -> None:
    sizes = {room: sum(map(code_lines, below(room))) for room in ROOMS}
    assert sum(sizes.values()) <= MAX_CODE_IN_ROOMS, sizes


def test_no_constant_is_defined_twice() -> None:
    """The second would silently take the place of the first, for those above it as well."""
    found = []
    for path in sorted([*SOURCES, *(ROOT / "tests").rglob("*.py")]):
        seen: set[str] = set()
        for statement in ast.parse(text_of(path)).body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            for name in (each.id for each in targets if isinstance(each, ast.Name)):
                if name.isupper() and name in seen:
                    found.append(f"{where(path, statement.lineno)}: {name}")
                seen.add(name)
    assert found == []


def test_top_folders_are_no_packages() -> None:
    # Python 3.15 has a standard package `profiling`; ours must not hide it.
    for folder in ("runtime", "profiling"):
        assert not (ROOT / folder / "__init__.py").exists()


def test_import_is_light() -> None:
    # grpc is for a second node and numpy for who uses it; no thread starts at import.
    code = (
        "import sys, threading, paralab;"
        "heavy = {'grpc', 'numpy', 'asyncio', 'multiprocessing', 'IPython', 'rich', 'click',"
        " 'joblib', 'dask', 'tqdm'};"
        "print(sorted(heavy & set(sys.modules)), threading.active_count())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=100, cwd=RUNTIME.parent,
    )  # fmt: skip
    assert done.stdout.split("\n")[0] == "[] 1"


def test_what_one_python_tests_for_all_is_there() -> None:
    # Of a file that was renamed, the entry would stay and say nothing.
    for path in THE_SAME_EVERYWHERE:
        assert (ROOT / path).exists(), path
