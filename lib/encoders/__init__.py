"""One adapter from a model file to the tensors that probes and attributions need."""

from typing import TYPE_CHECKING

from lib.facade import hand_on

if TYPE_CHECKING:
    from lib.encoders.card import CHECKPOINTS, read_card
    from lib.encoders.equivalent import equivalent
    from lib.encoders.knn import knn_accuracy, nearest_neighbours
    from lib.encoders.load import cl_and_mim, load_encoder, random_encoder
    from lib.encoders.randomise import cascade
    from lib.encoders.window import behind_window, window

hand_on(__name__)
