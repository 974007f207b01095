"""What an encoder's representation of one image rests on, without labels, other images or a head."""

from typing import TYPE_CHECKING

from lib.facade import hand_on

if TYPE_CHECKING:
    from lib.attribution.attention_rollout import attention_rollout
    from lib.attribution.blur_range import blur_range
    from lib.attribution.concentration import effective_area
    from lib.attribution.controls import centre_prior, edge_magnitude, pixel_value, random_map
    from lib.attribution.cost import cost
    from lib.attribution.grad_cam import grad_cam
    from lib.attribution.gradient_methods import (
        input_x_gradient,
        integrated_gradients,
        saliency,
        smoothgrad,
    )
    from lib.attribution.insertion_deletion import (
        InsertionDeletion,
        insertion_deletion,
        substrate_image,
    )
    from lib.attribution.invariance_score import invariance_score, mean_view
    from lib.attribution.map_similarity import rank_correlation, structural_similarity
    from lib.attribution.mask_and_attack import (
        Attack,
        PAPER_ATTACKS,
        RATES,
        mask_and_attack,
        perturb,
        protection_order,
    )
    from lib.attribution.mean_frequency import mean_frequency
    from lib.attribution.occlusion import occlusion
    from lib.attribution.outline_share import outline, outline_share
    from lib.attribution.pointing_game import pointing_game
    from lib.attribution.ranking import feature_count, importance_rank
    from lib.attribution.relax import relax, smooth_masks
    from lib.attribution.relevance_mass import relative_relevance_mass, relevance_mass_accuracy
    from lib.attribution.separation import separation
    from lib.attribution.ssla import SSLAResult, STEP_RULES, ssla
    from lib.attribution.table_one import (
        attack_of_strength,
        attacked,
        protected_similarity,
        variation,
    )
    from lib.attribution.unclipped import ssla_unclipped
    from lib.attribution.views import augmented_views, draw_mean_views, masked_representations

hand_on(__name__)
