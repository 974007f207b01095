"""Every probe of a Vision Transformer, from one streamed forward pass."""

from functools import partial

from torch import Tensor

from lib.encoders.observe import Block
from lib.probes.attention_distance import attention_distance
from lib.probes.cosine import pairwise_cosine
from lib.probes.fourier import relative_log_amplitude
from lib.probes.key_entropy import key_entropy
from lib.probes.local_attention import local_attention
from lib.probes.normalized_mutual_information import normalized_mutual_information
from lib.probes.query_similarity import query_similarity
from lib.probes.received_attention import received_attention
from lib.probes.similarity import head_similarity, step_similarity
from lib.probes.spectrum import token_spectrum
from lib.probes.stream import OfBlock, OfTokens
from lib.probes.token_shift import common_shift, log_spread


def block_probes(grid: tuple[int, int], patch_size: int) -> dict[str, OfBlock]:
    """Name -> function of a block without prefix tokens: attention by head (Figs. 2 to 4),
    similarity and shift by image (Figs. 5 and 6)."""
    of_attention = {
        "attention distance": partial(attention_distance, grid=grid, patch_size=patch_size),
        "query similarity": query_similarity,
        "local attention": partial(local_attention, grid=grid),
        "key entropy": key_entropy,
        "received attention": received_attention,
    }
    of_image = {
        "heads: outputs": lambda b: head_similarity(b.head_outputs),
        "heads: attention maps": lambda b: head_similarity(b.attention),
        "depths: block": lambda b: step_similarity(b.tokens_in, b.tokens_out),
        "depths: self-attention": lambda b: step_similarity(b.tokens_in, b.tokens_attended),
        "depths: mean token": lambda b: step_similarity(
            b.tokens_in.mean(1, keepdim=True), b.tokens_out.mean(1, keepdim=True)
        ),
        "tokens: after the block": lambda b: pairwise_cosine(b.tokens_out),
        "tokens: after self-attention": lambda b: pairwise_cosine(b.tokens_attended),
        "tokens: what self-attention adds": lambda b: pairwise_cosine(
            b.tokens_attended - b.tokens_in
        ),
        "common shift": lambda b: common_shift(b.tokens_in, b.tokens_attended),
        "log spread": lambda b: log_spread(b.tokens_in, b.tokens_attended),
    }

    def attend(block: Block, statistic) -> Tensor:
        return statistic(block.attention)

    def by_image(block: Block, statistic) -> Tensor:
        return statistic(block)[:, None]

    mutual = lambda b: normalized_mutual_information(b.attention, b.logits)  # noqa: E731
    found = {n: partial(attend, statistic=f) for n, f in of_attention.items()}
    return (
        found
        | {"normalised mutual information": mutual}
        | {n: partial(by_image, statistic=f) for n, f in of_image.items()}
    )


def token_probes(grid: tuple[int, int]) -> dict[str, OfTokens]:
    """Name -> function of patch tokens: spectra and mean tokens (Fig. 7), amplitudes by frequency
    up to Nyquist (Fig. 9)."""
    return {
        "token spectrum": token_spectrum,
        "mean token": lambda tokens: tokens.mean(1),
        "amplitude, to Nyquist": partial(relative_log_amplitude, grid=grid, convention="nyquist"),
    }
