"""Images whose tiles are shuffled: texture without shape."""

from torch import Tensor

from lib.data.draws import draws


def patch_shuffle(images: Tensor, tiles: int, indices: Tensor, seed: int) -> Tensor:
    """Cut each image into ``tiles`` × ``tiles`` squares and put them together in a random order of
    its own.

    More tiles leave less of the shape; what is inside a tile stays. One tile leaves the image as it
    is.

    Zhang, Zhu (2019), *Interpreting Adversarially Trained Convolutional Neural Networks*, section
    3.3; Naseer et al. (2021), *Intriguing Properties of Vision Transformers*, figure 5.

    Args:
        images: ``(n, channels, height, width)``.
        tiles: along each side; divides height and width.
        indices: ``(n,)`` of the images in their data set: the order of an image's tiles does not
            depend on its batch.
        seed: any integer.

    Returns:
        ``(n, channels, height, width)``.

    Raises:
        ValueError: a number of tiles that does not divide the images, another number of indices
            than images.

    >>> import torch
    >>> x = torch.arange(16.0).reshape(1, 1, 4, 4)
    >>> patch_shuffle(x, 2, torch.tensor([5]), seed=0).flatten().sort().values.equal(x.flatten())
    True
    """
    n, channels, height, width = images.shape
    if tiles < 1 or height % tiles or width % tiles:
        raise ValueError(
            f"expected tiles that divide {height} × {width} px, got {tiles} along each side"
        )
    if len(indices) != n:
        raise ValueError(f"expected one index an image, got {len(indices)} indices for {n} images")
    down, across = height // tiles, width // tiles
    order = draws(indices, tiles**2, seed).argsort(dim=1, stable=True).to(images.device)
    cut = (
        images.reshape(n, channels, tiles, down, tiles, across)
        .permute(0, 2, 4, 1, 3, 5)
        .flatten(1, 2)
    )
    shuffled = cut.gather(1, order.reshape(n, -1, 1, 1, 1).expand_as(cut)).unflatten(
        1, (tiles, tiles)
    )
    return shuffled.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)
