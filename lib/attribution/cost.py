"""What a call costs: evaluations of the encoder and processor time."""

import time
from collections.abc import Callable

from lib.encoders.encoder import Encoder


def cost(encoder: Encoder, run: Callable[[], object], images: int) -> dict[str, float]:
    """Evaluations of the encoder per image, and processor seconds per thousand images, of one call.

    Args:
        encoder: whose forward passes are counted, image by image.
        run: the call.
        images: number of images it handles.
    """
    seen = 0

    def count(_module: object, inputs: tuple, _output: object) -> None:
        nonlocal seen
        seen += len(inputs[0])

    # the patch embedding or the first convolution: once a forward pass
    first = next(iter(encoder.model.children()))
    hook = first.register_forward_hook(count)
    try:
        started = time.process_time()
        run()
        seconds = time.process_time() - started
    finally:
        hook.remove()
    return {
        "evaluations per image": seen / images,
        "seconds per 1,000 images": 1000 * seconds / images,
    }
