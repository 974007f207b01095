"""Self-supervised objectives and the one loop that trains them."""

from typing import TYPE_CHECKING

from lib.facade import hand_on

if TYPE_CHECKING:
    from lib.pretrain.restore import MAEDecoder, MODELS, reconstruct, restore

hand_on(__name__)
