"""How many directions tokens, and images, spread over."""

import torch
from torch import Tensor

from lib.encoders.device import double


def _log_eigenvalues(vectors: Tensor) -> Tensor:
    """Natural logs of the eigenvalues of the covariance of ``(…, n, width)``, largest first, the
    rank at most n − 1 of them, none below what rounding alone makes.

    They are those of the smaller of the two Gram matrices, formed in double precision. The vectors
    themselves are known to their own precision ε, whose rounding gives a matrix X of them singular
    values of up to about ε √max(n, width) ‖X‖, and eigenvalues of that squared over n − 1: what is
    smaller is set to this.
    """
    n, width = vectors.shape[-2:]
    if n < 2:
        raise ValueError(f"a covariance needs at least 2 vectors, got {n}")
    exact = double(vectors)
    centred = exact - exact.mean(-2, keepdim=True)
    gram = centred @ centred.mT if n < width else centred.mT @ centred
    largest_first = torch.linalg.eigvalsh(gram).flip(-1)[..., : min(n - 1, width)]
    precision = torch.finfo(vectors.dtype).eps ** 2 * max(n, width)
    rounding = precision * exact.square().sum((-2, -1))[..., None]
    spread = largest_first.maximum(rounding).clamp(min=torch.finfo(exact.dtype).tiny)
    return (spread / (n - 1)).log().to(vectors)


def token_spectrum(tokens: Tensor) -> Tensor:
    """Log eigenvalues of the covariance of one image's patch tokens.

    λ = eig(cov(tokens)), log λ₁ ≥ log λ₂ ≥ …; the author averages these over images and calls them
    singular values. They are the squared singular values of the centred token matrix over n − 1.
    Subtract the first for relative values.

    Park et al. (2023), Fig. 7, after the author's pseudo-code (github.com/naver-ai/cl-vs-mim, issue
    2).

    Args:
        tokens: ``(images, patches, width)`` without prefix tokens.

    Returns:
        ``(images, min(patches − 1, width))``.

    >>> token_spectrum(torch.tensor([[[0.0, 0.0], [2.0, 0.0], [1.0, 1.5]]])).exp()[0].round(decimals=2).tolist()
    [1.0, 0.75]
    """
    if tokens.ndim != 3:
        raise ValueError(
            f"expected tokens (images, patches, width), got shape {tuple(tokens.shape)}"
        )
    return _log_eigenvalues(tokens)


def image_spectrum(pooled: Tensor) -> Tensor:
    """Log eigenvalues of the covariance of image representations over a set of images.

    Park et al. (2023), Fig. 7, after the author's pseudo-code (github.com/naver-ai/cl-vs-mim, issue
    2), where an image is the mean of its patch tokens.

    Args:
        pooled: ``(images, width)``.

    Returns:
        ``(min(images − 1, width),)``, largest first.
    """
    if pooled.ndim != 2:
        raise ValueError(
            f"expected representations (images, width), got shape {tuple(pooled.shape)}"
        )
    return _log_eigenvalues(pooled)
