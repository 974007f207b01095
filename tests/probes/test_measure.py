import sys

import pytest
import torch

from lib.encoders.architecture import build_vit, vit_arguments
from lib.encoders.encoder import Encoder
from lib.probes.measure import measure, representations

module = sys.modules["lib.probes.measure"]  # lib.probes.measure is its function


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return Encoder(
        build_vit(vit_arguments("ti") | {"depth": 2}), [0.3], [0.35], "patch_mean", name="tiny"
    )


@pytest.fixture
def images():
    return torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def test_the_second_time_nothing_is_computed(encoder, images, tmp_path, monkeypatch):
    first = measure(encoder, images, tmp_path)
    monkeypatch.setattr(module, "block_statistics", lambda *_: pytest.fail("computed again"))
    second = measure(encoder, images, tmp_path)
    assert first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )
    assert len(list((tmp_path / "build" / "measured").iterdir())) == 1


def test_it_is_computed_again_for_other_weights_images_normalisation(encoder, images, tmp_path):
    def kept():
        return len(list((tmp_path / "build" / "measured").iterdir()))

    for count, (encoder_used, used) in enumerate(
        [(encoder, images), (encoder, images[:2]), (encoder, images.flip(0))], start=1
    ):
        measure(encoder_used, used, tmp_path)
        assert kept() == count
    measure(Encoder(encoder.model, [0.31], [0.35], "patch_mean", name="tiny"), images, tmp_path)
    assert kept() == 4
    with torch.no_grad():
        encoder.model.blocks[1].attn.proj.bias += 1e-3
    measure(encoder, images, tmp_path)
    assert kept() == 5
    measure(encoder, images, tmp_path)
    assert kept() == 5


def test_representations_of_a_larger_sample_reuse_the_blocks_of_a_smaller(
    encoder, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "BLOCK", 2)
    more, seen = torch.cat([images, 1 - images]), []
    plain = encoder.representations(more)
    compute = Encoder.representations
    monkeypatch.setattr(
        Encoder, "representations", lambda self, x: seen.append(len(x)) or compute(self, x)
    )
    torch.testing.assert_close(representations(encoder, more[:4], tmp_path), plain[:4])
    torch.testing.assert_close(representations(encoder, more, tmp_path), plain)
    assert seen == [2, 2, 2]  # two blocks, then the third alone
    assert (
        torch.equal(
            representations(encoder, more, tmp_path), representations(encoder, more, tmp_path)
        )
        and len(seen) == 3
    )
    with torch.no_grad():
        encoder.model.blocks[1].attn.proj.bias[0] += 1
    assert not torch.allclose(representations(encoder, more[:2], tmp_path), plain[:2])
