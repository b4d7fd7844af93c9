"""Sees which jobs the answer calls in its own process, in which threads, and what it sends away.

A job that is pickled arrives as the plain function, so what is called here is known exactly.
"""

import hashlib
import random
import re
import sys
import threading
import time
from collections import Counter

import paralab_profiling.lessons.measures as count
from paralab_profiling.details import byte_count
from paralab_profiling.exercises.calls import Decided, called, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet
from paralab_profiling.lessons.checking import CANNOT_JUDGE, Verdict

ANSWER = "run_all"
BLOB = 4_000_000
SMALL = 1_000_000
"""Bytes; one blob is more, all else that a right answer sends is far less."""
SECONDS = 3.0
"""How long a job waits for another one to begin; a right answer begins all within milliseconds."""


def longest_chain(limit):
    """The number below limit that takes most steps to 1. A loop in Python."""

    def steps(number):
        found = 0
        while number != 1:
            number = number // 2 if number % 2 == 0 else 3 * number + 1
            found += 1
        return found

    return max(range(1, limit), key=steps)


def count_words(text):
    """The three most frequent words. Nearly all of it is C code."""
    return Counter(re.findall(r"\w+", text)).most_common(3)


def fingerprint(data):
    """SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def ask(question):
    """Waits for a server's answer."""
    time.sleep(0.05)
    return question[::-1]


HOLD = {"longest_chain", "count_words"}


class Room:
    """What was called in this process, and how many of the jobs without the GIL at once."""

    def __init__(self):
        self.called, self.most, self._inside = [], 0, 0
        self._caller, self._changed = threading.get_ident(), threading.Condition()

    def enter(self, number, waits):
        with self._changed:
            self.called.append(number)
            if waits:
                self._inside += 1
                self.most = max(self.most, self._inside)
                self._changed.notify_all()
                if threading.get_ident() != self._caller:
                    self._changed.wait_for(lambda: self.most > 1, SECONDS)

    def leave(self, waits):
        with self._changed:
            self._inside -= waits


class Job:
    """A function that notes that it is called here; a plain function wherever it is sent."""

    def __init__(self, room, number, function):
        self._room, self._number, self._function = room, number, function
        self.__name__ = function.__name__

    def __call__(self, argument):
        waits = self.__name__ not in HOLD
        self._room.enter(self._number, waits)
        try:
            return self._function(argument)
        finally:
            self._room.leave(waits)

    def __reduce__(self):
        return _same, (self._function,)


def _same(function):
    return function


def jobs_of(rng):
    """Two jobs of each sort, in any order: (name, function, argument)."""
    words = [f"word{number}" for number in range(300)]
    jobs = [(longest_chain, rng.randrange(800, 1_600)) for _ in range(2)]
    jobs += [(count_words, " ".join(rng.choices(words, k=4_000))) for _ in range(2)]
    jobs += [(fingerprint, rng.randbytes(BLOB)) for _ in range(2)]
    jobs += [(ask, f"question {rng.randrange(10**6)}") for _ in range(2)]
    rng.shuffle(jobs)
    return [(function.__name__, function, argument) for function, argument in jobs]


def most_open(run):
    """The most tasks that were submitted and had not ended."""
    marks = [(task.stamps["submitted"], 1) for task in run]
    marks += [(task.stamps["ended"], -1) for task in run if "ended" in task.stamps]
    open_, most = 0, 0
    for _, change in sorted(marks):
        open_ += change
        most = max(most, open_)
    return most


@decides
def check(answer):
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        rows = [("measured", "threads run Python at the same time"),
                ("next", "check it with an ordinary build of Python")]  # fmt: skip
        return Verdict(CANNOT_JUDGE, "Cannot judge: this Python runs without a GIL.", rows)
    name, room = name_of(answer), Room()
    jobs = jobs_of(random.Random())
    expected = [function(argument) for _, function, argument in jobs]
    given = [(job, Job(room, at, function), argument)
             for at, (job, function, argument) in enumerate(jobs)]  # fmt: skip
    result, run = called(answer, given)
    if not isinstance(result, (list, tuple)) or list(result) != expected:
        raise Decided(not_yet(
            "result",
            f"{name} gave other results.",
            " ".join(repr(result)[:60].split()),
            "a list with the result of each job, in the order of the jobs",
            "a fast wrong answer is no answer",
            "call it with one job, and with two",
        ))  # fmt: skip
    here = [jobs[at][0] for at in room.called]
    away = [job for at, (job, *_) in enumerate(jobs) if at not in room.called]
    held = [job for job in here if job in HOLD]
    if held:
        raise Decided(not_yet(
            "GIL held",
            f"{name} runs jobs that hold the GIL in threads of one process.",
            f"{len(held)} of 4 such jobs ran here: {', '.join(sorted(set(held)))}",
            "0: all four in tasks",
            "a process has one GIL; while one of these jobs has it, all its other threads wait",
            "count the turns that another thread gets meanwhile: 0 means that it waits",
        ))  # fmt: skip
    sent = count.bytes_sent(run) + sum(put.bytes for put in run.puts)
    if "fingerprint" in away:
        raise Decided(not_yet(
            "data sent",
            f"{name} sends data to a task that a thread could have used where it is.",
            f"{byte_count(sent)} sent or put",
            f"{byte_count(SMALL)} or less",
            "threads share all memory; another process has to be given a copy of it first",
            "run fingerprint in a thread: it gives the GIL back while it computes",
        ))  # fmt: skip
    if "ask" in away:
        raise Decided(not_yet(
            "a worker waits",
            f"{name} gives a worker to jobs that only wait.",
            f"{away.count('ask')} calls of ask in tasks",
            "0: in threads",
            "a job that waits needs no processor, but its worker is taken as long as it waits",
            "run ask in a thread",
        ))  # fmt: skip
    ran = [task for task in run if task.ran]
    at_once = most_open(ran)
    if len(ran) < 2 or room.most < 2 or (at_once < 2 and count.early_gets(run)):
        raise Decided(not_yet(
            "one after another",
            f"{name} runs jobs one after another that could run at the same time.",
            f"at the same time: {min(room.most, 4)} in threads, {min(at_once, 4)} in tasks",
            "2 or more of each",
            "where each job waits for the one before, neither threads nor tasks gain anything",
            "submit all tasks first, then start the threads, and fetch the results last",
        ))  # fmt: skip
    return passed(
        f"{name} has each job where it waits for no other.",
        [("jobs in tasks", f"{len(away)} (those that hold the GIL)"),
         ("jobs in threads", f"{len(here)} ({room.most} of them at the same time)"),
         ("sent or put", byte_count(sent))],
        "a job that calls json.dumps on a large list. In which of the two does it belong?",
    )  # fmt: skip


LADDERS = {
    "GIL held": Ladder(
        "For which jobs does the list in the notebook tell 0 turns? Is C code enough to be among "
        "the others?",
        "The GIL lets one thread of a process run Python. Waiting gives it back, and so does some "
        "C code, such as hashlib's; a regular expression or a sort does not. What holds it needs "
        "a process: a task (notebook 01).",
        "@paralab.remote\ndef apply(function, argument):\n    return function(argument)\n\n"
        "refs = [apply.remote(sorted, names) for names in lists]",
    ),
    "data sent": Ladder(
        "How many bytes does a fingerprint need, and how many of them does a thread have to copy?",
        "Threads see the same memory, so a job that gives the GIL back loses nothing in one. Only "
        "what holds the GIL has to pay for a process (notebook 04).",
        "with ThreadPoolExecutor() as pool:\n    packed = list(pool.map(zlib.compress, pages))",
    ),
    "a worker waits": Ladder(
        "How much processor time does a call of ask need? How many tasks can run at once?",
        "A thread that waits costs next to nothing, and hundreds may wait at once. A worker that "
        "waits is one of two.",
        "with ThreadPoolExecutor() as pool:\n    pages = list(pool.map(download, addresses))",
    ),
    "one after another": Ladder(
        "At which line does your function stand still until one result is there? Which jobs had "
        "not been started by then?",
        "Starting is one thing, waiting for the result another. remote and submit start; get and "
        "result wait (notebook 02).",
        "refs = [sort.remote(names) for names in lists]\nwith ThreadPoolExecutor() as pool:\n"
        "    pages = list(pool.map(download, addresses))\nlists = paralab.get(refs)",
    ),
    "result": Ladder(
        "What does your function return for two jobs, one of each sort?",
        "Results come in the order of the jobs, wherever each ran. Keep each job's place beside "
        "what will give its result.",
        "texts = {at: pool.submit(read, page) for at, page in enumerate(pages)}\n"
        "print([texts[at].result() for at in range(len(pages))])",
    ),
}
