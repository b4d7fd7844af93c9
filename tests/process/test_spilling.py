"""More in the store than fits: what leaves it comes back whole, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from process_helpers import eventually, interrupted_in, kill, open_files, workers

import paralab
from leak_check import descendants
from paralab.cli import main
from paralab.engine import current
from paralab.exceptions import ObjectLostError, ObjectStoreFullError, OutOfDiskError
from paralab.memory_summary import memory_rows

pytestmark = pytest.mark.slow

MB = 1 << 20
STORE = 32 * MB


@pytest.fixture
def folder(tmp_path: Path, shutdown_after: None) -> Path:
    """Where a session with a store of 32 MB spills to."""
    paralab.init(num_cpus=2, object_store_memory=STORE, object_spilling_directory=tmp_path)
    return tmp_path


def data(seed: int, size: int = 4 * MB) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def digest(array: Any) -> bytes:
    return hashlib.blake2b(array, digest_size=8).digest()


digest_there = paralab.remote(digest)
data_there = paralab.remote(data)


def store() -> dict[str, Any]:
    facts: dict[str, Any] = current().info("store")
    return facts


def is_empty() -> bool:
    facts = store()
    return (facts["used"], facts["objects"], facts["spilled_objects"]) == (0, 0, 0)


@paralab.remote
def parent() -> int:
    return os.getppid()


def test_twice_as_much_as_fits(folder: Path) -> None:
    refs = [paralab.put(data(seed)) for seed in range(16)]
    wanted = [digest(data(seed)) for seed in range(16)]
    facts = store()
    assert facts["objects"] == 16
    eventually(lambda: sum(row.is_spilled for row in memory_rows()) == store()["spilled_objects"])
    assert facts["spilled_bytes"] >= 16 * 4 * MB - STORE
    assert facts["used"] <= STORE
    assert [digest(paralab.get(ref)) for ref in refs] == wanted
    assert paralab.get([digest_there.remote(ref) for ref in refs]) == wanted
    assert [digest(paralab.get(ref)) for ref in reversed(refs)] == wanted[::-1]
    assert store()["restored_total"] > 0
    assert not list(folder.iterdir()), "the files have no names"
    del refs
    eventually(is_empty)


@pytest.mark.slow
def test_results_and_items_that_do_not_fit(folder: Path) -> None:
    refs = [data_there.remote(seed) for seed in range(16)]
    assert [digest(paralab.get(ref)) for ref in refs] == [digest(data(s)) for s in range(16)]

    @paralab.remote
    def several() -> Any:
        yield from (data(seed) for seed in range(16))

    items = list(several.remote())
    assert [digest(paralab.get(item)) for item in items] == [digest(data(s)) for s in range(16)]
    by_value = [digest_there.remote(data(seed)) for seed in range(16)]
    assert paralab.get(by_value) == [digest(data(seed)) for seed in range(16)]
    del refs, items, by_value
    eventually(is_empty)


def test_what_somebody_looks_at_stays_where_it_is(folder: Path) -> None:
    @paralab.remote
    class Looker:
        def look(self, array: Any) -> None:
            self.array = array[MB:]

        def digest(self) -> bytes:
            return digest(self.array)

    mine, theirs = paralab.put(data(0)), paralab.put(data(1))
    array = paralab.get(mine)[MB:]
    looker = Looker.remote()
    paralab.get(looker.look.remote(theirs))
    del mine, theirs
    refs = [paralab.put(data(seed)) for seed in range(2, 12)]
    assert digest(array) == digest(data(0)[MB:])
    assert paralab.get(looker.digest.remote()) == digest(data(1)[MB:])
    assert store()["objects"] == 12
    del array, refs
    paralab.kill(looker)
    eventually(is_empty)


@pytest.mark.slow
def test_many_small_ones(folder: Path) -> None:
    size = 110 << 10
    refs = [paralab.put(data(seed, size)) for seed in range(600)]
    (node,) = {paralab.get(parent.remote())}
    names = open_files(node).values()
    files = [name for name in names if name.startswith(str(folder))]
    assert 1 < len(files) < store()["spilled_objects"] / 10
    for seed, ref in enumerate(refs):
        assert digest(paralab.get(ref)) == digest(data(seed, size))
    del ref, refs
    eventually(is_empty)


def test_what_is_larger_than_the_store_is_refused_at_once(folder: Path) -> None:
    kept = paralab.put(data(0))
    with pytest.raises(
        ObjectStoreFullError, match=r"33,55\d,\d+ bytes .*, whose capacity is 33,554,432"
    ):
        paralab.put(data(1, STORE))
    assert store()["spilled_objects"] == 0
    assert digest(paralab.get(kept)) == digest(data(0))


@pytest.mark.slow
def test_when_all_is_looked_at_the_error_says_by_whom(folder: Path) -> None:
    refs = [paralab.put(data(seed)) for seed in range(7)]
    arrays = paralab.get(refs)
    with pytest.raises(ObjectStoreFullError, match=f"process {os.getpid()} 29,.* bytes"):
        paralab.put(data(9, 8 * MB))
    del arrays
    assert paralab.get(paralab.put(data(9, 8 * MB)))[0] == data(9, 8 * MB)[0]


def test_the_death_of_a_looker_makes_room(folder: Path) -> None:
    @paralab.remote
    class Looker:
        def look(self, *arrays: Any) -> int:
            self.arrays = arrays
            return os.getpid()

    looker = Looker.remote()
    refs = [paralab.put(data(seed)) for seed in range(7)]
    pid = paralab.get(looker.look.remote(*refs))

    @paralab.remote
    def puts() -> int:
        return len(paralab.get(paralab.put(data(9, 8 * MB))))

    waiting = puts.remote()
    assert paralab.wait([waiting], timeout=0.3)[0] == []
    os.kill(pid, signal.SIGKILL)
    assert paralab.get(waiting, timeout=60) == 8 * MB
    assert [digest(paralab.get(ref)) for ref in refs] == [digest(data(s)) for s in range(7)]


def test_an_interrupted_wait_for_room_leaves_nothing(folder: Path) -> None:
    refs = [paralab.put(data(seed)) for seed in range(7)]
    arrays = paralab.get(refs)
    more = data(9, 8 * MB)
    with pytest.raises(KeyboardInterrupt), interrupted_in("ask"):
        paralab.put(more)
    del arrays
    assert digest(paralab.get(paralab.put(data(9, 8 * MB)))) == digest(data(9, 8 * MB))
    del refs
    eventually(is_empty)


def put_until_it_fails(refs: list[Any], error: type[BaseException]) -> str:
    """Puts arrays whose seeds are their places in ``refs``."""
    with pytest.raises(error) as caught:
        refs.extend(paralab.put(data(seed)) for seed in range(len(refs), 40))
    said = str(caught.value)
    del caught  # whose traceback knows the refs
    return said


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 20 MB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "paralab-test", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        paralab.shutdown()
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, shutdown_after: None) -> None:
    with small_disk(tmp_path):
        paralab.init(num_cpus=2, object_store_memory=STORE, object_spilling_directory=tmp_path)
        refs: list[Any] = []
        said = put_until_it_fails(refs, OutOfDiskError)
        assert f"spilled to {tmp_path}: No space left" in said
        assert len(refs) * 4 * MB > STORE
        with pytest.raises(OutOfDiskError, match="No space left"):
            paralab.get(data_there.remote(99))
        for seed, ref in enumerate(refs[:7]):
            assert digest(paralab.get(ref)) == digest(data(seed))
        del refs[:4]
        more = paralab.put(data(99))
        for seed, ref in enumerate(refs, 4):
            assert digest(paralab.get(ref)) == digest(data(seed))
        assert digest(paralab.get(more)) == digest(data(99))
        del refs, ref, more
        eventually(is_empty)


def test_a_file_that_may_not_grow_is_a_full_disk(folder: Path) -> None:
    node = paralab.get(parent.remote())
    _soft, hard = resource.prlimit(node, resource.RLIMIT_FSIZE)
    resource.prlimit(node, resource.RLIMIT_FSIZE, (MB, hard))
    refs = [paralab.put(data(seed)) for seed in range(7)]
    with pytest.raises(OutOfDiskError, match=f"spilled to {folder}: File too large"):
        paralab.put(data(8, 8 * MB))
    assert [digest(paralab.get(ref)) for ref in refs] == [digest(data(s)) for s in range(7)]
    resource.prlimit(node, resource.RLIMIT_FSIZE, (hard, hard))
    refs += [paralab.put(data(seed)) for seed in range(7, 12)]
    assert [digest(paralab.get(ref)) for ref in refs] == [digest(data(s)) for s in range(12)]


def truncate_a_file(folder: Path) -> None:
    """One of the spill files loses its contents."""
    node = paralab.get(parent.remote())
    files = open_files(node)
    os.truncate(next(path for path in files if files[path].startswith(str(folder))), 0)


def found(ref: Any) -> Any:
    """The hash of an array, or why it has none."""
    try:
        return digest(paralab.get(ref))
    except ObjectLostError as error:
        return str(error.__context__ or error)


def test_a_file_that_lost_its_bytes_is_said_of_its_objects_only(folder: Path) -> None:
    refs = [paralab.put(data(seed)) for seed in range(16)]
    truncate_a_file(folder)
    wrong = [got for seed, ref in enumerate(refs) if (got := found(ref)) != digest(data(seed))]
    assert len(wrong) == 1
    assert f"It was spilled to {folder}, and cannot be read back: it ends after 0" in wrong[0]
    assert sum(found(ref) == digest(data(seed)) for seed, ref in enumerate(refs)) == 15
    del refs
    eventually(is_empty)


@pytest.mark.slow
def test_what_was_in_a_lost_file_is_made_again_by_its_task(folder: Path) -> None:
    refs = [data_there.remote(seed) for seed in range(16)]
    paralab.wait(refs, num_returns=16)
    truncate_a_file(folder)
    assert [digest(paralab.get(ref)) for ref in refs] == [digest(data(s)) for s in range(16)]
    eventually(lambda: store()["spilled_objects"])
    truncate_a_file(folder)
    there = paralab.get([digest_there.remote(ref) for ref in refs])
    assert there == [digest(data(seed)) for seed in range(16)]
    del refs
    eventually(is_empty)


def test_the_folder_may_go_while_the_files_are_used(folder: Path) -> None:
    refs = [paralab.put(data(seed)) for seed in range(10)]
    folder.rename(folder.with_name("moved"))
    said = put_until_it_fails(refs, ObjectStoreFullError)
    assert f"spilled to {folder}: No such file" in said
    folder.with_name("moved").rename(folder)
    for seed, ref in enumerate(refs):
        assert digest(paralab.get(ref)) == digest(data(seed))


def test_rays_way_to_name_several_folders(tmp_path: Path, shutdown_after: None) -> None:
    folders = [str(tmp_path / name) for name in "ab"]
    config = json.dumps({"type": "filesystem", "params": {"directory_path": folders}})
    paralab.init(
        num_cpus=1,
        object_store_memory=STORE,
        _system_config={"object_spilling_config": config},
    )
    refs = [paralab.put(data(seed)) for seed in range(16)]
    node = paralab.get(parent.remote())
    names = open_files(node).values()
    assert all(any(name.startswith(folder) for name in names) for folder in folders)
    assert digest(paralab.get(refs[0])) == digest(data(0))


def test_the_driver_is_told(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refs = [paralab.put(data(seed)) for seed in range(16)]
    told = ""

    def is_told() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return "spilled" in told

    eventually(is_told)
    assert f"MiB are full; 1 object in {folder}." in told
    assert len(refs) == 16


@paralab.remote(max_retries=-1)
def mixed(a: Any, b: Any) -> Any:
    return a ^ b


def compute_while_one_is_killed(after: int) -> None:
    make, check = (f.options(max_retries=-1) for f in (data_there, digest_there))
    leaves = [make.remote(seed, 2 * MB) for seed in range(12)]
    leaves += [paralab.put(data(seed, 2 * MB)) for seed in range(12, 24)]
    pairs = [mixed.remote(leaves[seed], leaves[-1 - seed]) for seed in range(12)]
    checks = [check.remote(pair) for pair in pairs]
    paralab.wait(checks, num_returns=after)
    for worker in workers()[:1]:
        kill(worker["pid"])
    wanted = [digest(data(seed, 2 * MB) ^ data(23 - seed, 2 * MB)) for seed in range(12)]
    assert paralab.get(checks) == wanted
    assert [digest(paralab.get(pair)) for pair in pairs] == wanted


@pytest.mark.slow
def test_workers_are_killed_while_it_spills(folder: Path) -> None:
    for after in (1, 2, 3):
        compute_while_one_is_killed(after)
    assert store()["spilled_total"] > 0
    eventually(is_empty)


def test_the_command_line_tries_the_folder_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = ["start", "--head", "--object-spilling-directory", str(tmp_path / "file")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 2
    assert "expected a folder" in done.output


def test_a_folder_in_which_one_may_not_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    uid = os.geteuid()
    os.seteuid(uid or 65534)
    try:
        with pytest.raises(ValueError, match=r"expected a folder .*: Permission denied"):
            paralab.init(object_spilling_directory=tmp_path / "new")
    finally:
        os.seteuid(uid)


def test_nothing_is_left_when_all_are_killed_while_it_spills(folder: Path) -> None:
    refs = [paralab.put(data(seed)) for seed in range(16)]
    node = paralab.get(parent.remote())
    waits = data_there.remote(1, 8 * MB)
    for pid in {node, *descendants(node)}:
        kill(pid)
    with pytest.raises(paralab.exceptions.LocalNodeDied):
        paralab.get(waits)
    assert not list(folder.iterdir())
    assert len(refs) == 16
