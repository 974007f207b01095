"""Do the patch tokens of an image lie together, apart from those of other images?"""

import numpy as np
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_samples
from torch import Tensor


def image_silhouette(tokens: Tensor) -> np.ndarray:
    """Silhouette of patch tokens grouped by image, averaged over the tokens of each image.

    s = (b − a) / max(a, b), a: mean distance of a token to the others of its image, b: to those of the nearest other image (Rousseeuw 1987).

    The number behind the picture of Park et al. (2023), Fig. E.2.

    Args:
        tokens: ``(images, patches, width)``, at least 2 images.

    Returns:
        ``(images,)`` in [−1, 1]: 1 when each image is a tight cluster of its own, about 0 when the images mingle.

    Raises:
        ValueError: another shape, fewer than 2 images.

    >>> image_silhouette(Tensor([[[0.0], [1.0]], [[10.0], [11.0]]]).double()).round(2).tolist()
    [0.9, 0.9]
    """
    if tokens.ndim != 3 or len(tokens) < 2:
        raise ValueError(f"expected tokens (images, patches, width) of at least 2 images, got shape {tuple(tokens.shape)}")
    images, patches, _ = tokens.shape
    owner = np.repeat(np.arange(images), patches)
    return silhouette_samples(tokens.flatten(0, 1).numpy(), owner).reshape(images, patches).mean(1)


def token_map(tokens: Tensor, perplexity: float = 20, seed: int = 0) -> np.ndarray:
    """t-SNE of all patch tokens of some images, with the settings of the official code (perplexity 20, random start).

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
    return tsne.fit_transform(tokens.flatten(0, 1).numpy()).reshape(images, patches, 2)
