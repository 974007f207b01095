"""Images with ground truth, from files that the repository carries or from the user's folder."""

from typing import TYPE_CHECKING

from lib.facade import hand_on

if TYPE_CHECKING:
    from lib.data.dataset import load_images
    from lib.data.fashion import on_background
    from lib.data.frequency_filter import frequency_filter
    from lib.data.frequency_noise import FREQUENCIES, frequency_noise
    from lib.data.mosaic import mosaic
    from lib.data.patch_shuffle import patch_shuffle
    from lib.data.phase_amplitude import recombine
    from lib.data.render import conflict_pairs, cue_conflict, negative, silhouette, stylise
    from lib.data.texture import interior, texture, texture_parameters

hand_on(__name__)
