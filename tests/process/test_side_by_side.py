"""A program that is parallel already, and the same one with one line changed: both say the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paralab.util.iter import from_actors, from_items, from_iterators, from_range

ROOT = Path(__file__).parents[2]

SAID = """
def said(call, *args, **kwargs):
    try:
        print(call.__name__, call(*args, **kwargs))
    except Exception as error:
        print(call.__name__, type(error).__name__, *error.args)
"""

POOL = """
from {module} import Pool

def square(x):
    return x * x

def divide(a, b):
    return a / b

def numbers():
    yield 1
    raise LookupError("the source is dry")

if __name__ == "__main__":
    pool = Pool(2)
    said(pool.map, square, range(10), 3)
    said(pool.starmap, divide, [(6, 3), (1, 4)])
    said(pool.starmap, divide, [(6, 3), (1, 0)])
    said(pool.apply, divide, (1,), dict(b=8))
    said(pool.map, square, [])
    said(pool.map, square, ["a"])
    print(list(pool.imap(square, range(5))), sorted(pool.imap_unordered(square, range(5), 2)))
    found = pool.imap(square, numbers())
    said(found.next)
    said(found.next)
    late = pool.map_async(square, [2, 3], callback=print)
    late.wait()
    print(late.ready(), late.successful(), late.get())
    pool.close()
    said(pool.map, square, [1])
    pool.join()
"""

EXECUTOR = """
from concurrent.futures import as_completed, wait
from {module} import {name}

def square(x):
    return x * x

if __name__ == "__main__":
    with {name}(2) as executor:
        futures = [executor.submit(square, x) for x in (1, 2, "a")]
        print(sorted(len(part) for part in wait(futures)))
        print(len(list(as_completed(futures))))
        for future in futures:
            said(future.result)
        print(list(executor.map(square, range(7), chunksize=3)))
    said(executor.submit, square, 1)
"""

JOBLIB = """
from joblib import Parallel, delayed, parallel_config
{register}

def square(x):
    if x == 5:
        raise LookupError("no five")
    return x * x

if __name__ == "__main__":
    with parallel_config("{backend}", n_jobs=2):
        print(Parallel()(delayed(square)(x) for x in range(5)))
        print(list(Parallel(return_as="generator")(delayed(square)(x) for x in range(5))))
        for jobs in (2, 0):
            try:
                Parallel(n_jobs=jobs)(delayed(square)(x) for x in range(8))
            except Exception as error:
                print(type(error).__name__, *error.args)
"""


def printed(folder: Path, text: str) -> str:
    """What a program prints, in an interpreter of its own."""
    file = folder / "program.py"
    file.write_text(text)
    path = os.pathsep.join([str(ROOT / "runtime"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(file)], env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_pool(tmp_path: Path) -> None:
    original, changed = (
        printed(tmp_path, SAID + POOL.format(module=module))
        for module in ("multiprocessing", "paralab.util.multiprocessing")
    )
    assert original.count("\n") == 12
    assert changed == original


@pytest.mark.slow
def test_an_executor(tmp_path: Path) -> None:
    of_python = ("concurrent.futures", "ProcessPoolExecutor")
    ours = ("paralab.util.concurrent", "Executor")
    original, changed = (
        printed(tmp_path, SAID + EXECUTOR.format(module=module, name=name))
        for module, name in (of_python, ours)
    )
    assert original.count("\n") == 7
    assert changed == original


@pytest.mark.slow
def test_joblib(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    register = "from paralab.util.joblib import register_paralab as register; register()"
    original = printed(tmp_path, JOBLIB.format(register="", backend="loky"))
    assert original.count("\n") == 4
    assert printed(tmp_path, JOBLIB.format(register=register, backend="paralab")) == original


@pytest.mark.slow
@pytest.mark.usefixtures("session")
def test_iterators_over_no_shards() -> None:
    for empty in (from_iterators([]), from_actors([]), from_range(4).select_shards([])):
        assert empty.num_shards() == 0
        assert empty.take(3) == list(empty.gather_sync()) == list(empty.gather_async()) == []
    for number in (0, -1):
        with pytest.raises(ValueError, match=f"num_shards must be at least 1, not {number}"):
            from_range(4, number)
        with pytest.raises(ValueError, match=f"num_shards must be at least 1, not {number}"):
            from_items([1], number)
        with pytest.raises(ValueError, match="num_shards must be at least 1"):
            from_range(4).repartition(number)
