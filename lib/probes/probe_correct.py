"""A linear probe of an encoder on the images of a data set, kept on disk."""

import numpy as np
import torch
from torch import Tensor

from lib.data.images import Images
from lib.encoders.device import precision_in_key
from lib.encoders.encoder import Encoder
from lib.kept.files import kept
from lib.paths import ROOT
from lib.probes.linear_probe import linear_probe
from lib.probes.measure import representations
from lib.probes.raw_pixels import RawPixels


def probe_correct(encoder: Encoder | RawPixels, train: Images, test: Images) -> np.ndarray:
    """Correctness ``(m,)`` of a linear probe on test images, kept below ``build/measured``."""
    folder, label = ROOT / "build" / "measured", f"{encoder.name.rpartition('/')[2]}-probe"
    inputs = train.images, train.labels, test.images, test.labels
    return kept(folder, label, _probe, encoder, *inputs, **precision_in_key())["correct"].numpy()


def _probe(
    encoder: Encoder | RawPixels,
    known: Tensor,
    labels: Tensor,
    asked: Tensor,
    truth: Tensor,
    **precision: str,
) -> dict[str, Tensor]:
    # the precision, which is in the key, is what `representations` chooses by itself
    known, asked = representations(encoder, known), representations(encoder, asked)
    return {"correct": torch.from_numpy(linear_probe(known, labels, asked, truth))}
