"""Nearest-neighbour accuracy of representations."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.encoders.device import double


def nearest_neighbours(bank: Tensor, queries: Tensor, k: int) -> Tensor:
    """Indices ``(n, k)`` of the k bank items ``(m, features)`` most cosine-similar to each query
    ``(n, features)``, the nearest first.

    Cosines are compared to six decimals, the precision of features in single precision; of those
    that agree, such as two copies of an image, the earlier item is nearer.

    Raises:
        ValueError: k outside 1 … m.
    """
    if not 1 <= k <= len(bank):
        raise ValueError(f"k is between 1 and the bank's {len(bank)} items, got {k}")
    bank = F.normalize(double(bank), dim=1)
    earlier = torch.arange(len(bank) - 1, -1, -1, device=bank.device)
    found = []
    for chunk in double(queries).split(1024):
        cosine = F.normalize(chunk, dim=1) @ bank.T
        distinct = (cosine * 1e6).round().long() * len(bank) + earlier  # no two are equal
        found.append(distinct.topk(k, dim=1).indices)
    return torch.cat(found).to(queries.device)


def knn_accuracy(
    bank: Tensor, bank_labels: Tensor, queries: Tensor, query_labels: Tensor, k: int = 20
) -> Tensor:
    """Is the majority label among the k most cosine-similar bank items the query's label?

    Args:
        bank: ``(m, features)`` with labels ``(m,)``.
        queries: ``(n, features)`` with labels ``(n,)``.
        k: neighbours, at most m; ties go to the smaller label.

    Returns:
        ``(n,)`` float, 1 where right, so that the caller can form means and intervals over images.

    >>> knn_accuracy(torch.eye(2), torch.tensor([0, 1]), torch.eye(2), torch.tensor([0, 0]), k=1).tolist()
    [1.0, 0.0]
    """
    votes = F.one_hot(
        bank_labels[nearest_neighbours(bank, queries, k)], int(bank_labels.max()) + 1
    ).sum(1)
    return (votes.argmax(1) == query_labels).float()
