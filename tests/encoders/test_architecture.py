import math

import pytest
import torch

from lib.encoders.architecture import (
    STEM_VIT,
    WIDTHS,
    ConvolutionalStem,
    build,
    build_vit,
    sincos_positions,
    vit_arguments,
)


@pytest.mark.parametrize(("grid", "width"), [((1, 1), 4), ((3, 5), 8), ((7, 7), 48)])
def test_positions_equal_loops(grid, width):
    expected = []
    for row in range(grid[0]):
        for column in range(grid[1]):
            omegas = [10_000 ** (-4 * i / width) for i in range(width // 4)]
            expected.append(
                [
                    wave(at * omega)
                    for at in (column, row)
                    for wave in (math.sin, math.cos)
                    for omega in omegas
                ]
            )
    assert torch.allclose(sincos_positions(grid, width), torch.tensor(expected), atol=1e-6)


def test_positions_are_the_official_ones_up_to_the_order_of_the_halves():
    # build_2d_sincos_position_embedding of github.com/facebookresearch/moco-v3, commit c349e6e,
    # vits.py, run for a grid of 2 × 2 and width 8; its meshgrid lets the first half of the width
    # follow the rows, here the second half does
    s, c, t, d = 0.84147096, 0.54030234, 0.00999983, 0.99995000
    official = torch.tensor(
        [
            [0, 0, 1, 1, 0, 0, 1, 1],
            [0, 0, 1, 1, s, t, c, d],
            [s, t, c, d, 0, 0, 1, 1],
            [s, t, c, d, s, t, c, d],
        ]
    )
    assert torch.allclose(sincos_positions((2, 2), 8), official.roll(4, 1), atol=1e-6)


def test_refuses_a_width_that_four_does_not_divide():
    with pytest.raises(ValueError, match="that 4 divides, got 6"):
        sincos_positions((2, 2), 6)


@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes(size, channels):
    vit = build_vit(vit_arguments(size, channels)).eval()
    assert (
        vit.embed_dim,
        len(vit.blocks),
        vit.blocks[0].attn.num_heads,
        vit.patch_embed.grid_size,
    ) == ({"ti": 48, "s": 96, "b": 144}[size], 8, 3, (7, 7))
    assert vit(torch.zeros(1, channels, 28, 28)).shape == (1, vit.embed_dim)


def test_refuses_an_unknown_size():
    with pytest.raises(ValueError, match=r"one of \['b', 's', 'ti'\], got 'xl'"):
        vit_arguments("xl")


def test_positions_of_a_vit_are_fixed_and_the_class_token_has_none():
    vit = build_vit(vit_arguments("ti"))
    assert not vit.pos_embed.requires_grad and vit.cls_token.requires_grad
    assert vit.pos_embed[0, 0].abs().sum() == 0
    assert torch.equal(vit.pos_embed[0, 1:], sincos_positions((7, 7), 48))


def test_a_convolutional_stem_makes_one_token_a_patch_and_keeps_the_rest_of_the_model():
    vit = build(STEM_VIT, vit_arguments("s", 3, 64, 8)).eval()
    assert (
        vit.patch_embed.grid_size == (8, 8)
        and vit.patch_embed.patch_size == (8, 8)
        and vit.patch_embed.proj.in_channels == 3
    )
    assert vit.forward_features(torch.zeros(2, 3, 64, 64)).shape == (2, 65, 96)
    assert vit.forward_features(torch.zeros(1, 3, 128, 96)).shape == (
        1,
        1 + 16 * 12,
        96,
    )  # positions are interpolated
    assert torch.equal(vit.pos_embed[0, 1:], sincos_positions((8, 8), 96))


def test_a_token_of_the_stem_sees_its_patch_and_less_than_a_patch_above_and_left():
    stem = ConvolutionalStem(img_size=32, patch_size=8, in_chans=1, embed_dim=16, flatten=False)
    for parameter in stem.parameters():
        parameter.data.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 1, 32, 32, requires_grad=True)
    stem(x)[0, :, 2, 1].sum().backward()
    rows, columns = (x.grad[0, 0].abs().sum(axis).nonzero().flatten() for axis in (1, 0))
    assert (rows.min(), rows.max()) == (16 - 7, 23) and (columns.min(), columns.max()) == (
        8 - 7,
        15,
    )


def test_a_convolutional_stem_refuses_a_patch_that_is_no_power_of_two():
    with pytest.raises(ValueError, match="halves the side again and again, got a patch of 6 px"):
        ConvolutionalStem(img_size=24, patch_size=6, in_chans=1, embed_dim=16)
