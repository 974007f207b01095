"""Nearest-neighbour accuracy of representations."""

import torch
import torch.nn.functional as F
from torch import Tensor


def knn_accuracy(bank: Tensor, bank_labels: Tensor, queries: Tensor, query_labels: Tensor, k: int = 20) -> Tensor:
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
    if not 1 <= k <= len(bank):
        raise ValueError(f"k is between 1 and the bank's {len(bank)} items, got {k}")
    bank, classes = F.normalize(bank, dim=1), int(bank_labels.max()) + 1
    right = []
    for chunk, labels in zip(queries.split(1024), query_labels.split(1024), strict=True):
        nearest = (F.normalize(chunk, dim=1) @ bank.T).topk(k, dim=1).indices
        votes = F.one_hot(bank_labels[nearest], classes).sum(1)
        right.append((votes.argmax(1) == labels).float())
    return torch.cat(right)
