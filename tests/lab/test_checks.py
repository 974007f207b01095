"""Each check passes the solution, leaves a stub alone, and names the mistake of wrong answers."""

import ast

import pytest
import torch

from lib.lab.check import check, exercises
from lib.lab.exercise import Mistake, Unfilled, verify
from lib.lab.source import MODULES, read_module, stub, tags

SOLUTIONS = {
    ast.parse(cell.source).body[0].name: cell.source
    for name in MODULES
    for cell in read_module(name).cells
    if "solution" in tags(cell)
}
# what a student changes in the solution (old, new), and words that the check must say
WRONG = {
    "patches_only": [
        ("attention[:, :, prefix_tokens:, prefix_tokens:]", "attention", "class token is kept"),
        ("return patches / patches.sum(-1, keepdim=True)", "return patches", "not normalised"),
        ("patches.sum(-1, keepdim=True)", "patches.sum(-2, keepdim=True)", "wrong axis"),
        ("[:, :, prefix_tokens:, prefix_tokens:]", "[:, :, :, prefix_tokens:]", "kept as a query"),
        ("prefix_tokens:, prefix_tokens:", "1:, 1:", "always one token"),
    ],
    "map_of_query": [
        ("attention.mean(0)[query]", "attention.mean(0)[:, query]", "who looks at"),
        ("row * grid[1] + column", "row * grid[0] + column", "row · across"),
        ("row * grid[1] + column", "column * grid[1] + row", "exchanged"),
        ("attention.mean(0)", "attention[0]", "one head"),
        (".reshape(grid)", "", "shape of the grid"),
    ],
    "patch_distances": [
        ("patch_size * differences", "differences", "in patches"),
        (".sum(-1).sqrt()", ".sum(-1)", "squared"),
        ("differences.square().sum(-1).sqrt()", "differences.abs().sum(-1)", "along streets"),
        ('indexing="ij")', 'indexing="xy")', "column by column"),
    ],
    "attention_distance": [
        (".sum(-1).mean(-1)", ".mean(-1).mean(-1)", "mean over keys"),
        (".sum(-1).mean(-1)", ".sum(-1).sum(-1)", "sum over queries"),
        (".sum(-1).mean(-1)", ".sum(-1).mean((1, 2))", "heads are averaged"),
        (".sum(-1).mean(-1)", ".sum(-1)", "queries are not averaged"),
    ],
    "entropy": [
        ("torch.where(p > 0, p, 1)", "p", "log 0"),
        ("-(p", "(p", "minus sign"),
        ("safe.log()", "safe.log2()", "base 2"),
        (".sum(-1)", ".sum(0)", "wrong axis"),
    ],
    "mutual_information": [
        (" / (h_q * h_k).sqrt()", "", "not normalised"),
        (" / (h_q * h_k).sqrt()", " / h_q", "H(q) alone"),
        ("attention.mean(-2)", "attention.mean(-1)", "wrong axis"),
        ("entropy(attention).mean(-1)", "entropy(attention).sum(-1)", "summed over queries"),
    ],
    "uniform_distance": [
        ("patch_distances(grid, patch_size)", "patch_distances(grid, 1)", "in patches"),
        (".mean().item()", ".max().item()", "largest"),
        (".mean().item()", "[0].mean().item()", "corner"),
        ("distances(grid, patch_size).mean()", "distances(grid, patch_size).sum(-1).mean()", "sum over keys"),
    ],
    "bootstrap_interval": [
        ("default_rng(0)", "default_rng(9)", None),  # another generator is right
        ("[0.025, 0.975]", "[0.05, 0.95]", "90 %"),
        ("drawn.mean(axis=1)", "drawn", "not where their mean lies"),
        ("random.integers(len(values), size=(resamples, len(values)))",
         "random.permuted(np.tile(np.arange(len(values)), (resamples, 1)), axis=1)", "with replacement"),
        ("[0.025, 0.975]", "[0.975, 0.025]", "exchanged"),
    ],
    "pool": [
        ("tokens[:, prefix_tokens:].mean(1)", "tokens.mean(1)", "class token is kept"),
        ("[:, prefix_tokens:]", "[:, 1:]", "always one token"),
        (".mean(1)", ".mean(2)", "averaged over the width"),
        ("return tokens[:, 0]", "return tokens[:, -1]", "last token"),
    ],
    "standardise": [
        ("(test - mean) / scale", "(test - test.mean(0)) / test.std(0)", "by themselves"),
        ("train.mean(0), train.std(0)", "train.mean(), train.std()", "one mean"),
        ("torch.where(std > 0, std, 1)", "std", "NaN"),
        ("train.std(0)", "train.var(0)", "variance"),
    ],
    "linear_probe": [
        ("penalty * torch.eye(x.shape[1])", "0", "penalty is missing"),
        ("x = features - features.mean(0)", "x = features", "not centred"),
        ("y.mean(0) - features.mean(0) @ weights", "torch.zeros(classes)", "there is no bias"),
        ("y.mean(0) - features.mean(0) @ weights", "y.mean(0)", "forgets the mean"),
        ("torch.nn.functional.one_hot(labels, classes).float()", "labels[:, None].float()", "one-hot"),
    ],
    "knn_predict": [
        ("normalize(queries, dim=1) @ normalize(bank, dim=1).T", "queries @ bank.T", "without normalising"),
        ("normalize(queries, dim=1) @ normalize(bank, dim=1).T", "-torch.cdist(queries, bank)", "Euclidean"),
        (".topk(k)", ".topk(k, largest=False)", "farthest"),
        (".topk(k)", ".topk(1)", "only the nearest"),
    ],
    "log_amplitude": [
        ("log - log[:, :1]", "log", "not relative"),
        ("(spectrum[:, f, f] + 1e-6).log().mean(-1)", "(spectrum[:, f, f].mean(-1) + 1e-6).log()", "before the logarithm"),
        (".abs()", ".abs() ** 2", "power"),
        (", dim=(1, 2)", "", "wrong axes"),
        ("[:, f, f]", "[:, 0, f]", "diagonal"),
    ],
    "low_pass": [
        ("<= cutoff", "> cutoff", "high frequencies"),
        (".real", "", "complex"),
        ("torch.fft.fft2(images) * keep", "torch.fft.fft2(images) * torch.fft.fftshift(keep)", "the mask is centred"),
        ("(f[:, None] ** 2 + g**2).sqrt() <= cutoff", "(f[:, None].abs() <= cutoff) & (g.abs() <= cutoff)", "square"),
        ("torch.fft.ifft2(torch.fft.fft2(images) * keep)", "(torch.fft.fft2(images) * keep)", "transform it back"),
    ],
    "shuffle_tiles": [
        ("[:, :, order]", "[:, :, order.argsort()]", "place i should get"),
        (".permute(0, 1, 2, 4, 3, 5)\n", "\n", "not permuted back") ,
        ("return mixed.reshape(images.shape)", "return images", "nothing was shuffled"),
        ("return mixed.reshape(images.shape)", "return listed", "put together"),
    ],
    "shape_share": [
        ("(for_shape + for_texture)", "len(predicted)", "all images"),
        ("float(for_shape /", "float(for_texture /", "share of texture"),
        ("(for_shape + for_texture)", "for_texture", "ratio"),
    ],
    "seed_difference": [
        ("ddof=1", "ddof=0", "n − 1"),
        (" / len(first) + second.var(ddof=1) / len(second)", " + second.var(ddof=1)", "spread of single trainings"),
        ("squares**0.5", "squares", "root is missing"),
        ("first.mean() - second.mean()", "second.mean() - first.mean()", "sign is wrong"),
    ],
    "mean_view": [
        ("torch.nn.functional.normalize(representations, dim=-1)", "representations", "not normalised"),
        ("torch.nn.functional.normalize(representations, dim=-1).mean(1)",
         "torch.nn.functional.normalize(representations.mean(1), dim=-1)", "after the mean"),
        (".mean(1)", ".mean(0)", "averaged over images"),
        ("dim=-1", "dim=1", "wrong axis"),
    ],
    "invariance_score": [
        ("* mean_view", "* torch.nn.functional.normalize(mean_view, dim=-1)", "keep its length"),
        ("torch.nn.functional.normalize(representation, dim=-1)", "representation", "not normalised"),
        (".sum(-1)", ".sum(-1).mean()", "keep one score"),
        (".sum(-1)", ".mean(-1)", "dot product sums"),
    ],
    "ssla_step": [
        ("x - x0", "x + x0", "goes up"),
        ("x0 / steps", "x / steps", "moving image"),
        (".sign()", "", "sign alone"),
        (".clamp(0, 1)", "", "not clipped"),
        ("(x - moved)", "x", "gradient times pixel"),
        ("gradient * (x - moved)", "x0 / steps * gradient.abs()", "really moved"),
    ],
    "ssla": [
        ("        score = invariance", ("        views = views_of(x)\n        z = encode(views.flatten(0, 1)).unflatten(0, views.shape[:2])\n"
         "        target = mean_view(z).detach()\n        score = invariance"), "recomputed"),
        (("x = x.detach().requires_grad_()\n        score = invariance_score(encode(x), target)\n"
         "        (gradient,) = torch.autograd.grad(score.sum(), x)"),
         ("clean = x0.clone().requires_grad_()\n        score = invariance_score(encode(clean), target)\n"
         "        (gradient,) = torch.autograd.grad(score.sum(), clean)"), "at the clean image"),
        ("total = total + contribution", "total = contribution", "only the last step"),
        ("return total", "return total / steps", "averaged"),
        ("range(steps)", "range(steps - 1)", "too few"),
    ],
    "completeness_gap": [
        ("attribution.flatten(1).sum(1)", "attribution.sum()", "all images"),
        ("(start - end)", "(end - start)", "exchanged"),
        (".abs()", "", "absolute value"),
        (".sum(1)", ".mean(1)", "pixels are averaged"),
    ],
    "edge_magnitude": [
        ("[across, across.T]", "[across]", "left to right"),
        (".square().sum(1).sqrt()", ".square().sum(1)", "root"),
        (".square().sum(1).sqrt()", ".abs().sum(1)", "absolute changes"),
        (', mode="replicate"', "", "zeros"),
    ],
    "rank_correlation": [
        (".argsort(1).argsort(1).float()", "", "correlation of the values"),
        (".argsort(1).argsort(1)", ".argsort(1)", "apply it twice"),
        ("x.flatten(1)", "x.abs().flatten(1)", "absolute values"),
        ("(r - r.mean(1, keepdim=True) for r in ranks)", "ranks", "subtract their mean"),
    ],
    "protected": [
        (", descending=True", "", "least important"),
        ("rank <", "rank >=", "attacked pixels"),
        ("attribution.flatten(1)", "attribution.abs().flatten(1)", "absolute value"),
        (".argsort(1, descending=True).argsort(1)", ".argsort(1, descending=True)", "apply it twice"),
    ],
    "attack": [
        ("torch.where(attacked, start, clean)", "clean", "clean image"),
        ("x.detach() - step_size", "x.detach() + step_size", "score rises"),
        ("        x = torch.where(attacked, x, clean)\n", "", "put back at the start alone"),
        (".clamp(low, high)", "", "leaves the ball"),
        (".sign()", "", "gradient's size"),
    ],
    "area_between": [
        ("important - unimportant", "unimportant - important", "sign is wrong"),
        ("torch.trapezoid(important - unimportant, rates)", "(important - unimportant).mean(-1)", "mean of the points"),
        (", rates)", ")", "evenly spaced"),
        ("important - unimportant", "important", "first curve alone"),
    ],
}  # fmt: skip


def function_of(name: str, source: str):
    """The function that a cell defines, in a place where the other references are known."""
    import numpy as np

    place = {key: exercise.right for key, exercise in exercises().items()}
    place |= {"np": np, "torch": torch}
    exec(compile(source, name, "exec"), place)  # noqa: S102
    return place[name]


def test_every_exercise_has_a_solution_and_wrong_answers():
    assert set(SOLUTIONS) == set(exercises()) == set(WRONG)
    assert len(SOLUTIONS) >= 24
    for name, wrong in WRONG.items():  # three that are named, not only refused
        assert len([words for *_, words in wrong if words not in (None, "expected")]) >= 3, name


@pytest.mark.parametrize("name", SOLUTIONS)
def test_the_solution_passes(name):
    assert verify(exercises()[name], function_of(name, SOLUTIONS[name])) >= 1


@pytest.mark.parametrize("name", SOLUTIONS)
def test_the_stub_is_recognised(name, capsys):
    empty = function_of(name, stub(SOLUTIONS[name]))
    with pytest.raises(Unfilled):
        verify(exercises()[name], empty)
    assert check(empty) is exercises()[name].right
    assert "not filled in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [(name, *one) for name, wrong in WRONG.items() for one in wrong],
)
def test_a_wrong_answer_is_named(name, old, new, words, capsys):
    assert old in SOLUTIONS[name]
    attempt = function_of(name, SOLUTIONS[name].replace(old, new))
    if words is None:
        assert check(attempt) is attempt
        return
    with pytest.raises(Mistake) as said:
        verify(exercises()[name], attempt)
    assert words in str(said.value)
    assert check(attempt) is exercises()[name].right
    assert str(said.value) in capsys.readouterr().out


@pytest.mark.parametrize("name", exercises())
def test_known_mistakes_are_told_apart(name):
    exercise = exercises()[name]
    for words, mistaken in exercise.mistakes.items():
        with pytest.raises(Mistake):
            verify(exercise, mistaken)
        assert words[0].islower() or words.startswith(("H(", "NaN")), words


def test_what_no_mistake_explains_is_still_said():
    exercise = exercises()["entropy"]
    for attempt, words in (
        (lambda p: p.new_zeros(3), "expected shape (2, 3), got (3,)"),
        (lambda p: -(p * p.log()).sum(-1) + 1, "expected"),
        (lambda p: "text", "expected numbers"),
        (lambda p: p.log_(), "in place"),
        (lambda p: p @ p, "stops with RuntimeError"),
        (lambda p: (p, p), "a tuple of"),
    ):
        with pytest.raises(Mistake) as said:
            verify(exercise, attempt)
        assert words in str(said.value)


def test_a_function_of_another_name_is_refused():
    with pytest.raises(KeyError, match="no exercise asks for 'mine'"):

        def mine(p):
            return p

        check(mine)
