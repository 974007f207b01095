import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.probes.fourier import relative_log_amplitude


def naive_official(tokens: np.ndarray, side: int) -> np.ndarray:
    """The convention of the official notebook, written out: shift by half, average the log over
    channels, second half of the diagonal."""
    rows = []
    for image in tokens:
        logs = [
            np.log(np.abs(np.fft.fft2(channel.reshape(side, side))) + 1e-6) for channel in image.T
        ]
        shifted = np.roll(np.mean(logs, axis=0), (side // 2, side // 2), axis=(0, 1))
        half = np.diag(shifted)[side // 2 :]
        rows.append(half - half[0])
    return np.array(rows)


@pytest.mark.parametrize("side", [4, 7, 14])
def test_official_convention_equals_the_transcription(side):
    tokens = torch.randn(
        3, side * side, 5, generator=torch.Generator().manual_seed(side), dtype=torch.float64
    )
    found = relative_log_amplitude(tokens, (side, side))
    np.testing.assert_allclose(found, naive_official(tokens.numpy(), side), atol=1e-9)


def test_official_convention_equals_the_official_code():
    tokens = torch.sin(0.3 * torch.arange(2 * 197 * 3, dtype=torch.float64) ** 1.2).reshape(
        2, 197, 3
    )[:, 1:]
    # get_fourier_latents of github.com/naver-ai/cl-vs-mim, commit eafe516,
    # representation_analysis.ipynb, run on these tokens; it averages over images
    official = [0.0, 1.136768, 1.656799, 2.155109, 3.365016, 3.029561, 3.326057]
    np.testing.assert_allclose(
        relative_log_amplitude(tokens, (14, 14)).mean(0), official, atol=1e-6
    )


def test_official_convention_ends_before_the_nyquist_frequency():
    tokens = torch.randn(1, 196, 2, generator=torch.Generator().manual_seed(0))
    official, full = (relative_log_amplitude(tokens, (14, 14), c) for c in ("official", "nyquist"))
    assert official.shape == (1, 7) and full.shape == (1, 8)  # 6/7 pi against pi
    torch.testing.assert_close(full[:, :7], official)


def test_constant_map_has_no_high_frequency_and_a_checkerboard_peaks_at_nyquist():
    constant = relative_log_amplitude(torch.ones(1, 64, 1), (8, 8), "nyquist")[0]
    assert (constant[1:] < math.log(1e-6)).all()
    row = torch.arange(8)
    board = ((-1.0) ** (row[:, None] + row)).reshape(1, 64, 1) + 0.01
    assert relative_log_amplitude(board, (8, 8), "nyquist")[0].argmax() == 4


@given(scale=st.floats(0.1, 1000))
def test_ignores_scale(scale):
    tokens = 10 * torch.randn(
        1, 49, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    torch.testing.assert_close(
        relative_log_amplitude(tokens * scale, (7, 7)),
        relative_log_amplitude(tokens, (7, 7)),
        atol=1e-4,
        rtol=0,
    )


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="square"):
        relative_log_amplitude(torch.ones(1, 12, 2), (3, 4))
    with pytest.raises(ValueError, match="'official' or 'nyquist'"):
        relative_log_amplitude(torch.ones(1, 16, 2), (4, 4), "full")
