import pytest
import timm
import torch

from lib.encoders.architecture import vit_arguments
from lib.encoders.encoder import Encoder

LAYOUTS = {
    "class token": (dict(), "class_token"),
    "mean": (dict(), "patch_mean"),
    "registers": (dict(reg_tokens=4), "patch_mean"),
    "no class token": (dict(class_token=False, global_pool="avg", fc_norm=False), "patch_mean"),
}
on_every_layout = pytest.mark.parametrize(("arguments", "pooling"), LAYOUTS.values(), ids=LAYOUTS)


def hooks(model):
    """How many hooks hang on the model."""
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()
    )


def fused(model):
    """Each block's fused setting."""
    return [block.attn.fused_attn for block in model.blocks]


def observe(encoder, images):
    blocks = []
    return blocks, encoder.observe(images, blocks.append)


@on_every_layout
def test_representation_is_the_pooled_normalised_output_of_timm(
    make_vit, images, arguments, pooling
):
    vit = make_vit(**arguments)
    tokens = vit.eval().forward_features((images - 0.3) / 0.35)
    prefix = tokens.shape[1] - 49
    expected = (
        tokens[:, 0]
        if pooling == "class_token"
        else sum(tokens[:, prefix + i] for i in range(49)) / 49
    )
    encoder = Encoder(vit.train(), [0.3], [0.35], pooling)
    assert torch.allclose(encoder(images), expected, atol=1e-5)
    assert encoder.prefix_tokens == prefix and encoder.depth == 2 and encoder.patch_size == 4
    assert torch.allclose(encoder.representations(images, batch_size=2), expected, atol=1e-5)


def test_dropout_and_paths_are_off(make_vit, images):
    encoder = Encoder(
        make_vit(drop_path_rate=0.5, attn_drop_rate=0.5, proj_drop_rate=0.5),
        [0.3],
        [0.35],
        "class_token",
    )
    assert torch.equal(encoder(images), encoder(images))


def test_channels_are_normalised_each_with_its_own_mean_and_deviation(make_vit):
    encoder = Encoder(make_vit(in_chans=3), [0.1, 0.2, 0.3], [0.5, 0.25, 2.0], "class_token")
    found = encoder.normalise(torch.full((1, 3, 2, 2), 0.5))
    assert torch.allclose(found[0, :, 0, 0], torch.tensor([0.8, 1.2, 0.1]))


def test_a_grey_image_is_repeated_for_a_colour_model(make_vit, images):
    encoder = Encoder(make_vit(in_chans=3), [0.1, 0.2, 0.3], [0.5, 0.25, 2.0], "class_token")
    assert torch.equal(encoder(images), encoder(images.repeat(1, 3, 1, 1)))


@on_every_layout
def test_observe_yields_each_block_once_in_order(make_vit, images, arguments, pooling):
    encoder = Encoder(make_vit(depth=3, **arguments), [0.3], [0.35], pooling)
    blocks, representation = observe(encoder, images)
    assert [block.index for block in blocks] == [1, 2, 3]
    tokens = 49 + encoder.prefix_tokens
    for block in blocks:
        assert block.tokens_in.shape == block.tokens_out.shape == (5, tokens, 24)
        assert block.attention.shape == (5, 3, tokens, tokens)
        assert torch.allclose(block.attention.sum(-1), torch.ones(()), atol=1e-5)
    for before, after in zip(blocks, blocks[1:], strict=False):
        assert torch.equal(before.tokens_out, after.tokens_in)

    model, x = encoder.model, encoder.normalise(images)
    assert torch.allclose(blocks[0].tokens_in, model._pos_embed(model.patch_embed(x)), atol=1e-6)
    last = model.norm(blocks[-1].tokens_out)
    assert torch.allclose(
        last[:, 0] if pooling == "class_token" else last[:, -49:].mean(1), representation, atol=1e-6
    )


def test_attention_is_the_softmax_of_queries_times_keys(encoder, images):
    for block in observe(encoder, images)[0]:
        module = encoder.model.blocks[block.index - 1]
        x = module.norm1(block.tokens_in)
        weight, bias = module.attn.qkv.weight, module.attn.qkv.bias
        # rows of the weight: queries of every head, then keys, then values; 8 a head
        for head in range(3):
            q, k = (
                x @ weight[at : at + 8].T + bias[at : at + 8] for at in (8 * head, 24 + 8 * head)
            )
            expected = (q @ k.transpose(1, 2) / 8**0.5).softmax(-1)
            assert torch.allclose(block.attention[:, head], expected, atol=1e-5), (
                block.index,
                head,
            )
        assert block.attention.std() > 0.01  # not flat, or any map would do


def test_the_parts_of_a_block_add_up(encoder, images):
    for block in observe(encoder, images)[0]:
        module = encoder.model.blocks[block.index - 1]
        values = module.attn.qkv(module.norm1(block.tokens_in))[..., 48:].unflatten(-1, (3, 8))
        for head in range(3):
            assert torch.allclose(
                block.head_outputs[:, head],
                block.attention[:, head] @ values[:, :, head],
                atol=1e-5,
            )
        assert torch.allclose(
            block.tokens_attended - block.tokens_in,
            module.attn(module.norm1(block.tokens_in)),
            atol=1e-5,
        )
        assert torch.allclose(
            block.tokens_out - block.tokens_attended,
            module.mlp(module.norm2(block.tokens_attended)),
            atol=1e-5,
        )
        assert block.prefix_tokens == 1


def test_observing_does_not_change_the_representation(encoder, images):
    for block in encoder.model.blocks:
        block.attn.fused_attn = True
    plain = encoder(images)
    assert torch.allclose(observe(encoder, images)[1], plain, atol=1e-5)
    assert torch.equal(encoder(images), plain)


@pytest.mark.parametrize("fails_at", [None, 1, 2])
def test_hooks_and_the_fused_setting_are_restored(encoder, images, fails_at):
    for block, setting in zip(encoder.model.blocks, (True, False), strict=True):
        block.attn.fused_attn = setting  # each block keeps its own
    during = []

    def look(block):
        during.append(fused(encoder.model))
        if block.index == fails_at:
            raise KeyError("stop here")

    if fails_at:
        with pytest.raises(KeyError, match="stop here"):
            encoder.observe(images, look)
    else:
        encoder.observe(images, look)
    assert during == [[False, False]] * (fails_at or 2)
    assert hooks(encoder.model) == 0 and fused(encoder.model) == [True, False]
    assert len(observe(encoder, images)[0]) == 2  # and it can look again


def test_images_that_are_refused_leave_the_model_as_it_was(encoder, images):
    before = fused(encoder.model)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        observe(encoder, images + 1)
    assert hooks(encoder.model) == 0 and fused(encoder.model) == before


@pytest.mark.parametrize("maps", [0, 2])
def test_a_block_that_does_not_form_one_map_is_named(encoder, images, maps):
    attention = encoder.model.blocks[1].attn
    plain = type(attention).forward

    def forward(x, *args, **kwargs):
        if maps == 0:
            return x
        return plain(attention, x, *args, **kwargs) + plain(attention, x, *args, **kwargs)

    attention.forward = forward
    with pytest.raises(
        RuntimeError, match=rf"tiny \(VisionTransformer\): block 2 yielded {maps} attention maps"
    ):
        observe(encoder, images)
    assert hooks(encoder.model) == 0


def test_a_transformer_with_relative_positions(images):
    torch.manual_seed(0)
    arguments = vit_arguments() | dict(embed_dim=24, depth=2, use_shared_rel_pos_bias=True)
    del arguments["dynamic_img_size"]  # BEiT has no such option
    encoder = Encoder(
        timm.create_model("beit_base_patch16_224", **arguments), [0.3], [0.35], "patch_mean"
    )
    blocks, representation = observe(encoder, images)
    assert [block.index for block in blocks] == [1, 2]
    assert all(
        torch.allclose(block.attention.sum(-1), torch.ones(()), atol=1e-5) for block in blocks
    )
    assert torch.allclose(representation, encoder(images), atol=1e-5)


def test_a_network_without_attention_has_no_maps():
    resnet = timm.create_model("resnet18", num_classes=0)
    encoder = Encoder(resnet, [0.5] * 3, [0.5] * 3, "global_average", name="convolutions")
    with pytest.raises(TypeError, match=r"convolutions \(ResNet\) has no Transformer blocks"):
        observe(encoder, torch.rand(1, 3, 32, 32))
    assert hooks(resnet) == 0


def test_a_convolutional_network_is_averaged_over_places():
    resnet = timm.create_model("resnet18", num_classes=0, channels=(8, 8, 16, 16))
    encoder = Encoder(resnet.train(), [0.5] * 3, [0.5] * 3, "global_average")
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = resnet.eval()((images - 0.5) / 0.5)  # timm's own pooling, batch statistics frozen
    assert expected.std() > 0.01 and torch.allclose(encoder(images), expected, atol=1e-5)
    assert torch.allclose(encoder(images[:1]), expected[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((2, 1, 28, 28), 1.01), r"\[0, 1\], got values from 1.01 to 1.01"),
        (torch.full((2, 1, 28, 28), -0.01), r"\[0, 1\], got values from -0.01"),
        (
            torch.zeros(2, 1, 28, 28).index_fill(0, torch.tensor(1), float("nan")),
            "got values from nan",
        ),
        (torch.zeros(2, 1, 28, 28).index_fill(0, torch.tensor(1), float("inf")), "to inf"),
        (torch.zeros(1, 28, 28), r"\(batch, channels, height, width\), got shape \(1, 28, 28\)"),
        (
            torch.zeros(2, 4, 28, 28),
            r"tiny takes 1 channel\(s\), got images of shape \(2, 4, 28, 28\)",
        ),
        (torch.zeros(2, 2, 28, 28), r"got images of shape \(2, 2, 28, 28\)"),
    ],
)
def test_refuses_images(encoder, images, message):
    with pytest.raises(ValueError, match=message):
        encoder(images)


def test_black_and_white_are_within_range(encoder):
    assert torch.isfinite(
        encoder(torch.stack([torch.zeros(1, 28, 28), torch.ones(1, 28, 28)]))
    ).all()


def test_gradients_flow_to_images_but_not_to_parameters(encoder, images):
    images.requires_grad_()
    encoder(images).sum().backward()
    assert (images.grad.abs().amax((1, 2, 3)) > 0).all()
    assert not any(
        parameter.requires_grad or parameter.grad is not None
        for parameter in encoder.model.parameters()
    )


def test_observe_and_representations_keep_no_graph(encoder, images):
    blocks, representation = observe(encoder, images.requires_grad_())
    assert not any(
        t.requires_grad
        for t in (
            representation,
            blocks[0].attention,
            blocks[0].tokens_out,
            encoder.representations(images),
        )
    )


@pytest.mark.parametrize(("size", "grid"), [((56, 56), (14, 14)), ((28, 56), (7, 14))])
def test_larger_images_have_a_larger_grid(encoder, size, grid):
    images = torch.rand(2, 1, *size)
    assert encoder.grid(images) == grid
    blocks, representation = observe(encoder, images)
    assert blocks[0].attention.shape[-1] == 1 + grid[0] * grid[1] and representation.shape == (
        2,
        24,
    )


@pytest.mark.parametrize(
    ("arguments", "pooling", "message"),
    [
        (dict(), "cls", "one of .*'class_token', 'patch_mean'.*, got 'cls'"),
        (
            dict(class_token=False, global_pool="avg", fc_norm=False),
            "class_token",
            "has no class token",
        ),
    ],
)
def test_refuses_a_pooling(make_vit, arguments, pooling, message):
    with pytest.raises(ValueError, match=message):
        Encoder(make_vit(**arguments), [0.3], [0.35], pooling)


def test_refuses_the_class_token_of_a_network_without_tokens():
    with pytest.raises(ValueError, match="no class token"):
        Encoder(timm.create_model("resnet18", num_classes=0), [0.5] * 3, [0.5] * 3, "class_token")


@on_every_layout
@pytest.mark.parametrize("size", [28, 40])
def test_patch_tokens_are_timms_final_ones_at_any_size(make_vit, arguments, pooling, size):
    images = torch.rand(3, 1, size, size, generator=torch.Generator().manual_seed(2))
    encoder = Encoder(make_vit(**arguments), [0.3], [0.35], pooling)
    found = encoder.patch_tokens(images, batch_size=2)
    expected = encoder.model.forward_features((images - 0.3) / 0.35)
    assert found.shape == (3, (size // 4) ** 2, 24) and torch.allclose(
        found, expected[:, -found.shape[1] :], atol=1e-5
    )
    assert not found.requires_grad
    if pooling == "patch_mean":
        assert torch.allclose(found.mean(1), encoder(images), atol=1e-5)


def test_patch_tokens_of_a_model_that_pools_before_its_last_norm_are_normed(make_vit, images):
    encoder = Encoder(
        make_vit(global_pool="avg", class_token=False, fc_norm=True), [0.3], [0.35], "patch_mean"
    )
    raw = encoder.model.forward_features(encoder.normalise(images))
    assert torch.allclose(
        encoder.patch_tokens(images), encoder.model.fc_norm(raw), atol=1e-5
    ) and not torch.allclose(raw, encoder.patch_tokens(images))


def test_a_network_without_patches_has_no_patch_tokens():
    encoder = Encoder(
        timm.create_model("resnet18", num_classes=0), [0.5] * 3, [0.5] * 3, "global_average"
    )
    with pytest.raises(TypeError, match="a ResNet has no patch tokens"):
        encoder.patch_tokens(torch.rand(1, 3, 32, 32))


def test_colours_are_made_grey_for_a_grey_model(encoder):
    colours = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    luminance = (colours * torch.tensor([0.2989, 0.587, 0.114]).reshape(3, 1, 1)).sum(
        1, keepdim=True
    )
    torch.testing.assert_close(encoder(colours), encoder(luminance))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vit_relpos_small_patch16_224", True),
        ("deit_tiny_distilled_patch16_224", True),
        ("pvt_v2_b0", False),
        ("xcit_nano_12_p16_224", False),
        ("cait_xxs24_224", False),
    ],
)
def test_attention_over_all_patches_is_that_of_vision_transformers_alone(name, expected):
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=0)
    assert Encoder(model, [0.5] * 3, [0.5] * 3, "global_average").has_attention == expected
