import pytest
import torch
from torch import nn

from lib.pretrain.simmim import SimMIM, forward_tokens, masked_l1, patchify, unpatchify


@pytest.mark.parametrize(
    ("channels", "height", "width", "patch"),
    [(1, 8, 8, 4), (3, 6, 4, 2), (2, 4, 12, 4), (1, 3, 5, 1)],
)
def test_patchify_cuts_row_by_row_and_unpatchify_inverts_it(channels, height, width, patch):
    images = torch.randn(2, channels, height, width)
    patches = patchify(images, patch)
    columns = width // patch
    for index in range(patches.shape[1]):
        top, left = patch * (index // columns), patch * (index % columns)
        window = images[:, :, top : top + patch, left : left + patch]
        assert torch.equal(patches[:, index], window.permute(0, 2, 3, 1).flatten(1))
    assert torch.equal(unpatchify(patches, patch, (height // patch, columns)), images)


def random_mask(n, patches, share=0.6):
    return torch.rand(n, patches, generator=torch.Generator().manual_seed(5)) < share


def test_masked_l1_equals_loops_and_gives_no_gradient_outside_the_mask():
    prediction, target = (
        torch.randn(3, 6, 4, dtype=torch.float64, requires_grad=True),
        torch.randn(3, 6, 4, dtype=torch.float64),
    )
    mask = random_mask(3, 6)
    assert len(set(mask.sum(1).tolist())) > 1  # images of unequal weight
    total, count = 0.0, 0
    for i, p, d in torch.cartesian_prod(torch.arange(3), torch.arange(6), torch.arange(4)).tolist():
        if mask[i, p]:
            total, count = (
                total + abs(prediction[i, p, d].item() - target[i, p, d].item()),
                count + 1,
            )
    loss = masked_l1(prediction, target, mask)
    assert loss.item() == pytest.approx(total / count, rel=1e-12)
    loss.backward()
    assert torch.allclose(
        prediction.grad.abs(), mask[..., None].expand_as(prediction).double() / count
    )


LAYOUTS = {
    "dynamic": dict(),
    "fixed": dict(dynamic_img_size=False),
    "registers": dict(reg_tokens=3),
    "no class token": dict(class_token=False, global_pool="avg", fc_norm=False),
}


@pytest.fixture(params=LAYOUTS.values(), ids=LAYOUTS)
def simmim(request, make_vit):
    torch.manual_seed(0)
    return SimMIM(make_vit(**request.param), features=24).eval()


def test_tokens_of_unmasked_images_are_timms(simmim, images):
    vit = simmim.encoder
    assert torch.allclose(
        forward_tokens(vit, vit.patch_embed(images)), vit.forward_features(images), atol=1e-5
    )


def test_the_reconstruction_sees_unmasked_pixels_alone(simmim, images):
    mask = random_mask(5, 49)
    on_pixels = unpatchify(mask[..., None].expand(-1, -1, 16).float(), 4, (7, 7)).bool()
    found = simmim.reconstruct(images, mask)
    assert found.shape == (5, 49, 16)
    assert torch.equal(simmim.reconstruct(torch.where(on_pixels, -9.0, images), mask), found)
    assert not torch.allclose(
        simmim.reconstruct(torch.where(on_pixels, images, -9.0), mask), found, atol=0.01
    )
    assert not torch.allclose(simmim.reconstruct(images, ~mask), found, atol=0.01)


def test_masked_patches_carry_the_mask_token_and_a_position(simmim, images):
    simmim.encoder.blocks = simmim.encoder.norm = simmim.decoder = nn.Identity()
    mask = random_mask(5, 49)
    embedded = simmim.encoder.patch_embed(images).reshape(5, 49, 24)
    expected = (
        torch.where(mask[..., None], simmim.mask_token, embedded)
        + simmim.encoder.pos_embed[0, -49:]
    )
    assert torch.allclose(simmim.reconstruct(images, mask), expected, atol=1e-6)


def test_the_loss_targets_the_masked_pixels(simmim, images):
    mask = random_mask(5, 49)
    expected = (simmim.reconstruct(images, mask) - patchify(images, 4)).abs()[mask].mean()
    assert simmim(images, mask).item() == pytest.approx(expected.item(), rel=1e-5)


def test_everything_learns_and_predictions_of_visible_patches_get_no_gradient(simmim, images):
    mask = random_mask(5, 49)
    predictions = []

    def keep(_module, _inputs, output):
        output.retain_grad()
        predictions.append(output)

    simmim.decoder.register_forward_hook(keep)
    simmim(images, mask).backward()
    assert (
        predictions[0].grad[~mask].abs().max() == 0
        and (predictions[0].grad[mask].abs().amax(1) > 0).all()
    )
    assert not [
        name
        for name, parameter in simmim.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]


def test_draws_a_view_and_a_mask_of_sixty_percent(simmim, batch):
    view, mask = simmim.draw(batch, torch.Generator().manual_seed(0))
    assert view.shape == batch.images.shape and mask.shape == (5, 49) and (mask.sum(1) == 30).all()
    again = simmim.draw(batch, torch.Generator().manual_seed(0))
    assert torch.equal(again[0], view) and torch.equal(again[1], mask)
