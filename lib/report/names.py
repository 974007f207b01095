"""Names of encoders that a reader understands: the method, and only what tells encoders of one
method apart."""

import re
from pathlib import Path

from lib.encoders.card import CHECKPOINTS, Card, read_card


def _facts(card: Card) -> list[str]:
    """What may differ between encoders of one method, the most telling first."""
    weight = re.search(r"WEIGHT=([\d.]+)", card.command or "")
    width = card.arguments.get("embed_dim")
    return [
        f"λ = {float(weight[1]):g}" if weight else "",
        "ResNet" if card.pooling == "global_average" else "ViT",
        f"width {width}" if width else "",
        f"{card.images_seen / 1000:.0f}k images" if card.images_seen else "",
        f"seed {card.seed}" if card.seed is not None else "",
    ]


def plain_names(encoders: list[str], root: Path = CHECKPOINTS) -> dict[str, str]:
    """A name for each encoder: its card's method (*hybrid* of two losses), followed by the facts in
    which encoders of that method differ.

    Args:
        encoders: names such as ``"fashion/moco-v3-s"``; what has no card keeps
            its name, such as ``"random weights"``, without its group.
        root: of the cards.

    Returns:
        encoder -> name, all different.

    >>> plain_names(["fashion/moco-v3-s", "fashion/simmim-s", "random weights"])
    {'fashion/moco-v3-s': 'MoCo v3', 'fashion/simmim-s': 'SimMIM', 'random weights': 'random weights'}
    >>> plain_names(["fashion/moco-v3-s", "fashion/moco-v3-r"])
    {'fashion/moco-v3-s': 'MoCo v3, ViT', 'fashion/moco-v3-r': 'MoCo v3, ResNet'}
    """
    cards = {
        name: read_card(root / f"{name}.yaml")
        for name in encoders
        if (root / f"{name}.yaml").is_file()
    }
    names = {name: name.rpartition("/")[2] for name in encoders}
    for method in dict.fromkeys(card.method for card in cards.values()):
        group = [name for name, card in cards.items() if card.method == method]
        label = dict.fromkeys(group, "hybrid" if _facts(cards[group[0]])[0] else method)
        for facts in zip(*(_facts(cards[name]) for name in group), strict=True):
            if len(set(label.values())) < len(group) and len(set(facts)) > 1:
                label |= {
                    name: f"{label[name]}, {fact}" if fact else label[name]
                    for name, fact in zip(group, facts, strict=True)
                }
        alike = len(set(label.values())) < len(group)
        names |= {
            name: f"{label[name]}, {name.rpartition('/')[2]}" if alike else label[name]
            for name in group
        }
    return names
