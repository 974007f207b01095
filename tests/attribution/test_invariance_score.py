import pytest
import torch
import torch.nn.functional as F

from lib.attribution.invariance_score import invariance_score, mean_view


@pytest.fixture
def views(images):
    noise = torch.rand(5, 4, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    return (images[:, None] + noise) / 2


def test_equals_the_mean_over_views(encoder, images, views):
    found = invariance_score(encoder, images, mean_view(encoder, views))
    for i in range(5):
        cosines = [
            F.cosine_similarity(encoder(images[i : i + 1]), encoder(views[i, k : k + 1])).item()
            for k in range(4)
        ]
        assert found[i].item() == pytest.approx(sum(cosines) / 4, abs=1e-5)


def test_an_image_is_its_own_perfect_view(encoder, images):
    score = invariance_score(
        encoder, images, mean_view(encoder, images[:, None].expand(-1, 3, -1, -1, -1))
    )
    torch.testing.assert_close(score, torch.ones(5), atol=1e-5, rtol=0)


def test_other_images_of_the_batch_do_not_matter(encoder, images, views):
    whole = invariance_score(encoder, images, mean_view(encoder, views))
    alone = invariance_score(encoder, images[2:3], mean_view(encoder, views[2:3]))
    torch.testing.assert_close(alone, whole[2:3], atol=1e-5, rtol=0)


def test_gradients_reach_the_image_and_not_the_views(encoder, images, views):
    images.requires_grad_(), views.requires_grad_()
    invariance_score(encoder, images, mean_view(encoder, views)).sum().backward()
    assert images.grad.abs().amax((1, 2, 3)).min() > 0 and views.grad is None


def test_wrong_shapes_are_refused(encoder, images, views):
    with pytest.raises(ValueError, match="at least one view"):
        mean_view(encoder, images)
    with pytest.raises(ValueError, match="5 images and 4 mean views"):
        invariance_score(encoder, images, mean_view(encoder, views[:4]))
