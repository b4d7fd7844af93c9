"""Plans the tasks on two workers by their bytes, in the order of their submission."""

import random

import paralab_profiling.lessons.measures as count
from paralab_profiling import Check, Rule, timeline
from paralab_profiling.exercises.ladders import Ladder
from paralab_profiling.svg import three_digits

ANSWER = "different_words"
WORKERS = 2
CLOSE = 1.1
"""Times the best plan; the longest text first is below 1.05, last is at 1.4."""


def texts(rng: random.Random) -> tuple:
    """Ten short texts and, as the last one, one that is as long as seven of them."""
    words = [f"word{number}" for number in range(5_000)]
    lengths = [rng.randrange(8_000, 11_000) for _ in range(10)]
    return ([" ".join(rng.choices(words, k=length)) for length in [*lengths, 66_000]],)


def planned(run) -> float:
    """The end of the run if work went with bytes and each task to the first free worker.

    In units of the best there could be, so 1 means that both workers end together.
    """
    puts = {put.id: put.bytes for put in run.puts}
    sizes = [task.bytes_in + sum(puts.get(need, 0) for need in task.needs) for task in run]
    ends = [0] * WORKERS
    for size in sizes:
        ends[ends.index(min(ends))] += size
    return max(ends) * WORKERS / max(1, sum(sizes))


check = Check(
    arguments=texts,
    answer=lambda texts: [len(set(text.split())) for text in texts],
    rules=[
        Rule("tasks", count.task_count, "the texts were not given to tasks, one each.",
             "work that one worker does alone cannot be shared",
             "submit one task for each text", least=11),
        Rule("results fetched early", count.early_gets, "get was called before all were submitted.",
             "each task waited for the one before",
             "collect the references first, and call get once", most=0),
        Rule("end of the plan, 1 is the best", planned,
             "one worker works on the longest text when the other has nothing left.",
             "a run ends with its last task, however early the others end",
             "submit the longest text first, or cut it", most=CLOSE, shown=three_digits),
    ],
    then="One thing to try: three workers. Which task decides now, and would cutting it help?",
    draw=timeline,
)  # fmt: skip

LADDERS = {
    "tasks": Ladder(
        "How many bars do you see in the picture, and how many texts are there?",
        "One task for each text, all submitted before the first result is fetched (notebook 01).",
        "refs = [size_of.remote(page) for page in pages]\nsizes = paralab.get(refs)",
    ),
    "results fetched early": Ladder(
        "What does the second worker do while the first one works?",
        "get stops the driver until one result is there; submit all first (notebook 02).",
        "refs = [size_of.remote(page) for page in pages]\nsizes = paralab.get(refs)",
    ),
    "end of the plan, 1 is the best": Ladder(
        "Look at the right end of the picture. Which lane is empty there, and since when?",
        "A straggler. Tasks start in the order of their submission; if the longest begins last, "
        "all wait for it. Begin with it, and the short ones fill the gap beside it.",
        "order = sorted(range(len(boxes)), key=lambda at: boxes[at].weight, reverse=True)\n"
        "refs = {at: load.remote(boxes[at]) for at in order}  # heavy boxes first",
    ),
    "result": Ladder(
        "In which order did you submit the texts, and in which order are the results expected?",
        "The results belong to the texts in their first order, whatever ran first. Keep the place "
        "of each text beside its reference.",
        "refs = {at: load.remote(boxes[at]) for at in order}\n"
        "loaded = [paralab.get(refs[at]) for at in range(len(boxes))]",
    ),
}
