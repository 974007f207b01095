import copy
import math

import pytest
import torch
from torch import nn

from lib.pretrain.moco_v3 import MoCoV3, info_nce, mlp, momentum_update


def naive_info_nce(queries, keys, temperature):
    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    queries, keys = queries.tolist(), keys.tolist()
    losses = []
    for i, query in enumerate(queries):
        terms = [math.exp(cosine(query, key) / temperature) for key in keys]
        losses.append(-math.log(terms[i] / sum(terms)))
    return 2 * temperature * sum(losses) / len(losses)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
@pytest.mark.parametrize("n", [1, 6])
def test_info_nce_equals_loops(n, temperature):
    queries, keys = 3 * normal(n, 5), normal(n, 5, seed=1)
    assert info_nce(queries, keys, temperature).item() == pytest.approx(
        naive_info_nce(queries, keys, temperature), abs=1e-12
    )


def test_info_nce_has_no_gradient_to_keys():
    queries, keys = normal(4, 5).requires_grad_(), normal(4, 5, seed=1).requires_grad_()
    info_nce(queries, keys, 0.2).backward()
    assert keys.grad is None and queries.grad.abs().max() > 0
    assert torch.autograd.gradcheck(lambda q: info_nce(q, keys, 0.2), normal(4, 5).requires_grad_())


@pytest.mark.parametrize(
    ("layers", "kinds"),
    [
        (2, ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]),
        (3, ["Linear", "BatchNorm1d", "ReLU"] * 2 + ["Linear", "BatchNorm1d"]),
    ],
)
def test_mlp(layers, kinds):
    network = mlp(layers, 5, 7, 3)
    assert [type(module).__name__ for module in network] == kinds
    assert all(module.bias is None for module in network if isinstance(module, nn.Linear))
    assert [module.affine for module in network if isinstance(module, nn.BatchNorm1d)] == [True] * (
        layers - 1
    ) + [False]
    assert network(torch.randn(4, 5)).shape == (4, 3)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_momentum_update(momentum):
    target, online = nn.Linear(3, 2).double(), nn.Linear(3, 2).double()
    before, fast = copy.deepcopy(target.state_dict()), copy.deepcopy(online.state_dict())
    momentum_update(target, online, momentum)
    for name, slow in target.state_dict().items():
        assert torch.allclose(
            slow, momentum * before[name] + (1 - momentum) * fast[name], rtol=1e-14, atol=0
        )
    assert all(torch.equal(tensor, fast[name]) for name, tensor in online.state_dict().items())


@pytest.fixture
def moco(make_vit):
    torch.manual_seed(0)
    return MoCoV3(make_vit(), features=24, hidden=16, outputs=8)


@pytest.fixture
def views():
    return torch.randn(2, 6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_the_momentum_encoder_starts_equal(moco):
    for slow, fast in (
        (moco.momentum_encoder, moco.encoder),
        (moco.momentum_projector, moco.projector),
    ):
        assert all(
            torch.equal(a, b) and a is not b
            for a, b in zip(slow.parameters(), fast.parameters(), strict=True)
        )


def test_only_the_online_branch_gets_gradients_and_the_patch_projection_none(moco, views):
    moco(*views).backward()
    for name, parameter in moco.named_parameters():
        frozen = name.startswith(("momentum_", "encoder.patch_embed"))
        assert (parameter.grad is None) == frozen == (not parameter.requires_grad), name


def test_the_patch_projection_learns_where_asked(make_vit, views):
    moco = MoCoV3(make_vit(), features=24, hidden=16, outputs=8, random_patches=False)
    moco(*views).backward()
    assert moco.encoder.patch_embed.proj.weight.grad.abs().max() > 0


def test_the_loss_crosses_the_views(moco, views):
    moco.eval()  # batch statistics aside
    query = [moco.predictor(moco.projector(moco.encoder(view))) for view in views]
    # another network than the online one
    moco.momentum_encoder = nn.Sequential(moco.momentum_encoder, nn.Linear(24, 24))
    key = [moco.momentum_projector(moco.momentum_encoder(view)) for view in views]
    expected = naive_info_nce(query[0], key[1], 0.2) + naive_info_nce(query[1], key[0], 0.2)
    assert moco(*views).item() == pytest.approx(expected, rel=1e-4)
    assert moco(*views).item() == pytest.approx(moco(*views.flip(0)).item(), rel=1e-5)
    assert (
        abs(
            naive_info_nce(query[0], key[0], 0.2) + naive_info_nce(query[1], key[1], 0.2) - expected
        )
        > 1e-3
    )


@pytest.mark.parametrize(("progress", "momentum"), [(0.0, 0.99), (0.5, 0.995), (1.0, 1.0)])
def test_the_momentum_rises_to_one_along_a_half_cosine(moco, progress, momentum):
    with torch.no_grad():
        for parameter in moco.parameters():
            parameter.fill_(0.0)
        for online in (moco.encoder, moco.projector):
            for parameter in online.parameters():
                parameter.fill_(1.0)
    moco.update(progress)
    for slow in (moco.momentum_encoder, moco.momentum_projector):
        for parameter in slow.parameters():
            assert torch.allclose(parameter, torch.tensor(1 - momentum), atol=1e-7)


def test_the_drawn_views_differ_and_depend_on_the_generator_alone(moco, batch):
    first, second = moco.draw(batch, torch.Generator().manual_seed(0))
    assert first.shape == second.shape == batch.images.shape and not torch.allclose(
        first, second, atol=0.1
    )
    again = moco.draw(batch, torch.Generator().manual_seed(0))
    assert torch.equal(again[0], first) and torch.equal(again[1], second)
