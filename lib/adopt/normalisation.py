"""How images are normalised before they enter an encoder: by name, or as numbers."""

import math

Statistics = tuple[list[float], list[float]]

# name -> mean and standard deviation of each channel, of images in [0, 1]
NORMALISATIONS: dict[str, Statistics] = {
    "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "half": ([0.5], [0.5]),
    "clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
    "none": ([0.0], [1.0]),
}


def statistics(asked: str, channels: int) -> Statistics:
    """Mean and standard deviation per channel of ``NORMALISATION=``.

    Args:
        asked: a name of :data:`NORMALISATIONS`, or numbers as ``m,m,m/s,s,s``.
        channels: of the encoder's images.

    Raises:
        ValueError: neither; another number of channels; see :func:`checked`.

    >>> statistics("half", 3)
    ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    >>> statistics("0.1/0.2", 1)
    ([0.1], [0.2])
    """
    if asked in NORMALISATIONS:
        mean, std = (
            values * channels if len(values) == 1 else values for values in NORMALISATIONS[asked]
        )
    else:
        try:
            mean, std = ([float(value) for value in part.split(",")] for part in asked.split("/"))
        except ValueError:
            raise ValueError(
                f"NORMALISATION= takes {', '.join(NORMALISATIONS)}, or mean and standard deviation"
                f" of each channel as m,m,m/s,s,s, got {asked!r}"
            ) from None
    return checked(mean, std, channels, f"NORMALISATION={asked}")


def checked(mean: list, std: list, channels: int, what: str) -> Statistics:
    """Mean and standard deviation, if they can be meant.

    Raises:
        ValueError: not one number a channel, not finite, a standard deviation that is not positive.
    """
    numbers = lambda values: (
        isinstance(values, list | tuple)
        and all(
            isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
            for v in values
        )
    )  # noqa: E731
    if (
        not numbers(mean)
        or not numbers(std)
        or len(mean) != channels
        or len(std) != channels
        or min(std) <= 0
    ):
        raise ValueError(
            f"{what}: expected a finite mean and a positive standard deviation for each of"
            f" {channels} channel(s), got mean {mean}, std {std}"
        )
    return [float(v) for v in mean], [float(v) for v in std]
