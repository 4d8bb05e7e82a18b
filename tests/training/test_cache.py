"""The memory map of decoded pixels."""

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import Fault, InputError
from training.cache import cache_path, cached_pixels, check_images
from training.cohort import Cohort, CohortSchema
from training.imaging import InputContract

CONTRACT = InputContract(size=8)


class Counted:
    """Loads image ``i`` as all pixels ``i``, and counts."""

    def __init__(self, broken=()):
        self.broken, self.calls, self.lock = broken, 0, threading.Lock()

    def __call__(self, image, contract):
        with self.lock:
            self.calls += 1
        if image in self.broken:
            raise InputError(Fault(image, "the image is truncated", "Copy it again."))
        return np.full((contract.channels, contract.size, contract.size), int(image), np.uint8)


def cohort(load, n=40):
    order = np.random.default_rng(0).permutation(n)
    table = pd.DataFrame({"image": order.astype(str)}, index=[f"s{i}" for i in order])
    schema = CohortSchema.parse(
        {
            "name": "counted",
            "format": "phantom",
            "sample": "s",
            "patient": "p",
            "label": {"column": "l", "classes": {"a": ["a"], "b": ["b"]}},
        },
        "test",
    )
    return Cohort(schema, table, load, "f" * 64)


def test_rows_are_in_table_order(tmp_path):
    made = cohort(Counted())
    pixels = cached_pixels(made, CONTRACT, tmp_path / "new")
    assert isinstance(pixels, np.memmap)
    assert pixels.shape == (40, 3, 8, 8)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[:, 0, 0, 0], made.table["image"].astype(int))


def test_it_is_read_only(tmp_path):
    pixels = cached_pixels(cohort(Counted()), CONTRACT, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


def test_a_second_call_decodes_nothing(tmp_path):
    load, seen = Counted(), []
    first = cached_pixels(cohort(load), CONTRACT, tmp_path)
    second = cached_pixels(cohort(load), CONTRACT, tmp_path, lambda *step: seen.append(step))
    assert load.calls == 40
    assert seen == []
    np.testing.assert_array_equal(first, second)


def test_progress_counts_every_image_in_the_callers_thread(tmp_path):
    seen = []
    cached_pixels(
        cohort(Counted()),
        CONTRACT,
        tmp_path,
        lambda done, total: seen.append((done, total, threading.current_thread())),
    )
    assert seen == [(i, 40, threading.main_thread()) for i in range(1, 41)]


def test_another_cohort_or_contract_has_another_file(tmp_path):
    made = cohort(Counted())
    contracts = [CONTRACT, InputContract(size=9), InputContract(size=8, channels=1),
                 InputContract(size=8, fit="pad")]  # fmt: skip
    paths = {cache_path(made, contract, tmp_path) for contract in contracts}
    paths.add(cache_path(replace(made, fingerprint="e" * 64), CONTRACT, tmp_path))
    assert len(paths) == 5


def test_every_unreadable_image_is_listed_and_nothing_is_left(tmp_path):
    with pytest.raises(InputError) as caught:
        cached_pixels(cohort(Counted(broken={"3", "7", "39"})), CONTRACT, tmp_path)
    assert {fault.where for fault in caught.value.faults} == {"3", "7", "39"}
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_every_image_is_told_once(tmp_path):
    with pytest.raises(InputError) as caught:
        cached_pixels(cohort(Counted(broken=set(map(str, range(40))))), CONTRACT, tmp_path)
    (fault,) = caught.value.faults
    assert fault.where.endswith("and the other 39 images")
    assert fault.found == "the image is truncated"


def test_an_interruption_leaves_nothing(tmp_path):
    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_pixels(cohort(Counted()), CONTRACT, tmp_path, stop)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_with_the_file_and_leaves_nothing(tmp_path):
    # in a process of its own, which a write through a map of a full disk would kill
    program = f"""
import resource, signal
from pathlib import Path
from tests.training.test_cache import CONTRACT, Counted, cohort
from training.cache import cached_pixels

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    cached_pixels(cohort(Counted()), CONTRACT, Path({str(tmp_path)!r}))
except OSError as error:
    print(error.filename)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(cache_path(cohort(Counted()), CONTRACT, tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"text"])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    load = Counted()
    expected = np.array(cached_pixels(cohort(load), CONTRACT, tmp_path))
    cache_path(cohort(load), CONTRACT, tmp_path).write_bytes(damage)
    np.testing.assert_array_equal(cached_pixels(cohort(load), CONTRACT, tmp_path), expected)
    assert load.calls == 80


def test_a_truncated_file_is_made_anew(tmp_path):
    load = Counted()
    cached_pixels(cohort(load), CONTRACT, tmp_path)
    path = cache_path(cohort(load), CONTRACT, tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    assert cached_pixels(cohort(load), CONTRACT, tmp_path).shape == (40, 3, 8, 8)


def test_check_images_asks_for_what_the_model_takes():
    asked, load = [], Counted()

    def recorded(image, contract):
        asked.append(contract)
        return load(image, contract)

    contract = InputContract(size=8, channels=4)
    check_images(cohort(recorded), contract)
    assert asked == [contract] * 40


def test_check_images_reads_all_and_tells_all():
    load, seen = Counted(), []
    check_images(cohort(load), CONTRACT, lambda done, total: seen.append(done))
    assert seen == list(range(1, 41))
    with pytest.raises(InputError) as caught:
        check_images(cohort(Counted(broken={"3", "7"})), CONTRACT)
    assert len(caught.value.faults) == 2
