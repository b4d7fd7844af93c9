"""Writes classes with methods that are defined twice, and runs them to see which one counts."""

import random

import paralab
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet

ANSWER = "defined_twice"
NAMES = ["load", "clean", "score", "report", "save", "merge", "split", "count"]


def program(rng):
    """Source, the methods that stand twice by class, and the names that only look as if they did.

    Each definition returns the number of its own line, so running tells which one counts.
    """
    lines, twice, setters = ["import math", ""], [], []

    def method(name, is_async=False):
        lines.append(f"    {'async ' * is_async}def {name}(self):")
        lines.extend([f"        return {len(lines)}", ""])

    for each in range(4):
        lines.extend(["", f"class Step{each}:"])
        names = rng.sample(NAMES, 5)
        for name in names:
            method(name)
        if each < 3:
            again = rng.choice(names)
            method(again, is_async=each == 2)
            if each == 0:
                method(again)
            twice.append((f"Step{each}", again))
        lines.extend(["    @property", "    def size(self):", "        return 1", ""])
        lines.extend(["    @size.setter", "    def size(self, value):", "        pass", ""])
        setters.append((f"Step{each}", "size"))
    lines.extend(["", "def load():", "    return 0"])
    return "\n".join(lines) + "\n", twice, setters


def lines_that_ran(source, twice):
    """The line of each definition that ran, remotely where a plain call can do it."""
    space = {"__name__": "steps"}
    exec(compile(source, "steps.py", "exec"), space)  # noqa: S102  # our own, above
    found = []
    for owner, name in twice:
        actor = paralab.remote(space[owner]).remote()
        found.append((owner, name, paralab.get(getattr(actor, name).remote())))
    return found


@decides
def check(answer):
    name = name_of(answer)
    source, twice, setters = program(random.Random())
    expected = sorted(lines_that_ran(source, twice))
    result = call(answer, source)
    try:
        found = sorted((str(owner), str(method), int(line)) for owner, method, line in result)
    except (TypeError, ValueError):
        raise Decided(not_yet(
            "result",
            f"{name}(source) gave something else than a list of (class, method, line).",
            " ".join(repr(result)[:60].split()),
            f"such as {expected[:1]}",
            "only what has this form can be compared",
            "return a list of tuples: two names and a number",
        )) from None  # fmt: skip
    pairs = {each[:2] for each in found}
    for kind, wrong, failed, then in (
        ("setters", pairs & set(setters), "a property and its setter are told as a mistake.",
         "look at what stands in the line above the second definition"),
        ("other classes", pairs - set(twice) - set(setters),
         "names that stand once in each of several classes are told.",
         "look at each class by itself"),
        ("missed", set(twice) - pairs, "a method that stands twice is not told.",
         "look for every way in which a method can be written: def, async def"),
    ):  # fmt: skip
        if wrong:
            raise Decided(not_yet(
                kind,
                f"{name}: {failed}",
                f"{len(wrong)} of them, such as {'.'.join(min(wrong))}",
                f"{len(twice)} methods: {', '.join('.'.join(each) for each in twice)}",
                "a finder that cries wolf is switched off, and one that is silent is believed",
                then,
            ))  # fmt: skip
    if found != expected:
        wrong = [(a, b) for a, b in zip(found, expected, strict=False) if a != b]
        (owner, method, line), right = (wrong or [(found[-1], expected[-1])])[0]
        raise Decided(not_yet(
            "line",
            f"{name}: the line is of a definition that never ran.",
            f"line {line} for {owner}.{method}",
            f"line {right[2]}, which is what ran as an actor's method",
            "who edits the other one sees no change, and looks for the reason elsewhere",
            "print the lines of both definitions, and call the method",
        ))  # fmt: skip
    return passed(
        f"{name} found all {len(twice)} methods, each with the line that ran.",
        [("methods that stand twice", f"{len(twice)} (expected {len(twice)})"),
         ("told without reason", "0 (expected 0)")],
        "let ruff look at the same source: its rule F811 does this.",
    )  # fmt: skip


LADDERS = {
    "setters": Ladder(
        "What is different about the second definition of size? Look one line above it.",
        "A decorator such as @size.setter takes the first definition and adds to it: both count. "
        "In the syntax tree, decorators stand in decorator_list.",
        "for function in functions:\n    print(function.name, len(function.decorator_list))",
    ),
    "other classes": Ladder(
        "In which class does each of the definitions stand that you tell?",
        "A class has its own names. In the syntax tree, a class's methods are in its body; "
        "ast.walk goes through all classes at once.",
        "for chapter in book:\n    for page in chapter.pages:\n        print(chapter.title, page)",
    ),
    "missed": Ladder(
        "How is the missed method written? Which word stands before its second def?",
        "In the syntax tree, async def is a node of its own: ast.AsyncFunctionDef.",
        "if isinstance(node, (ast.For, ast.AsyncFor)):\n    print(node.lineno)",
    ),
    "line": Ladder(
        "Python runs a class's body from top to bottom. What does the name stand for at the end?",
        "def assigns a name. The second assignment replaces the first, without a word.",
        "colours = {}\ncolours['sky'] = 'blue'\ncolours['sky'] = 'grey'\nprint(colours)",
    ),
}
