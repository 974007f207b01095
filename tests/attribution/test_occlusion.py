import pytest
import torch

from lib.attribution.invariance_score import invariance_score
from lib.attribution.occlusion import occlusion


@pytest.mark.parametrize(("window", "stride", "baseline"), [(8, 5, 0.0), (7, 7, 0.5)])
def test_equals_loops(either, doubles, targets, window, stride, baseline):
    images, mean = doubles[:2], targets(either)[:2]
    found = occlusion(either, images, mean, window, stride, baseline, batch_size=5)
    with torch.no_grad():
        clean = invariance_score(either, images, mean)
        total, covers = torch.zeros_like(images), torch.zeros_like(images)
        starts = [*range(0, 28 - window, stride), 28 - window]
        for top in starts:
            for left in starts:
                box = (..., slice(top, top + window), slice(left, left + window))
                occluded = images.clone()
                occluded[box] = baseline
                fall = clean - invariance_score(either, occluded, mean)
                total[box] += fall[:, None, None, None]
                covers[box] += 1
    torch.testing.assert_close(found, total / covers, atol=1e-7, rtol=1e-5)


def test_bad_windows_are_refused(vit, doubles, targets):
    for window, stride in [(29, 2), (4, 5), (4, 0)]:
        with pytest.raises(ValueError, match="stride ≤ window"):
            occlusion(vit, doubles, targets(vit), window, stride)
