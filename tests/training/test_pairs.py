"""Pairs against their definitions, one pair at a time, for any labels and groups."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from training.pairs import UNKNOWN, across_groups, different_label, same_attribute, same_label

SAMPLES = st.lists(
    st.tuples(st.integers(0, 2), st.integers(UNKNOWN, 2)), min_size=1, max_size=9
).map(lambda rows: torch.tensor(rows).T)


@given(SAMPLES)
def test_label_pairs(samples):
    label, _ = samples
    for i in range(len(label)):
        for j in range(len(label)):
            assert same_label(label).positive[i, j] == (label[i] == label[j])
            assert different_label(label).positive[i, j] == (label[i] != label[j])
    assert same_label(label).candidate.all()
    assert different_label(label).candidate.all()


@given(SAMPLES)
def test_samples_of_an_unknown_group_take_no_part(samples):
    _, group = samples
    pairs = same_attribute(group)
    for i in range(len(group)):
        for j in range(len(group)):
            known = group[i] != UNKNOWN and group[j] != UNKNOWN
            assert pairs.candidate[i, j] == known
            assert pairs.positive[i, j] == (known and group[i] == group[j])


@given(SAMPLES)
def test_across_groups(samples):
    label, group = samples
    pairs, n = across_groups(label, group), len(label)
    for i in range(n):
        known = [group[i] != UNKNOWN and group[j] != UNKNOWN for j in range(n)]
        alike = [bool(label[i] == label[j]) for j in range(n)]
        other = [alike[j] and (not known[j] or group[i] != group[j]) for j in range(n)]
        if not any(other[j] for j in range(n) if j != i):
            other = alike
        for j in range(n):
            pushed = not alike[j] and (not known[j] or group[i] == group[j])
            assert pairs.positive[i, j] == other[j]
            assert pairs.candidate[i, j] == (other[j] or pushed)


@given(SAMPLES)
def test_without_known_groups_labels_alone_decide(samples):
    label, _ = samples
    nobody = torch.full_like(label, UNKNOWN)
    pairs = across_groups(label, nobody)
    assert pairs.positive.equal(same_label(label).positive)
    assert pairs.candidate.all()
    assert not same_attribute(nobody).candidate.any()
