"""Which samples of a batch a contrastive loss pulls together, and which it pushes apart."""

from typing import NamedTuple

import torch
from torch import Tensor

#: Code of an attribute that is not known.
UNKNOWN = -1


class Pairs(NamedTuple):
    """What each sample, as an anchor, is compared with.

    Attributes:
        positive: Whether sample j is pulled to anchor i, ``[batch, batch]`` bool. Its diagonal
            is not read.
        candidate: Whether j is compared with i at all, ``[batch, batch]`` bool; positives are.
            Candidates that are not positives are pushed away.
    """

    positive: Tensor
    candidate: Tensor


def same_label(label: Tensor) -> Pairs:
    """Samples of one label are positives of each other, among all of the batch.

    >>> same_label(torch.tensor([0, 0, 1])).positive[0]
    tensor([ True,  True, False])
    """
    positive = label[:, None] == label[None]
    return Pairs(positive, torch.ones_like(positive))


def different_label(label: Tensor) -> Pairs:
    """The same with the pairs switched: samples of other labels are positives.

    >>> different_label(torch.tensor([0, 0, 1])).positive[0]
    tensor([False, False,  True])
    """
    positive = label[:, None] != label[None]
    return Pairs(positive, torch.ones_like(positive))


def same_attribute(attribute: Tensor) -> Pairs:
    """Samples of one group are positives; those of an unknown group take no part.

    >>> pairs = same_attribute(torch.tensor([0, 0, 1, UNKNOWN]))
    >>> pairs.positive[0], pairs.candidate[0]
    (tensor([ True,  True, False, False]), tensor([ True,  True,  True, False]))
    """
    known = attribute != UNKNOWN
    both = known[:, None] & known[None]
    return Pairs(both & (attribute[:, None] == attribute[None]), both)


def across_groups(label: Tensor, attribute: Tensor) -> Pairs:
    """Positives have the same label and another group, the rest another label and one group.

    An attribute cannot help with such pairs: those that are pulled together differ in it, and
    those that are pushed apart share it (the domain-wise negatives of Kahana and Hoshen, 2022,
    arXiv:2203.11284, here within a contrast of labels). Where the group of either sample is not
    known, the pair is judged by label alone. A sample whose label has no other group in the
    batch has the positives of its own group, or it would teach nothing.

    Args:
        label: ``[batch]`` int64.
        attribute: Code of the group, ``[batch]`` int64, -1 where it is not known.

    Examples:
        >>> pairs = across_groups(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 0]))
        >>> pairs.positive[0], pairs.candidate[0]
        (tensor([False, False,  True, False]), tensor([False, False,  True,  True]))
    """
    alike = label[:, None] == label[None]
    known = attribute != UNKNOWN
    unknown = ~(known[:, None] & known[None])
    group = attribute[:, None] == attribute[None]
    positive = alike & (~group | unknown)
    itself = torch.eye(len(label), dtype=torch.bool, device=label.device)
    alone = ~(positive & ~itself).any(dim=1, keepdim=True)
    positive = positive | (alike & alone)
    return Pairs(positive, positive | (~alike & (group | unknown)))
