"""Rows in batches, and how images are gathered."""

import numpy as np
import pytest
import torch

from training import loader
from training.loader import batches, epoch_seed, from_pixels, read_batches

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 3, 4, 4)).astype(np.uint8)
LABEL, GROUPS = torch.arange(9) * 10, torch.arange(18).reshape(2, 9)


def read_all(rows, size, **options):
    read = from_pixels(PIXELS, CPU)
    return list(read_batches(read, rows, LABEL, GROUPS, size, **options))


def test_images_labels_and_groups_are_those_of_the_rows():
    rows = np.array([7, 0, 3, 3, 8])
    found = read_all(rows, 2)
    assert [len(batch.label) for batch in found] == [2, 2, 1]
    image = torch.cat([batch.image for batch in found])
    np.testing.assert_array_equal(image, PIXELS[rows] / np.float32(255))
    assert torch.cat([batch.label for batch in found]).tolist() == (10 * rows).tolist()
    assert torch.cat([batch.groups for batch in found], dim=1).equal(GROUPS[:, rows])


@pytest.mark.parametrize("shape", [(9, 3, 4, 4), (9, 1, 3, 3, 3)])
def test_pixels_kept_on_the_device_are_the_same(tmp_path, monkeypatch, shape):
    """As a GPU with room for all of them has it; here in blocks, from a read-only map."""
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.save(tmp_path / "p.npy", pixels)
    mapped, rows = np.load(tmp_path / "p.npy", mmap_mode="r"), np.array([8, 0, 0])
    gathered = from_pixels(mapped, CPU)(rows)
    monkeypatch.setattr(loader, "_fits", lambda pixels, device: True)
    monkeypatch.setattr(loader, "_BLOCK", 4)
    kept = from_pixels(mapped, CPU)(rows)
    assert kept.equal(gathered)
    assert kept.stride() == gathered.stride()


def test_a_single_last_row_is_dropped_if_asked():
    assert len(read_all(np.arange(9), 4)) == 3
    assert len(read_all(np.arange(9), 4, drop_single=True)) == 2


def test_what_varies_images_is_told_their_part_of_the_epoch():
    seen = []

    def vary(image, part):
        seen.append((part.start, part.stop))
        return image + 1

    found = read_all(np.arange(5), 2, vary=vary)
    assert seen == [(0, 2), (2, 4), (4, 5)]
    assert all((batch.image >= 1).all() for batch in found)


@pytest.mark.parametrize("axes", [2, 3])
def test_images_are_laid_out_as_convolutions_like_them(axes):
    pixels = np.zeros((2, 3, *[4] * axes), np.uint8)
    image = from_pixels(pixels, CPU)(np.arange(2))
    assert image.dtype == torch.float32
    if axes == 2:
        assert image.is_contiguous(memory_format=torch.channels_last)


def test_no_rows_are_no_batches():
    assert batches(np.arange(0), 4) == []


def test_seeds_differ_and_are_the_same_in_every_process():
    assert epoch_seed(0, "classifier", 1) == 278470963263712488
    assert len({epoch_seed(seed, stage, 1) for seed in range(9) for stage in "ab"}) == 18
