"""Programs with a known mistake, as learners write them, and what a check must say of each.

By notebook: cells that are run at its end, and the first line of what they show.
"""

from __future__ import annotations

IN_THIS_PROCESS = """
def collect(texts):
    return sorted(word for text in texts for word in text.split() if len(word) > 5)
exercise(collect)
"""

PRINTS_IT = """
@paralab.remote
def long_words(text):
    print([word for word in text.split() if len(word) > 5])
def collect(texts):
    return sorted(paralab.get([long_words.remote(text) for text in texts]))
exercise(collect)
"""

FORGETS_GET = """
def collect(texts):
    return [long_words_of.remote(text) for text in texts]
exercise(collect)
"""

WRONG: dict[str, list[tuple[str, str]]] = {
    "00_before_you_start": [
        (IN_THIS_PROCESS, "Not yet, collect: the texts were not given to tasks, one each."),
        (PRINTS_IT, "Not yet, collect: the tasks kept what they had found."),
        (FORGETS_GET, "Not yet: collect(...) gave a reference, and no value."),
    ],
}
