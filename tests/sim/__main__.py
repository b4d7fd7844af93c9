"""``python tests/sim --seeds 0:1000``, and ``--seed N`` to look at one of them."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HASH = "PYTHONHASHSEED"
COLLECT = 20
"""Runs between two collections of garbage: while one runs, none comes by itself."""


def main() -> int:
    """Runs seeds; the exit code is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python tests/sim", description=__doc__)
    parser.add_argument("--seeds", default="0:200", metavar="FIRST:LAST")
    parser.add_argument("--seed", type=int, help="run this one alone and tell its story")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--keep-going", action="store_true", help="do not stop at a failure")
    parser.add_argument("--having", help="only seeds whose programs have this feature")
    parser.add_argument("--mutant", help="break this rule first; see mutants.py")
    options = parser.parse_args()
    if os.environ.get(HASH) != "0":  # or sets would be walked in another order each time
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, HASH: "0"})
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "runtime")]
    from sim import modules
    from sim.mutants_of_features import MUTANTS
    from sim.programs import features_of
    from sim.simulation import Run

    if options.seed is not None:
        first, last = options.seed, options.seed + 1
    else:
        first, last = map(int, options.seeds.split(":"))
    say = print
    failed = 0
    steps = messages = kills = done = 0
    # One thread runs at a time: handing over is cheaper where both are.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    gc.collect()
    gc.freeze()
    gc.disable()
    began = time.perf_counter()
    if options.mutant:
        MUTANTS[options.mutant]()
    with modules.installed():
        for seed in range(first, last):
            if options.having and options.having not in features_of(seed):
                continue
            trace = say if options.seed is not None else None
            try:
                report = Run(seed, trace).run()
            except Exception as error:
                failed += 1
                if options.seed is not None:
                    traceback.print_exc()
                text = f"{type(error).__name__}: {error}"
                say(f"seed {seed} failed: {text[:1500]}")
                say(f"  again, with its story: python tests/sim --seed {seed}", flush=True)
                if not options.keep_going:
                    break
            else:
                steps += report.steps
                messages += report.messages
                kills += report.kills
            done += 1
            if not done % COLLECT:
                gc.collect()
            if time.perf_counter() - began > options.seconds:
                break
    seconds = time.perf_counter() - began
    say(
        f"{done} seeds, {steps} steps, {messages} messages, {kills} deaths, "
        f"{seconds:.1f} s, {done / seconds:.0f} seeds/s, {failed} violations"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
