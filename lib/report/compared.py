"""The encoders that a page compares: trained ones from their cards, and random networks of the
same architectures."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from lib.encoders.card import CHECKPOINTS, Card, read_card
from lib.encoders.encoder import Encoder
from lib.encoders.load import load_encoder, random_encoder
from lib.report.judge import Compared

MOST_DRAWN = 6  # curves in a figure; of more encoders, the first of each method are drawn
NETWORKS = 2  # random networks of each architecture: what two of them differ by is not learned


@dataclass(frozen=True)
class Page:
    """Encoders, loaded, and what is known of them.

    Attributes:
        trained: in the order given.
        random: random networks, of every architecture among the trained.
        families: what figures draw -> family: the trained encoders, of more than ``MOST_DRAWN``
            the first of each method, and the first random network
            of each architecture. The others are in the tables and in the forest plots.
        compared: for the judge.
    """

    trained: list[Encoder]
    random: list[Encoder]
    families: dict[str, str]
    compared: Compared

    @property
    def every(self) -> list[Encoder]:
        """Trained encoders and random networks."""
        return [*self.trained, *self.random]

    @property
    def drawn(self) -> list[Encoder]:
        """Those that figures draw."""
        return [encoder for encoder in self.every if encoder.name in self.families]


def training_of(card: Card) -> str | None:
    """What a training and its repetitions from other seeds share; None where the card does not
    know seed or length.

    >>> card = read_card(CHECKPOINTS / "fashion/moco-v3-s-96k.yaml")
    >>> training_of(card).startswith("MoCo v3, 96,000 images")
    True
    """
    if card.seed is None or card.images_seen is None:
        return None
    recipe = " ".join(
        word
        for word in card.command.split()
        if "=" in word and not re.match("SEED=|NAME=|METHOD=|IMAGES=", word)
    )
    return f"{card.method}, {card.images_seen:,} images" + (f", {recipe}" if recipe else "")


def roles_of(card: Card, encoder: Encoder) -> set[str]:
    """The words of a rule's ``compares`` that fit an encoder: its family, its method,
    ``"encoder"``, and whether its activations are smooth."""
    piecewise = any(isinstance(module, nn.ReLU) for module in encoder.model.modules())
    return {card.family, card.method, "encoder", "piecewise" if piecewise else "smooth"}


def _kind(card: Card, by_pooling: bool) -> tuple[str, str, str]:
    return (
        card.architecture,
        repr(sorted(card.arguments.items())),
        card.pooling if by_pooling else "",
    )


def _labels(
    kinds: Iterable[tuple[str, str, str]], cards: dict[tuple, Card], widths: dict[tuple, int]
) -> dict[tuple, str]:
    """A name for the random networks of each kind: as short as tells them apart."""
    kinds = list(kinds)
    facts = {
        kind: [
            "ResNet" if cards[kind].pooling == "global_average" else "ViT",
            f"width {widths[kind]}",
            cards[kind].pooling.replace("_", " ") if kind[2] else "",
        ]
        for kind in kinds
    }
    telling = [i for i in range(3) if len({tuple(of[i : i + 1]) for of in facts.values()}) > 1]
    if 0 in telling and len({of[0] for of in facts.values()}) == len(kinds):
        telling = [0]
    return {
        kind: ", ".join(["random weights", *(facts[kind][i] for i in telling)]) for kind in kinds
    }


def load_page(
    names: list[str], dataset: str = "fashion", seed: int = 0, networks: int = NETWORKS, by_pooling: bool = False,
    qualified: dict[str, bool] | None = None,
) -> Page:  # fmt: skip
    """Load the encoders of a page and random networks of their architectures.

    Args:
        names: of cards.
        dataset: whose images the page measures.
        seed: of the first random network; the next ones have the next seeds.
        networks: random networks of each architecture.
        by_pooling: architectures that differ in pooling alone count as different; for pages that
            read the representation.
        qualified: of :class:`lib.report.judge.Compared`.
    """
    cards = {name: read_card(CHECKPOINTS / f"{name}.yaml") for name in names}
    trained = [load_encoder(name) for name in names]
    kinds = {name: _kind(card, by_pooling) for name, card in cards.items()}
    first = {kinds[name]: card for name, card in reversed(cards.items())}
    widths = {kinds[encoder.name]: encoder.model.num_features for encoder in trained}
    labels = _labels(dict.fromkeys(kinds.values()), first, widths)
    random: dict[tuple, list[Encoder]] = {kind: [] for kind in labels}
    for kind, label in labels.items():
        for network in range(networks):
            random[kind].append(random_encoder(first[kind], seed + network))
            random[kind][-1].name = label if network == 0 else f"{label} (seed {seed + network})"
    methods = {(card.method, kinds[name]): name for name, card in reversed(cards.items())}
    drawn = [name for name in names if len(names) <= MOST_DRAWN or name in methods.values()]
    families = {name: cards[name].family for name in drawn} | {
        of[0].name: "other" for of in random.values() if of
    }
    trainings = {name: training_of(card) for name, card in cards.items()}
    compared = Compared(
        roles={encoder.name: roles_of(cards[encoder.name], encoder) for encoder in trained},
        untrained={
            name: [encoder.name for encoder in random[kind]] for name, kind in kinds.items()
        },
        trainings={name: training for name, training in trainings.items() if training},
        qualified=qualified or {},
        dataset=dataset,
    )
    return Page(trained, [encoder for of in random.values() for encoder in of], families, compared)
