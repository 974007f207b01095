"""Results of fine-tuning, kept beside the tables: they take minutes each, and change only with encoder, data, recipe or code; and a probe beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib.data.images import Images
from lib.data.mosaic import Mosaic
from lib.encoders.encoder import Encoder
from lib.probes.fine_tune import fine_tune
from lib.probes.linear_probe import linear_probe
from lib.probes.segmentation import fine_tuned_segmentation
from lib.study import tables
from lib.study.kept import content_hash, encoder_hash, kept
from lib.study.layout import ROOT
from lib.study.measure import representations
from lib.study.style import short

CODE = [ROOT / "lib" / "probes" / name for name in ("fine_tune.py", "segmentation.py")]


def _kept(profile: str, encoder: Encoder, what: str, inputs: list[Tensor], options: dict, compute: Callable[[], Tensor]) -> np.ndarray:
    key = content_hash(encoder_hash(encoder), *inputs, repr(sorted(options.items())), *CODE)
    name = f"{short(encoder.name).replace(' ', '-')}-{what}-{key[:12]}.safetensors"
    path: Path = tables.RESULTS / profile / "fine_tuned" / name
    return kept(path, lambda: {"found": compute()})["found"].numpy()


def tuned_correct(profile: str, encoder: Encoder, train: Images, test: Images, labels: int, **options) -> np.ndarray:
    """Correctness ``(m,)`` on test images after fine-tuning on the first ``labels`` training images; see ``lib.probes.fine_tune``.

    Kept in ``data/results/PROFILE/fine_tuned``, under a hash of weights, images, options and code: computed when there is none, so a run that was
    stopped goes on where it was.
    """
    some = train.subset(torch.arange(labels))
    inputs = [some.images, some.labels, test.images, test.labels]
    compute = lambda: fine_tune(encoder, some.images, some.labels, test.images, test.labels, **options).to(torch.uint8)  # noqa: E731
    return _kept(profile, encoder, f"{labels}-labels", inputs, options, compute).astype(float)


def both_readings(profile: str, encoder: Encoder, train: Images, test: Images, labels: int, **options) -> dict[str, np.ndarray]:
    """Correctness ``(m,)`` on test images of a linear probe and after fine-tuning, each on the first ``labels`` training images; see :func:`tuned_correct`."""
    known, asked = (representations(encoder, split.images) for split in (train, test))
    probe = linear_probe(known[:labels], train.labels[:labels], asked, test.labels)
    return {"linear probe": probe, "fine-tuning": tuned_correct(profile, encoder, train, test, labels, **options)}


def tuned_confusion(profile: str, encoder: Encoder, train: Mosaic, test: Mosaic, **options) -> np.ndarray:
    """Confusion matrices ``(m, classes, classes)`` of test mosaics after fine-tuning; see ``lib.probes.segmentation``. Kept as :func:`tuned_correct`."""
    inputs = [train.images, train.patch_labels, test.images, test.patch_labels]
    compute = lambda: torch.from_numpy(fine_tuned_segmentation(encoder, train, test, **options)).to(torch.int16)  # noqa: E731
    return _kept(profile, encoder, f"{len(train.images)}-mosaics", inputs, options, compute).astype(int)
