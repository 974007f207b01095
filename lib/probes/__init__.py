"""Pure functions from attention maps and features to what the study measures."""

from typing import TYPE_CHECKING

from lib.facade import hand_on

if TYPE_CHECKING:
    from lib.probes.attention_distance import (
        attention_distance,
        patch_distances,
        uniform_attention_distance,
    )
    from lib.probes.attention_map import attention_maps
    from lib.probes.both_readings import both_readings
    from lib.probes.cosine import pairwise_cosine
    from lib.probes.every import block_probes, token_probes
    from lib.probes.fine_tune import FineTuned, fine_tune, fit_fine_tuned
    from lib.probes.fine_tuned import tuned_confusion, tuned_correct
    from lib.probes.fourier import official_frequencies, relative_log_amplitude
    from lib.probes.key_entropy import key_entropy
    from lib.probes.layers import around_self_attention, layer_representations, tokens_after
    from lib.probes.linear_probe import LinearProbe, fit_linear_probe, linear_probe
    from lib.probes.local_attention import local_attention, neighbourhood
    from lib.probes.mean_iou import confusion_matrices, mean_iou
    from lib.probes.measure import measure, measure_now, representations
    from lib.probes.noisy_representations import noisy_representations
    from lib.probes.normalized_mutual_information import normalized_mutual_information
    from lib.probes.patch_attention import patch_attention, patch_shares
    from lib.probes.probe_correct import probe_correct
    from lib.probes.query_similarity import query_similarity
    from lib.probes.raw_pixels import RawPixels, centred
    from lib.probes.received_attention import received_attention
    from lib.probes.segmentation import fine_tuned_segmentation, frozen_segmentation
    from lib.probes.shape_fraction import cue_decisions, shape_fraction
    from lib.probes.similarity import head_similarity, step_similarity
    from lib.probes.spectrum import image_spectrum, token_spectrum
    from lib.probes.token_clusters import image_precision, token_map
    from lib.probes.token_shift import common_shift, log_spread, principal_axes

hand_on(__name__)
