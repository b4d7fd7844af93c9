"""Lets an actor of the learner's class read texts, and takes its growth from tracemalloc."""

import random
from collections import Counter

import paralab
from paralab_profiling import profile
from paralab_profiling.details import byte_count
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.memory.growth_drawing import table_of

ANSWER = "Reader"
TEXTS = 12
MOST = 20_000
"""Bytes for each call.  The leak has 60,000 and more; what the runtime notes, 1,000."""
VOCABULARY = [f"word{number}" for number in range(400)]


def text(rng, number):
    """One text of 1,000 words; its time makes it different from all others."""
    words = (rng.choice(VOCABULARY).title() + rng.choice(["", ",", "."]) for _ in range(1_000))
    return f"2026-01-01T00:{number // 60:02}:{number % 60:02} {' '.join(words)}"


def cleaned(text):
    return [word.strip(".,").lower() for word in text.split()]


def read_all(reader, texts):
    return [paralab.get(reader.read.remote(each)) for each in texts]


@decides
def check(answer):
    name = name_of(answer)
    rng = random.Random()
    texts = [text(rng, number) for number in range(2 * TEXTS)]
    reader = call(paralab.remote(answer).remote)
    # What an actor needs once, such as the first entries of its counts, is no leak.
    counts = call(read_all, reader, texts[:TEXTS])
    with profile(tool="tracemalloc") as measured:
        counts += call(read_all, reader, texts[TEXTS:])
    expected = [len(each.split()) for each in texts]
    if counts != expected:
        wrong = next(at for at, pair in enumerate(zip(counts, expected, strict=True))
                     if pair[0] != pair[1])  # fmt: skip
        raise Decided(not_yet(
            "result",
            f"{name}.read gave another number of words.",
            repr(counts[wrong])[:40],
            str(expected[wrong]),
            "an actor without a leak that counts wrong is of no use",
            "read a text of three words",
        ))  # fmt: skip
    report = call(lambda: paralab.get(reader.report.remote()))
    words = Counter(word for each in texts for word in cleaned(each))
    right = len(texts), words["word7"]
    if report != right:
        raise Decided(not_yet(
            "report",
            f"{name}.report does not know all texts any more.",
            repr(report)[:60],
            f"{right}: texts that were read, and how often 'word7' was in them",
            "the counts are what the actor is for; they do not grow with every text",
            "leave self.texts and self.words as they were",
        ))  # fmt: skip
    table = table_of(measured.extra["growth"], is_size=True)
    grown = sum(row.size for row in table.rows) / max(1, table.intervals)
    if not table.intervals or grown > MOST:
        raise Decided(not_yet(
            "growth",
            f"{name} keeps something of every text.",
            f"{byte_count(grown)} more for each call, over {table.intervals} calls",
            f"{byte_count(MOST)} or less",
            "an actor lives long; what grows with each call ends with the machine's memory",
            "profile(tool='tracemalloc') around some calls tells the line",
        ))  # fmt: skip
    return passed(
        f"{name} has read {len(texts)} texts and does not grow.",
        [("growth for each call", f"{byte_count(grown)} (expected {byte_count(MOST)} or less)"),
         ("calls that were compared", str(table.intervals))],
        "profile(tool='objgraph') around the calls of the first Reader. Which type grows?",
    )  # fmt: skip


LADDERS = {
    "growth": Ladder(
        "Put profile(tool='tracemalloc') around ten calls. Which of your lines is the first in the "
        "table, and how many bytes does it keep for each call? Divide by the words of a text.",
        "A cache pays only if the same thing comes again, and it needs a limit. A leak grows with "
        "every call; a count of a fixed vocabulary does not.",
        "def area(self, plan):\n    # no plan comes twice, so none is kept\n"
        "    return sum(room.width * room.length for room in plan)",
    ),
    "report": Ladder(
        "Which attributes does report use, and which of them did you change?",
        "Not all that an actor keeps is a leak. What report needs has a size that ends: 400 words, "
        "one number.",
        "self.rooms.update(room.kind for room in plan)  # as many entries as there are kinds",
    ),
    "result": Ladder(
        "What does read return for a text of three words?",
        "read gives the number of words in its text, the time counted as one.",
        "assert Planner().area([Room(2, 3)]) == 6",
    ),
}
