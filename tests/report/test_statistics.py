"""Statistics against the sentences of the claims, written out with loops."""

import numpy as np
import pytest
import torch

from lib.probes.every import block_probes, token_probes
from lib.report.claims import load_claims
from lib.report.statistics import (
    attention_statistics,
    early,
    fourier_statistics,
    late,
    object_statistics,
    one_pass_statistics,
    over_blocks,
    probe_statistics,
)

DEPTH, IMAGES, HEADS = 6, 5, 3
EARLY, LATE = [0, 1], [4, 5]  # of six blocks: up to one third, beyond two thirds


@pytest.fixture
def measured():
    """What an encoder of six blocks could have given."""
    names = [*block_probes((7, 7), 4), *token_probes((7, 7))]
    random = torch.Generator().manual_seed(0)
    shape = lambda name: (IMAGES, DEPTH + (name in token_probes((7, 7))), HEADS)
    found = {name: torch.rand(shape(name), generator=random) for name in names}
    return found | {"amplitude, official": found["amplitude, to Nyquist"][..., :-1]}


def mean(measured, name, image, blocks):
    """Mean over blocks and heads, by loops."""
    values = [measured[name][image, b, head].item() for b in blocks for head in range(HEADS)]
    return sum(values) / len(values)


def test_attention_statistics_are_the_sentences_of_the_claims(measured):
    found = attention_statistics(measured, uniform=2.0)
    for i in range(IMAGES):
        of = lambda name, blocks: mean(measured, name, i, blocks)
        mutual = "normalised mutual information"
        grows = of("attention distance", LATE) - of("attention distance", EARLY)
        expected = {
            "B2-same-map": of("query similarity", LATE),
            "B2-local": of("local attention", LATE),
            "B3-distance-late": of("attention distance", LATE) / 2,
            "B3-gap-grows": grows / 2,
            "B4-nmi-late": of(mutual, LATE),
            "B4-collapse": 0.05 - of(mutual, [5]),
        }
        assert {claim: v[i] for claim, v in found.items()} == pytest.approx(expected, abs=1e-6)


def test_fourier_statistics_leave_out_what_enters_the_first_block(measured):
    found = fourier_statistics(measured)
    last = lambda i, depth: measured["amplitude, official"][i, depth, -1].item()
    for i in range(IMAGES):
        everywhere = sum(last(i, d) for d in range(1, DEPTH + 1)) / DEPTH
        assert found["B9-frequency"][i] == pytest.approx(everywhere, abs=1e-6)
        assert found["B9-mim-ends-low"][i] == pytest.approx(last(i, 4) - last(i, 6), abs=1e-6)


def test_every_statistic_is_of_a_claim_with_one_value_an_image(measured):
    found = one_pass_statistics(measured, 1.0)
    assert set(found) <= set(load_claims()) and len(found) == 13
    assert all(v.shape == (IMAGES,) and np.isfinite(v).all() for v in found.values())


def test_attention_on_the_object_is_one_if_uniform_and_weighs_patches_by_their_share():
    masks = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    masks[0, 0, :2, :2] = True  # the first of four patches
    masks[1, 0, :, 1:] = True  # halves of two patches, and two whole ones
    uniform = {"received attention": torch.full((2, 3, 4), 0.25)}
    assert object_statistics(uniform, masks, (2, 2))["B2-object"] == pytest.approx([1, 1])
    on_first = {"received attention": torch.tensor([1.0, 0, 0, 0]).expand(2, 3, 4)}
    assert object_statistics(on_first, masks, (2, 2))["B2-object"] == pytest.approx([4, 0.5 / 0.75])


def test_probe_statistics_by_hand():
    correct = np.zeros((4, DEPTH + 1))
    correct[:, 1], correct[:2, 2], correct[:3, 4], correct[:, 6] = 0, 1, 1, 1
    found = probe_statistics(correct)
    assert found["B10-early"].tolist() == [0.5, 0.5, 0, 0]  # blocks 1 and 2
    assert found["B10-cl-rises"].mean() == 0.25 and found["B10-mim-falls"].mean() == -0.25
    assert found["B10-best"].mean() == 1  # the last block
    assert found["B10-slopes"].mean() == pytest.approx(0.25 - 0.5)


@pytest.mark.parametrize("depth", range(1, 25))
def test_late_and_early_blocks(depth):
    blocks = range(1, depth + 1)
    assert late(depth) == [block - 1 for block in blocks if block / depth > 2 / 3 + 1e-9]
    assert early(depth) == [block - 1 for block in blocks if block / depth <= 1 / 3 + 1e-9]
    assert late(depth)[-1] == depth - 1


@pytest.mark.parametrize("where", [late, early])
def test_over_blocks_averages_heads_and_blocks_of_each_image(where):
    values = torch.randn(4, 8, 3, generator=torch.Generator().manual_seed(0))
    expected = [
        np.mean([values[i, block, head].item() for block in where(8) for head in range(3)])
        for i in range(4)
    ]
    found = over_blocks(values, where)
    assert isinstance(found, np.ndarray) and found.tolist() == pytest.approx(expected, abs=1e-6)
