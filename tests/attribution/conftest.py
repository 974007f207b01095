"""Encoders whose attribution is known, and tiny encoders of both architectures."""

import pytest
import torch
from torch import nn

from lib.attribution.views import draw_mean_views
from lib.encoders.architecture import build_resnet, resnet_arguments
from lib.encoders.encoder import Encoder

PATCH = (slice(6, 11), slice(17, 22))  # off the centre, 3 % of the area


class Formula(nn.Module):
    """A module whose features are a plain function of the normalised images
    ``(n, channels, height, width)``, ``(n, width)``."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward_features(self, x):
        return self.function(x)[:, :, None, None]


class ReadsOnePatch(nn.Module):
    """Convolutions over an image of which all but one patch is hidden."""

    def __init__(self):
        super().__init__()
        self.stage = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.Tanh())
        hidden = torch.zeros(28, 28)
        hidden[PATCH] = 1
        self.register_buffer("window", hidden)

    def forward_features(self, x):
        return self.stage(x * self.window.to(x))


class Refuses(nn.Module):
    """A head that must not be used."""

    def forward(self, *_):
        raise AssertionError("a head was called")


@pytest.fixture
def formula_encoder():
    """Factory: an encoder in pixel space from a function of the images."""
    return lambda function: Encoder(
        Formula(function), [0.0], [1.0], "global_average", name="formula"
    )


@pytest.fixture
def smooth(formula_encoder):
    """An encoder without kinks, and mean views of five images."""
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.randn(shape, dtype=torch.float64, generator=generator) / 20
        for shape in ((784, 12), (12, 6))
    )
    # never near zero, where the cosine jumps
    encoder = formula_encoder(lambda x: ((x - 0.3).flatten(1) @ first).tanh() @ second + 0.3)
    return encoder, torch.randn(5, 6, dtype=torch.float64, generator=generator) / 4


@pytest.fixture
def planted():
    """An encoder that reads one patch, the patch as a mask ``(1, 1, 28, 28)``."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        encoder = Encoder(ReadsOnePatch(), [0.0], [1.0], "global_average", name="planted")
    mask = torch.zeros(1, 1, 28, 28, dtype=torch.bool)
    mask[0, 0][PATCH] = True
    return encoder, mask


@pytest.fixture
def resnet():
    """A ResNet in double precision with shaken parameters and a head that refuses to be called."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = build_resnet(
            resnet_arguments() | dict(layers=[1, 1, 1, 1], channels=[8, 12, 16, 20], num_classes=10)
        )
        for parameter in model.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    model.fc = Refuses()
    return Encoder(model.double(), [0.3], [0.35], "global_average", name="resnet")


@pytest.fixture
def vit(make_vit):
    """A ViT in double precision with a head that refuses to be called."""
    model = make_vit(num_classes=10)
    model.head = Refuses()
    return Encoder(model.double(), [0.3], [0.35], "class_token", name="vit")


@pytest.fixture(params=["vit", "resnet"])
def either(request):
    """Both architectures."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def doubles(images):
    """The five images in double precision, so that a batch and a single image agree to the last
    digits."""
    return images.double()


@pytest.fixture
def indices():
    return torch.tensor([11, 3, 7, 20, 5])


@pytest.fixture
def targets(doubles, indices):
    """Factory: mean views of the five images."""
    return lambda encoder: draw_mean_views(encoder, doubles, indices, count=3)


@pytest.fixture
def counted(monkeypatch):
    """Factory: the list of batch sizes that an encoder is called with from now on."""

    def count(encoder):
        sizes, forward = [], encoder.model.forward_features

        def recording(x):
            sizes.append(len(x))
            return forward(x)

        monkeypatch.setattr(encoder.model, "forward_features", recording)
        return sizes

    return count
