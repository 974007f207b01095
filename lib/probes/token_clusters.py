"""Do the patch tokens of an image lie together, apart from those of other images?"""

import numpy as np
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from torch import Tensor


def image_precision(tokens: Tensor) -> np.ndarray:
    """Share of a patch token's nearest other tokens that are of its own image, as many as there are.

    p = |{nearest P − 1 tokens} ∩ {tokens of its image}| / (P − 1), P patches an image, by Euclidean
    distance: precision at the number of relevant items (R-precision).

    The number behind the picture of Park et al. (2023), Fig. E.2.

    Args:
        tokens: ``(images, patches, width)``, at least 2 images of at least 2 patches.

    Returns:
        ``(images,)`` in [0, 1], mean over the image's tokens: 1 when each image is a cluster of its
        own, about 1 / images when they mingle.

    Raises:
        ValueError: another shape, too few images or patches.

    >>> image_precision(Tensor([[[0.0], [1.0]], [[10.0], [11.0]]])).tolist()
    [1.0, 1.0]
    """
    if tokens.ndim != 3 or min(tokens.shape[:2]) < 2:
        raise ValueError(
            "expected tokens (images, patches, width) of at least 2 images and 2 patches, got shape"
            f" {tuple(tokens.shape)}"
        )
    images, patches, _ = tokens.shape
    found = NearestNeighbors(n_neighbors=patches - 1).fit(tokens.flatten(0, 1).numpy(force=True))
    nearest = found.kneighbors(return_distance=False)  # of each token, itself left out
    owner = np.repeat(np.arange(images), patches)
    return (owner[nearest] == owner[:, None]).mean(1).reshape(images, patches).mean(1)


def token_map(tokens: Tensor, perplexity: float = 20, seed: int = 0) -> np.ndarray:
    """t-SNE of all patch tokens of some images, with the settings of the official code (perplexity
    20, random start).

    Park et al. (2023), Fig. E.2.

    Args:
        tokens: ``(images, patches, width)``.
        perplexity: of t-SNE.
        seed: of t-SNE.

    Returns:
        ``(images, patches, 2)``.
    """
    images, patches, _ = tokens.shape
    tsne = TSNE(2, perplexity=perplexity, learning_rate="auto", init="random", random_state=seed)
    return tsne.fit_transform(tokens.flatten(0, 1).numpy(force=True)).reshape(images, patches, 2)
