"""An encoder read in both ways: by a linear probe, and fine-tuned."""

import numpy as np

from lib.data.images import Images
from lib.encoders.encoder import Encoder
from lib.probes.fine_tuned import tuned_correct
from lib.probes.linear_probe import linear_probe
from lib.probes.measure import representations


def both_readings(
    profile: str, encoder: Encoder, train: Images, test: Images, labels: int, **options
) -> dict[str, np.ndarray]:
    """Correctness ``(m,)`` on test images of a linear probe and after fine-tuning, each on the
    first ``labels`` training images; see
    :func:`lib.probes.fine_tuned.tuned_correct`."""
    known, asked = (representations(encoder, split) for split in (train, test))
    probe = linear_probe(known[:labels], train.labels[:labels], asked, test.labels)
    return {
        "linear probe": probe,
        "fine-tuning": tuned_correct(profile, encoder, train, test, labels, **options),
    }
