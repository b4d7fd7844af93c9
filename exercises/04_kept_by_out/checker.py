"""Runs cells in an IPython of its own, calls the answer, and looks at what the store holds."""

import gc

import paralab
from paralab.engine import current
from paralab_profiling.details import byte_count
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet

ANSWER = "free"
IN_SESSION = False  # IPython changes the process that it runs in
SIZE = 20_000_000
CELLS = [
    "import paralab",
    f"stored = paralab.put(bytes({SIZE}))",
    "stored",
    "40 + 2",
    "stored",
    "results = {'mean': 1.5}",
    "del stored",
]
"""As in the notebook; the number of a cell is its place from 1 on."""
ORDINARY = 4
"""The cell whose result has nothing to do with the store."""


def shell_after(cells):
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()
    return shell


def used():
    """Bytes in the store, once what was let go of has gone."""
    gc.collect()
    before = None
    while (now := int(current().info("store")["used"])) != before:
        before = now
        # A task's round trip is after all that this process had to say before.
        paralab.get(nothing.remote())
    return now


@paralab.remote
def nothing():
    pass


def holders(shell):
    """Under which names IPython still has a reference."""
    space = shell.user_ns
    names = [name for name, value in space.items() if isinstance(value, paralab.ObjectRef)]
    outputs = [f"Out[{at}]" for at, value in space.get("Out", {}).items() if is_ref(value)]
    inside = [name for name in ("_", "__", "___") if is_ref(getattr(shell.displayhook, name, None))]
    return outputs, sorted({*names, *inside})


def is_ref(value):
    return isinstance(value, paralab.ObjectRef)


@decides
def check(answer):
    name = name_of(answer)
    empty = used()
    shell = shell_after(CELLS)
    before = used() - empty
    node = paralab.nodes()[0]["NodeID"]
    call(answer, shell)
    if not paralab.is_initialized() or paralab.nodes()[0]["NodeID"] != node:
        raise Decided(not_yet(
            "session ended",
            f"{name} ended the session.",
            "nothing is left of it",
            "the session goes on, without this one object",
            "all other objects and actors are gone, too",
            "find what holds the reference, and take only that away",
        ))  # fmt: skip
    space = shell.user_ns
    lost = [f"Out[{ORDINARY}]"] * (space.get("Out", {}).get(ORDINARY) != 42)
    lost += ["results"] * (space.get("results") != {"mean": 1.5})
    if lost:
        raise Decided(not_yet(
            "thrown away",
            f"{name} threw away more than the reference.",
            f"gone: {', '.join(lost)}",
            "other results and variables stay",
            "hours of work may stand in other cells' results",
            "look at each value, and take away only those that are references",
        ))  # fmt: skip
    after = used() - empty
    if after:
        outputs, names = holders(shell)
        still = ", ".join([*outputs, *names]) or "nothing in IPython: perhaps a name of yours"
        raise Decided(not_yet(
            "output kept" if outputs else "name kept",
            f"after {name} the object is still in the store.",
            f"{byte_count(after)} of {byte_count(before)}; held by {still}",
            "0 B",
            "the store fills up, and nobody knows with what",
            f"let go of {(outputs or names or ['it'])[0]}, too",
        ))  # fmt: skip
    return passed(
        f"{name} let go of the reference, and the store shrank.",
        [("bytes of the object in the store, before", byte_count(before)),
         ("after", f"{byte_count(after)} (expected 0 B)"),
         ("other results", "kept")],
        "end a cell's last line with a semicolon. Is there an Out for it?",
    )  # fmt: skip


LADDERS = {
    "output kept": Ladder(
        "The cell showed its value. Under which number does IPython keep it, and why would it?",
        "Out[n] keeps what cell n has shown, for as long as the kernel lives; del takes away one "
        "name, not the value.",
        "for number, value in list(shell.user_ns['Out'].items()):\n"
        "    print(number, type(value).__name__)",
    ),
    "name kept": Ladder(
        "How else can you get the value of cell 3, besides Out[3]? Which short names does IPython "
        "have for it?",
        "IPython keeps a shown value as Out[3], as _3, and the last three as _, __ and ___, also "
        "in shell.displayhook. Its own way to take away all of them is shell.del_var(name), which "
        "%xdel calls.",
        "shell.del_var('_12')  # whatever cell 12 has shown, under all its names",
    ),
    "thrown away": Ladder(
        "Which of the results that you took away was a reference?",
        "%reset and flush empty everything. isinstance tells which values are references.",
        "for name, value in list(space.items()):\n    if isinstance(value, Picture):\n"
        "        print(name)",
    ),
    "session ended": Ladder(
        "What else was in the session besides this object?",
        "The store lets go of an object when the last reference to it has gone (notebook 04). So "
        "look for references.",
        "for name, value in list(space.items()):\n    if isinstance(value, Picture):\n"
        "        print(name)",
    ),
}
