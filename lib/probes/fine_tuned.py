"""Results of fine-tuning, kept beside the tables, since they take minutes each."""

import numpy as np
import torch
from torch import Tensor

from lib import paths
from lib.data.images import Images
from lib.data.mosaic import Mosaic
from lib.encoders.encoder import Encoder
from lib.kept.files import kept
from lib.probes.fine_tune import fine_tune
from lib.probes.segmentation import fine_tuned_segmentation


def _kept(
    profile: str, encoder: Encoder, what: str, *call: object, **options: object
) -> np.ndarray:
    function, *inputs = call
    folder, label = paths.RESULTS / profile / "fine_tuned", encoder.name.rpartition("/")[2]
    return kept(folder, f"{label}-{what}", function, encoder, *inputs, **options)["found"].numpy()


def _correct(encoder: Encoder, *inputs: Tensor, **options: object) -> dict[str, Tensor]:
    return {"found": fine_tune(encoder, *inputs, **options).to(torch.uint8)}


def _confusion(encoder: Encoder, *inputs: Mosaic, **options: object) -> dict[str, Tensor]:
    found = fine_tuned_segmentation(encoder, *inputs, **options)
    return {"found": torch.from_numpy(found).to(torch.int16)}


def tuned_correct(
    profile: str, encoder: Encoder, train: Images, test: Images, labels: int, **options
) -> np.ndarray:
    """Correctness ``(m,)`` on test images after fine-tuning on the first ``labels`` training
    images; see ``lib.probes.fine_tune``.

    Kept in ``data/results/PROFILE/fine_tuned``: computed when there is none, so a run that was
    stopped goes on where it was.
    """
    some = train.subset(torch.arange(labels))
    inputs = some.images, some.labels, test.images, test.labels
    return _kept(profile, encoder, f"{labels}-labels", _correct, *inputs, **options).astype(float)


def tuned_confusion(
    profile: str, encoder: Encoder, train: Mosaic, test: Mosaic, **options
) -> np.ndarray:
    """Confusion matrices ``(m, classes, classes)`` of test mosaics after fine-tuning; see
    ``lib.probes.segmentation``. Kept as :func:`tuned_correct`."""
    what = f"{len(train.images)}-mosaics"
    return _kept(profile, encoder, what, _confusion, train, test, **options).astype(int)
