"""Semantic segmentation of mosaics, one class per patch, from frozen or from fine-tuned patch
tokens."""

import numpy as np
import torch

from lib.data.mosaic import BACKGROUND, Mosaic
from lib.encoders.encoder import Encoder
from lib.probes.fine_tune import fit_fine_tuned
from lib.probes.linear_probe import fit_linear_probe
from lib.probes.mean_iou import confusion_matrices


def _check(encoder: Encoder, mosaics: Mosaic) -> None:
    grid = encoder.grid(mosaics.images)
    if grid != mosaics.patch_labels.shape[1:]:
        raise ValueError(
            f"{encoder.name} cuts the mosaics into {grid} patches, their labels into"
            f" {tuple(mosaics.patch_labels.shape[1:])}"
        )


def frozen_segmentation(
    encoder: Encoder, train: Mosaic, test: Mosaic, classes: int = BACKGROUND + 1
) -> np.ndarray:
    """Linear probe of the frozen patch tokens after the final norm: one logistic regression for all
    places.

    Position embeddings are interpolated to the mosaic's grid. Cross-validation over mosaics
    chooses the regularisation.

    Args:
        encoder: with patch tokens, of the labels' patch size.
        train, test: mosaics of m₁ and m₂ images.
        classes: with the background.

    Returns:
        ``(m₂, classes, classes)`` confusion matrix of each test mosaic, for ``mean_iou``.

    Raises:
        ValueError: a patch size that differs from the labels'.
    """
    _check(encoder, train), _check(encoder, test)
    tokens = encoder.patch_tokens(train.images)
    mosaics = torch.arange(len(tokens), device=tokens.device).repeat_interleave(tokens.shape[1])
    probe = fit_linear_probe(tokens.flatten(0, 1), train.patch_labels.flatten(), groups=mosaics)
    predicted = probe.predict(encoder.patch_tokens(test.images).flatten(0, 1).numpy(force=True))
    return confusion_matrices(
        predicted.reshape(test.patch_labels.shape), test.patch_labels.numpy(force=True), classes
    )


def fine_tuned_segmentation(
    encoder: Encoder, train: Mosaic, test: Mosaic, classes: int = BACKGROUND + 1, **options
) -> np.ndarray:
    """As :func:`frozen_segmentation`, after encoder and linear head were trained together by
    ``fit_fine_tuned``, which takes the options."""
    _check(encoder, train), _check(encoder, test)
    predicted = fit_fine_tuned(encoder, train.images, train.patch_labels, **options).predict(
        test.images
    )
    return confusion_matrices(
        predicted.reshape(test.patch_labels.shape).numpy(force=True),
        test.patch_labels.numpy(force=True),
        classes,
    )
