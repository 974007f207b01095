from dataclasses import replace

import pytest
import torch

from lib.data.fashion import load_fashion
from lib.encoders.architecture import build
from lib.encoders.card import CHECKPOINTS, file_sha256, read_card, write_card
from lib.encoders.load import load_encoder
from lib.pretrain.methods import objective_for
from lib.pretrain.restore import MAEDecoder, draw_mask, reconstruct, restore
from lib.pretrain.simmim import patchify
from lib.pretrain.trainer import export_weights

SIMMIM, MAE_S = "fashion/simmim-s", "fashion/mae-s"


@pytest.fixture(scope="module")
def images():
    return load_fashion("test").images[:6]


@pytest.mark.parametrize("name", [SIMMIM, MAE_S])
def test_the_restored_encoder_is_the_loaded_one(name, images):
    whole, encoder = restore(name), load_encoder(name)
    plain = encoder.model.state_dict()
    assert all(torch.equal(value, plain[key]) for key, value in whole.encoder.state_dict().items())
    assert not any(p.requires_grad for p in whole.parameters()) and not whole.training


@pytest.mark.parametrize(("name", "rate"), [(SIMMIM, 0.6), (MAE_S, 0.75)])
def test_visible_patches_stay_and_masked_ones_are_filled_better_than_by_grey(name, rate, images):
    seen, filled = reconstruct(name, images, seed=3)
    model = restore(name)
    mask = draw_mask(model, len(images), rate, seed=3)
    true, before, after = (patchify(x, 4) for x in (images, seen, filled))
    assert torch.equal(before[~mask], true[~mask]) and torch.equal(after[~mask], true[~mask])
    assert (before[mask] == 0.5).all()
    error = lambda x: (x - true)[mask].abs().mean()  # noqa: E731
    assert error(after) < 0.5 * error(before)
    other = reconstruct(name, images, seed=4)[0]
    assert not torch.equal(seen, other)


def test_the_reconstruction_is_the_models_own_in_its_training_units(images):
    model, encoder = restore(SIMMIM), load_encoder(SIMMIM)
    mask = draw_mask(model, len(images), model.mask_rate, 0)
    predicted = model.reconstruct(encoder.normalise(images), mask)
    filled = encoder.normalise(reconstruct(SIMMIM, images, 0)[1])
    shown = patchify(filled, 4)[mask]
    low, high = encoder.normalise(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)).flatten()
    assert torch.allclose(shown, predicted[mask].clamp(low, high), atol=1e-5)


@pytest.mark.parametrize("rate", [0.0, 0.75])
def test_the_decoder_is_observed_block_by_block(rate, images):
    model, encoder = restore(MAE_S), load_encoder(MAE_S)
    decoder, blocks = MAEDecoder(model, encoder, rate), []
    predicted = decoder.observe(images, blocks.append)
    mask = draw_mask(model, len(images), rate, 0)
    assert mask.float().mean().item() == pytest.approx(rate, abs=0.02)
    assert torch.allclose(predicted, model.reconstruct(encoder.normalise(images), mask), atol=1e-5)
    assert [block.index for block in blocks] == [1, 2, 3, 4] and decoder.depth == 4
    assert all(block.attention.shape[-1] == 50 for block in blocks)


def test_a_decoder_of_the_papers_size_is_restored_too(tmp_path, images):
    """Trainings on a folder of images have it."""
    card = read_card(CHECKPOINTS / f"{MAE_S}.yaml")
    trained = objective_for(
        "mae", build(card.architecture, card.arguments), 10, published_heads=True
    )
    export_weights(trained, card.extras, tmp_path / "mine.safetensors")
    write_card(
        replace(card, sha256=file_sha256(tmp_path / "mine.safetensors")), tmp_path / "mine.yaml"
    )
    found = restore("mine", tmp_path)
    assert len(found.decoder.blocks) == 8 and found.decoder.blocks[0].attn.num_heads == 16
    assert torch.equal(found.decoder.embed.weight, trained.decoder.embed.weight.half().float())
    assert reconstruct("mine", images, root=tmp_path)[1].shape == images.shape


def test_other_methods_are_refused():
    with pytest.raises(
        ValueError, match="fashion/moco-v3-s is MoCo v3; models that reconstruct are SimMIM, MAE"
    ):
        restore("fashion/moco-v3-s")


@pytest.mark.parametrize("name", [SIMMIM, MAE_S])
def test_images_of_another_size_are_brought_to_the_models_grid(name):
    """CIFAR-10's 32 px are 8 × 8 patches; masks and decoder have 7 × 7."""
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen, filled = reconstruct(name, images)
    assert seen.shape == filled.shape == (3, 1, 28, 28)
    if name == MAE_S:
        decoder, blocks = MAEDecoder(restore(name), load_encoder(name), 0.75), []
        decoder.observe(images, lambda block: blocks.append(block.index))
        assert len(blocks) == decoder.depth
