"""Losses against formulas written out, and where gradients must not flow: SimCLR, SimSiam, BYOL,
MAE, DINO, hybrid, supervised."""

import math

import pytest
import torch
import torch.nn.functional as F

from lib.encoders.architecture import build_resnet, resnet_arguments
from lib.pretrain.byol import BYOL, regression_loss
from lib.pretrain.dino import DINO, dino_loss
from lib.pretrain.hybrid import Hybrid
from lib.pretrain.mae import MAE, normalised_pixels
from lib.pretrain.methods import METHODS, objective_for
from lib.pretrain.moco_v3 import MoCoV3
from lib.pretrain.simclr import nt_xent
from lib.pretrain.simmim import patchify
from lib.pretrain.simsiam import SimSiam, negative_cosine


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_nt_xent_equals_the_sum_over_all_views():
    z = F.normalize(torch.cat([gaussian(3, 4), gaussian(3, 4, seed=1)]), dim=1)
    total = 0.0
    for i in range(6):
        scores = [math.exp(z[i] @ z[j] / 0.5) for j in range(6)]
        total -= math.log(scores[(i + 3) % 6] / (sum(scores) - scores[i]))
    assert nt_xent(3 * z[:3], z[3:], 0.5).item() == pytest.approx(total / 6, rel=1e-5)


@pytest.mark.parametrize("loss", [negative_cosine, regression_loss])
def test_cosine_losses_equal_the_loop_and_hold_the_target_constant(loss):
    prediction, target = gaussian(4, 5).requires_grad_(), gaussian(4, 5, seed=1).requires_grad_()
    cosines = [
        (p @ t / (p.norm() * t.norm())).item() for p, t in zip(prediction, target, strict=True)
    ]
    mean = sum(cosines) / 4
    value = loss(prediction, target)
    assert value.item() == pytest.approx(
        -mean if loss is negative_cosine else 2 - 2 * mean, rel=1e-5
    )
    value.backward()
    assert target.grad is None and prediction.grad.abs().sum() > 0


def test_dino_loss_equals_the_formula_and_holds_the_teacher_constant():
    student, teacher, centre = (
        gaussian(3, 6).requires_grad_(),
        gaussian(3, 6, seed=1).requires_grad_(),
        gaussian(6, seed=2),
    )
    p = ((teacher - centre) / 0.04).softmax(1)
    q = (student / 0.1).softmax(1)
    value = dino_loss(student, teacher, centre, 0.1, 0.04)
    assert value.item() == pytest.approx(-(p * q.log()).sum().item() / 3, rel=1e-4)
    value.backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_dino_centre_follows_the_teacher(make_vit, batch):
    dino = DINO(make_vit(), 24, prototypes=8)
    dino(*dino.draw(batch, generator()))
    seen = dino.batch_centre.clone()
    dino.update(0.0)
    torch.testing.assert_close(dino.centre, 0.1 * seen)


def test_normalised_pixels_have_mean_0_and_unbiased_variance_1():
    patches = normalised_pixels(5 + 3 * gaussian(2, 4, 16))
    torch.testing.assert_close(patches.mean(2), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(patches.var(2), torch.ones(2, 4), atol=1e-4, rtol=0)


def test_mae_encodes_visible_patches_alone_and_scores_masked_ones_alone(make_vit, batch):
    mae = MAE(make_vit(), 24, width=12, depth=1).eval()
    images, mask = mae.draw(batch, generator())
    assert mask.sum(1).tolist() == [math.ceil(0.75 * 49)] * len(batch)
    assert mae.encode(images, mask).shape == (len(batch), 1 + 49 - 37, 24)
    hidden = mask.reshape(-1, 1, 7, 7).repeat_interleave(4, 2).repeat_interleave(4, 3)
    changed = torch.where(hidden, torch.rand(images.shape, generator=generator(5)), images)
    torch.testing.assert_close(mae.reconstruct(changed, mask), mae.reconstruct(images, mask))
    error = (
        (mae.reconstruct(images, mask) - normalised_pixels(patchify(images, 4))).square().mean(2)
    )
    rows = [error[i, p].item() for i in range(len(batch)) for p in range(49) if mask[i, p]]
    assert mae(images, mask).item() == pytest.approx(sum(rows) / len(rows), rel=1e-5)


def test_mae_decoder_puts_visible_tokens_at_their_own_places(make_vit):
    decoder = MAE(make_vit(), 24, width=12, depth=0).decoder
    mask = torch.ones(1, 49, dtype=torch.bool)
    mask[0, [3, 40]] = False
    tokens = gaussian(1, 3, 24)
    found = decoder(tokens, mask)
    without_places = decoder.head(
        decoder.norm(decoder.embed(tokens[:, 1:]) + decoder.positions[:, [4, 41]])
    )
    torch.testing.assert_close(found[:, [3, 40]], without_places)


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_hybrid_is_the_weighted_sum_on_one_encoder(make_vit, batch, weight):
    hybrid = Hybrid(make_vit(), 24, weight)
    drawn = hybrid.draw(batch, generator())
    parts = [(1 - weight) * hybrid.mim(*drawn[:2])] if weight < 1 else []
    parts += [weight * hybrid.cl(*drawn[-2:])] if weight > 0 else []
    torch.testing.assert_close(hybrid(*drawn), sum(parts))
    assert all(
        part.encoder is hybrid.encoder for part in (hybrid.mim, hybrid.cl) if part is not None
    )
    assert hybrid.encoder.patch_embed.proj.weight.requires_grad
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.5"):
        Hybrid(make_vit(), 24, 1.5)


@pytest.mark.parametrize("make", [MoCoV3, BYOL, DINO], ids=lambda c: c.__name__)
def test_momentum_networks_take_no_gradient_and_move_only_on_update(make_vit, batch, make):
    objective = make(make_vit(), 24)
    slow = {
        k: v.clone()
        for k, v in objective.named_parameters()
        if not v.requires_grad and ("momentum" in k or "teacher" in k)
    }
    assert slow
    objective(*objective.draw(batch, generator())).backward()
    for parameter in objective.encoder.parameters():
        parameter.data.add_(1.0)
    parameters = dict(objective.named_parameters())
    assert all(
        torch.equal(parameters[k], v) and parameters[k].grad is None for k, v in slow.items()
    )
    objective.update(0.0)
    encoder_part = [k for k in slow if "encoder" in k]
    # m = 0.99
    torch.testing.assert_close(parameters[encoder_part[0]], slow[encoder_part[0]] + 0.01)


def test_simsiam_stops_the_gradient_of_the_target_branch(make_vit, batch):
    """The loss depends on the projector only through the predicting branch: with a predictor frozen
    at 0, nothing is learned."""
    simsiam = SimSiam(make_vit(), 24)
    for parameter in simsiam.predictor[-1].parameters():
        parameter.data.zero_()
    simsiam(*simsiam.draw(batch, generator())).backward()
    assert all(p.grad is None or p.grad.abs().max() == 0 for p in simsiam.projector.parameters())


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.needs_vit])
def test_methods_without_patch_tokens_train_the_resnet(name, batch):
    encoder = build_resnet(resnet_arguments())
    objective = objective_for(name, encoder, classes=3)
    loss = objective(*objective.draw(batch, generator()))
    loss.backward()
    assert torch.isfinite(loss) and encoder.conv1.weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "arguments",
    [dict(class_token=False, global_pool="avg"), dict(reg_tokens=2)],
    ids=["no class token", "registers"],
)
def test_mae_refuses_other_tokens_than_a_class_token(make_vit, arguments):
    with pytest.raises(ValueError, match="this encoder has [03] tokens before its patches"):
        MAE(make_vit(**arguments), 24)


@pytest.mark.parametrize("name", METHODS)
def test_published_heads_are_the_papers(name, make_vit):
    weight = 0.5 if name == "hybrid" else None
    shapes = [
        tuple(p.shape)
        for p in objective_for(name, make_vit(), 7, weight, published_heads=True).parameters()
    ]
    widest = {
        "moco-v3": (256, 4096),
        "hybrid": (256, 4096),
        "byol": (256, 4096),
        "simclr": (128, 2048),
        "simsiam": (2048, 512),
        "dino": (65536, 256),
    }
    widest |= {"mae": (1536, 512), "simmim": (16, 24), "supervised": (7, 24)}
    assert widest[name] in shapes
