"""Encoders of which a part has lost what it learned."""

import copy

from torch import nn

from lib.encoders.encoder import Encoder


def stages(model: nn.Module) -> list[nn.Module]:
    """Parts of a timm model from input to output: stem, blocks or stages, norm.

    Raises:
        TypeError: none of ViT, ResNet, ConvNeXt, Swin.
    """
    if hasattr(model, "blocks"):
        return [model.patch_embed, *model.blocks, model.norm]
    if hasattr(model, "layer4"):
        return [
            nn.ModuleList([model.conv1, model.bn1]),
            model.layer1,
            model.layer2,
            model.layer3,
            model.layer4,
        ]
    if hasattr(model, "stages") and hasattr(model, "stem"):
        return [model.stem, *model.stages, nn.ModuleList([model.norm_pre, model.head])]
    if hasattr(model, "layers") and hasattr(model, "patch_embed"):
        return [model.patch_embed, *model.layers, model.norm]
    raise TypeError(f"expected a timm ViT, ResNet, ConvNeXt or Swin, got {type(model).__name__}")


def cascade(encoder: Encoder, random: Encoder) -> list[Encoder]:
    """The encoder with more and more of its stages, from the last to the first, taken from a random
    one of the same architecture.

    Class token and positions stay. Adebayo et al. (2018), *Sanity Checks for Saliency Maps*,
    cascading randomisation.

    Args:
        encoder: stays as it is.
        random: of the same architecture.

    Returns:
        ``1 + stages`` encoders, the first an equal one, the last with every stage random.

    Raises:
        TypeError: none of ViT, ResNet, ConvNeXt, Swin.
    """
    found = []
    for count in range(len(stages(encoder.model)) + 1):
        model = copy.deepcopy(encoder.model)
        kept = len(stages(model)) - count
        for mine, theirs in list(zip(stages(model), stages(random.model), strict=True))[kept:]:
            mine.load_state_dict(theirs.state_dict())
        found.append(encoder.holding(model))
    return found
