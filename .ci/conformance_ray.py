"""Runs the conformance tests on Ray itself: is what they expect what Ray does?

    python .ci/conformance_ray.py                     all files of tests/conformance
    python .ci/conformance_ray.py test_tasks.py ...   only these

Each file runs in a process of its own.  If that ends or hangs in the middle of a test, the test
has failed and the rest of its file runs in a next process, so that one crash loses nothing.  At the
end stands what passed, what was skipped and why, and what failed; 0 is returned only if nothing has
failed and something has passed.

The same file is the plugin that reports from inside of pytest: each test when it begins, and each
outcome, as a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
ROOT = HERE.parent.parent
CONFORMANCE = ROOT / "tests" / "conformance"
REPORT = "PARALAB_CONFORMANCE_REPORT"
# A file takes half a minute on two cores; one that takes this long hangs where no timeout reaches.
PATIENCE = 1200.0
# A call of Ray's that hangs does so in C++, where no signal reaches it: a thread ends the process.
TIMEOUT = ("--timeout", "300", "--timeout-method", "thread")
OPTIONS = ("-q", "-p", "no:leak_check", "-p", HERE.stem, "-W", "default", *TIMEOUT)


def tell(**line: Any) -> None:
    with open(os.environ[REPORT], "a", encoding="utf-8") as report:
        report.write(json.dumps(line) + "\n")


def pytest_collection_finish(session: Any) -> None:
    """What will run (pytest's hook)."""
    tell(collected=[item.nodeid for item in session.items])


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins (pytest's hook)."""
    tell(begins=nodeid)


def pytest_runtest_logreport(report: Any) -> None:
    """One of a test's three parts has ended (pytest's hook)."""
    if report.outcome != "passed" or report.when == "call":
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
        tell(test=report.nodeid, outcome=report.outcome, why=why.removeprefix("Skipped: "))


@dataclass
class Outcomes:
    """What became of each test; ``why`` has the reasons of those that did not pass."""

    outcome: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    def add(self, test: str, outcome: str, why: str = "") -> None:
        # A test that passed and could not clean up has failed; nothing makes up for a failure.
        if self.outcome.get(test) != "failed":
            self.outcome[test] = outcome
            self.why[test] = why

    def of(self, outcome: str) -> list[str]:
        return [test for test, found in self.outcome.items() if found == outcome]


def lines_of(report: Path) -> Iterator[dict[str, Any]]:
    for line in report.read_text(encoding="utf-8").splitlines() if report.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:  # the process died while it wrote its last line
            return


def run_once(targets: Sequence[str], report: Path, environment: dict[str, str]) -> str:
    """Run pytest on ``targets`` in a session of its own; how that ended, if not by itself."""
    report.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *OPTIONS, *targets],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        return f"did not end within {PATIENCE:.0f} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode < 0:
        return f"its process ended with {signal.Signals(-process.returncode).name}"
    return f"its process ended with exit code {process.returncode}"


def run_file(path: Path, report: Path, environment: dict[str, str], found: Outcomes) -> None:
    """Run all tests of a file, in as many processes as that takes."""
    targets = [str(path)]
    while targets:
        ended = run_once(targets, report, environment)
        waiting: list[str] = []
        running = None
        for line in lines_of(report):
            if "collected" in line:
                waiting = line["collected"]
            elif "begins" in line:
                running = line["begins"]
                waiting.remove(running)
            else:
                found.add(line["test"], line["outcome"], line["why"])
        if running is None:  # nothing began, so nothing will when it is tried again
            if not ended.endswith("code 5"):  # pytest's own: the file has no test
                found.add(str(path.relative_to(ROOT)), "failed", f"no test of it began; {ended}")
            return
        if running not in found.outcome:
            found.add(running, "failed", f"{ended} while it ran")
        targets = waiting


def summary(found: Outcomes) -> str:
    """What became of the tests, skipped ones by their reason and failed ones one by one."""
    reasons = Counter(found.why[test] for test in found.of("skipped"))
    lines = ["", "Conformance tests on Ray itself"]
    lines += [f"  {len(found.of('passed')):4d} passed", f"  {reasons.total():4d} skipped"]
    lines += [f"       {count:4d} because: {why}" for why, count in reasons.most_common()]
    lines += [f"  {len(found.of('failed')):4d} failed"]
    for test in found.of("failed"):
        last = (found.why[test].strip().splitlines() or [""])[-1]
        lines += [f"         {test}", f"             {last}"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the conformance tests on Ray itself.")
    parser.add_argument("files", nargs="*", help="files of tests/conformance; all if none is named")
    files = [CONFORMANCE / name for name in parser.parse_args().files]
    missing = [each.name for each in files if not each.exists()]
    if missing:
        parser.error(f"there is no {', '.join(missing)} in {CONFORMANCE}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that pytest does not stay behind
    # Ray cancels by SIGINT, which a shell lets what it starts in the background ignore.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    report = ROOT / "build" / "conformance-ray.jsonl"
    report.parent.mkdir(exist_ok=True)
    environment = os.environ | {
        REPORT: str(report),
        "PARALAB_CONFORMANCE": "ray",
        "PYTHONPATH": str(HERE.parent),
        "RAY_ADDRESS": "local",  # never the cluster of somebody else on this machine
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    found = Outcomes()
    for path in files or sorted(CONFORMANCE.glob("test_*.py")):
        print(f"\n{path.relative_to(ROOT)}", flush=True)
        run_file(path, report, environment, found)
    print(summary(found))
    return 0 if found.of("passed") and not found.of("failed") else 1


if __name__ == "__main__":
    sys.exit(main())
