import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from lib.encoders.knn import knn_accuracy, nearest_neighbours


def clouds(n, classes, seed):
    """Overlapping clouds of points, one a class."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=generator)
    centres = torch.randn(
        classes, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    return (
        centres[labels] + 1.5 * torch.randn(n, 8, generator=generator, dtype=torch.float64),
        labels,
    )


# no ties: one neighbour, or an odd number and two classes
@pytest.mark.parametrize(("k", "classes"), [(1, 5), (5, 2), (21, 2)])
def test_equals_scikit_learn_over_several_chunks(k, classes):
    (bank, bank_labels), (queries, query_labels) = clouds(90, classes, 1), clouds(1100, classes, 2)
    reference = KNeighborsClassifier(k, metric="cosine").fit(bank, bank_labels).predict(queries)
    found = knn_accuracy(bank, bank_labels, queries, query_labels, k)
    assert found.tolist() == (reference == query_labels.numpy()).astype(float).tolist()
    assert 0.2 < found.mean() < 0.95  # neither trivial


def test_looks_at_directions_not_at_lengths():
    bank, labels = torch.tensor([[10.0, 0.0], [0.5, 0.6]]), torch.tensor([0, 1])
    # the other has the larger product
    assert knn_accuracy(
        bank, labels, torch.tensor([[1.0, 1.1]]), torch.tensor([1]), k=1
    ).tolist() == [1.0]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0]])
def test_ties_go_to_the_smaller_label(order):
    bank = torch.tensor([[1.0, 0.1], [1.0, -0.1], [1.0, 0.2], [1.0, -0.2]])[order]
    labels = torch.tensor([4, 2, 2, 4])[order]
    assert (
        knn_accuracy(bank, labels, torch.tensor([[1.0, 0.0]]), torch.tensor([2]), k=4).item() == 1
    )


def test_a_label_that_the_bank_lacks_is_never_right():
    assert knn_accuracy(
        torch.eye(2), torch.tensor([0, 1]), torch.eye(2), torch.tensor([7, 1]), k=1
    ).tolist() == [0, 1]


@pytest.mark.parametrize("k", [0, -1, 4])
def test_refuses_k_outside_the_bank(k):
    with pytest.raises(ValueError, match=f"between 1 and the bank's 3 items, got {k}"):
        knn_accuracy(torch.eye(3), torch.arange(3), torch.eye(3), torch.arange(3), k)


def test_neighbours_are_sorted_by_cosine():
    torch.manual_seed(0)
    bank, queries = torch.randn(30, 4), torch.randn(5, 4)
    similarity = torch.nn.functional.cosine_similarity(queries[:, None], bank[None], dim=2)
    assert torch.equal(
        nearest_neighbours(bank, 7 * queries, 3), similarity.argsort(dim=1, descending=True)[:, :3]
    )
    with pytest.raises(ValueError, match="30 items, got 31"):
        nearest_neighbours(bank, queries, 31)


def test_the_earlier_of_two_copies_is_nearer_whatever_the_rounding():
    bank = torch.nn.functional.normalize(torch.randn(40, 16), dim=1)
    for level in (-9.0, 9.0):
        twice = torch.cat([bank, torch.nextafter(bank, torch.tensor(level))])
        assert nearest_neighbours(twice, bank, 1).flatten().tolist() == list(range(40))
