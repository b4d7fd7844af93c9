"""Calls ``start`` before a session, in one, and after one that ``.remote()`` has started."""

import paralab
from paralab_profiling.exercises.calls import Decided, call, decides, name_of, passed
from paralab_profiling.exercises.ladders import Ladder, not_yet

ANSWER = "start"
CPUS = None  # the answer starts the session


def sessions_cpus():
    return int(paralab.cluster_resources().get("CPU", 0))


def expect_cpus(name, said, asked, now):
    if said != now:
        raise Decided(not_yet(
            "cpus",
            f"{name}({asked}) tells something else than what runs.",
            f"it returned {said!r}, and the session has {now} CPUs",
            f"{now}",
            "who believes in CPUs that are not there waits for tasks that never start",
            "ask paralab.cluster_resources() after the start",
        ))  # fmt: skip


def started(answer, asked, number):
    """What the answer returns; an error in a session that runs is a mistake of its own kind."""
    if number == 1:
        return call(answer, asked)
    try:
        return answer(asked)
    except Exception as error:
        raise Decided(not_yet(
            "init twice",
            f"{name_of(answer)}({asked}) failed, because a session was running.",
            f"{type(error).__name__}: {str(error).splitlines()[0][:80]}",
            "no error, and the session stays",
            "a cell that starts paralab is run again sooner or later",
            "find out first whether a session runs",
        )) from error  # fmt: skip


def expect_kept(name, ref, value, node):
    lost = node != paralab.nodes()[0]["NodeID"] if paralab.is_initialized() else True
    if not lost:
        try:
            lost = paralab.get(ref, timeout=60) != value
        except paralab.exceptions.ParalabError:
            lost = True
    if lost:
        raise Decided(not_yet(
            "session lost",
            f"{name} ended the session that was running.",
            "an object that was put before cannot be fetched any more",
            "the same session, with everything in it",
            "actors, objects and running tasks of other cells go with their session",
            "leave a session that runs as it is",
        ))  # fmt: skip


@decides
def check(answer):
    name = name_of(answer)
    try:
        said = started(answer, 2, 1)
        if not paralab.is_initialized():
            raise Decided(not_yet(
                "not started",
                f"after {name}(2) no session runs.",
                "paralab.is_initialized() is False",
                "True",
                "the next .remote() would start one by itself, with all CPUs",
                "call paralab.init where nothing runs yet",
            ))  # fmt: skip
        first = sessions_cpus()
        if first != 2:
            raise Decided(not_yet(
                "cpus asked for",
                f"{name}(2) started a session of another size.",
                f"{first} CPUs",
                "2 CPUs, as nothing ran before",
                "the number of CPUs decides how many tasks run at the same time",
                "give init the number: num_cpus=cpus",
            ))  # fmt: skip
        expect_cpus(name, said, 2, first)
        ref, node = paralab.put("of the first cell"), paralab.nodes()[0]["NodeID"]
        said = started(answer, 2, 2)
        expect_kept(name, ref, "of the first cell", node)
        expect_cpus(name, said, 2, sessions_cpus())
        paralab.shutdown()

        @paralab.remote
        def seven():
            return 7

        ref = seven.remote()  # starts a session by itself
        own, node = sessions_cpus(), paralab.nodes()[0]["NodeID"]
        said = started(answer, own + 1, 3)
        expect_kept(name, ref, 7, node)
        expect_cpus(name, said, own + 1, sessions_cpus())
    finally:
        paralab.shutdown()
    rows = [
        ("CPUs of the first session", f"{first} (expected 2)"),
        ("CPUs of the session that .remote() started", f"{own}; {name}({own + 1}) said {said}"),
        ("objects lost", "0 (expected 0)"),
    ]
    return passed(
        f"{name} starts a session once, leaves it alone, and tells its size.",
        rows,
        "what does paralab.init(num_cpus=2, ignore_reinit_error=True) return in a session?",
    )


LADDERS = {
    "init twice": Ladder(
        "What does the error advise? Which of the two pieces of advice would lose something?",
        "init raises if a session runs, so that nobody believes in settings that do not hold. "
        "is_initialized() asks without starting anything.",
        "if not log.is_open():\n    log.open('today.txt')",
    ),
    "session lost": Ladder(
        "Where is the object that another cell had put? Which call ended its session?",
        "A session ends with all that it holds: objects, actors, tasks (notebook 05). A function "
        "that only wants one to run has no reason to end it.",
        "if not log.is_open():  # an open one belongs to somebody else, too\n"
        "    log.open('today.txt')",
    ),
    "cpus": Ladder(
        "Which number do you return: the one that was asked for, or the one that is there?",
        "The session may be an older one, started by another cell or by .remote() itself, which "
        "takes all CPUs. Only the session knows its size.",
        "print(paralab.cluster_resources())  # all that it has\n"
        "print(paralab.available_resources())  # what is free",
    ),
    "cpus asked for": Ladder(
        "How many CPUs does the session have, and where did you say how many it should have?",
        "Without num_cpus a session takes all CPUs that this process may use (notebook 06).",
        "paralab.init(num_cpus=3)",
    ),
    "not started": Ladder(
        "On which way through your function is init called?",
        "If nothing runs, start it. If something runs, leave it.",
        "if not log.is_open():\n    log.open('today.txt')",
    ),
}
