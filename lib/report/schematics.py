"""Schematics of ideas, drawn as SVG by code: ink is the page's own, so they read on white, on dark
and on paper.

Families differ in hue and in dash, what is measured is hatched or bold: nothing is told by colour
alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from IPython.display import HTML

CL, MIM, MEASURED = "cl", "mim", "measured"  # classes of study.css
WIDTH = (
    360  # of the view box, a phone's width: letters of 13 units are never smaller than on a phone
)
GARMENT = (  # in a square of 100
    "M30 8 L10 24 18 42 27 36 27 90 73 90 73 36 82 42 90 24 70 8 Q50 24 30 8Z"
)


def text(x: float, y: float, words: str, anchor: str = "middle", kind: str = "") -> str:
    """Words at a point of their base line."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def line(points: list[tuple[float, float]], kind: str = "", arrow: bool = False) -> str:
    """A polyline, with an arrow head at its end if wanted."""
    path = "M" + " L".join(f"{x:.4g} {y:.4g}" for x, y in points)
    head = ' marker-end="url(#arrow)"' if arrow else ""
    return f'<path d="{path}" class="line {kind}"{head}/>'


def arrow(x1: float, y1: float, x2: float, y2: float, kind: str = "") -> str:
    """A straight arrow."""
    return line([(x1, y1), (x2, y2)], kind, arrow=True)


def box(x: float, y: float, width: float, height: float, words: str = "", kind: str = "") -> str:
    """A rounded box with words in its middle."""
    shape = (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" class="box'
        f' {kind}"/>'
    )
    return shape + (text(x + width / 2, y + height / 2 + 4.5, words) if words else "")


def dot(x: float, y: float, kind: str = "", radius: float = 4.5) -> str:
    """A filled point."""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="dot {kind}"/>'


def garment(
    x: float, y: float, side: float, kind: str = "", turn: float = 0, zoom: float = 1
) -> str:
    """A garment in a frame; ``turn`` degrees and ``zoom`` make it an augmented view."""
    scale = side / 100
    pose = f"translate({x:g} {y:g}) scale({scale:g})"
    inside = (
        f"rotate({turn:g} 50 50) translate({50 - 50 * zoom:g} {50 - 50 * zoom:g}) scale({zoom:g})"
    )
    body = f'<path d="{GARMENT}" class="garment" transform="{inside}"/>'
    return (
        f'<svg x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" viewBox="0 0 100 100"'
        f' class="{kind}">{body}</svg><rect x="0" y="0" width="100" height="100" class="frame"'
        f' transform="{pose}"/>'
    )


def cells(
    x: float,
    y: float,
    side: float,
    count: int,
    opacity: Callable[[int, int], float],
    kind: str = "",
) -> str:
    """A grid of ``count`` by ``count`` patches, each as opaque as ``opacity(row, column)`` says."""
    step = side / count
    return "".join(
        f'<rect x="{x + column * step:g}" y="{y + row * step:g}" width="{step:g}" height="{step:g}"'
        f' class="cell {kind}" fill-opacity="{opacity(row, column):.2f}"/>'
        for row in range(count)
        for column in range(count)
    )


def axes(x: float, y: float, width: float, height: float, across: str, up: str) -> str:
    """Two axes with their origin at (x, y), the lower left corner, and their names."""
    drawn = arrow(x, y, x + width, y) + arrow(x, y, x, y - height)
    return drawn + text(x + width, y + 16, across, "end") + text(x, y - height - 6, up, "start")


HIDDEN = {(0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2), (3, 3)}


def hidden_patches(x: float, y: float, side: float) -> str:
    """Hatched patches over an image, as a mask of masked image modelling."""
    step = side / 4
    cover = (
        f'<rect x="{x + c * step:g}" y="{y + r * step:g}" width="{step:g}" height="{step:g}"'
        ' class="hatched"/>'
        for r, c in sorted(HIDDEN)
    )
    return "".join(cover)


def contrastive_learning() -> str:
    views = arrow(62, 75, 88, 45) + arrow(62, 95, 88, 125)
    return "".join(
        [
            garment(6, 60, 52),
            text(32, 130, "image"),
            views,
            garment(92, 18, 48, turn=-18, zoom=1.2),
            garment(92, 104, 48, turn=12, zoom=0.8),
            text(116, 94, "two views"),
            arrow(144, 42, 168, 66),
            arrow(144, 128, 168, 104),
            box(170, 62, 56, 46, "encoder"),
            arrow(230, 85, 252, 85),
            f'<circle cx="304" cy="85" r="44" class="line {CL}"/>',
            dot(283, 46, CL),
            dot(314, 42, CL),
            arrow(308, 52, 289, 56, CL),
            text(356, 26, "one image: together", "end"),
            dot(269, 112),
            dot(333, 118),
            dot(346, 74),
            arrow(304, 78, 276, 105, "dashed"),
            arrow(304, 78, 328, 110, "dashed"),
            text(356, 150, "other images: apart", "end"),
        ]
    )


def masked_image_modelling() -> str:
    return "".join(
        [
            garment(6, 30, 60),
            text(36, 108, "image"),
            arrow(70, 60, 84, 60),
            garment(88, 30, 60),
            hidden_patches(88, 30, 60),
            text(118, 108, "most hidden"),
            arrow(152, 60, 164, 60),
            box(166, 38, 58, 44, "encoder", MIM),
            arrow(226, 60, 236, 60),
            box(238, 38, 42, 44, "head"),
            arrow(282, 60, 292, 60),
            garment(294, 30, 60, kind=MIM),
            text(324, 108, "filled in"),
            line([(324, 116), (324, 134), (36, 134), (36, 116)], "dashed"),
            text(180, 152, "loss: pixels of the hidden patches alone"),
        ]
    )


def ssla_path() -> str:
    steps = [
        garment(8 + 66 * t, 16, 50, kind=f"fade{t}") + text(33 + 66 * t, 82, name)
        for t, name in enumerate(("x₀", "x₁", "x₂", "…", "x_T"))
    ]
    moves = [arrow(60 + 66 * t, 41, 72 + 66 * t, 41) for t in range(4)]
    scores = [(60, 122), (110, 138), (165, 160), (220, 176), (300, 186)]
    return "".join(
        [
            *steps,
            *moves,
            text(180, 102, "each step: every pixel moves against the gradient of S"),
            axes(40, 210, 300, 80, "step t", "S"),
            line(scores, f"bold {CL}"),
            *(dot(*p, CL) for p in scores),
            line([(60, 122), (312, 122)], "dashed"),
            line([(312, 126), (312, 182)], "bold"),
            text(306, 152, "fall = Σ attribution", "end"),
        ]
    )


def mask_and_attack() -> str:
    important = {(1, 1), (1, 2), (2, 1), (2, 2)}
    strength = {(r, c): 0.85 if (r, c) in important else 0.12 for r in range(4) for c in range(4)}
    rows = []
    for y, words, shield in (
        (24, "important", important),
        (128, "unimportant", set(strength) - important),
    ):
        rows += [
            cells(8, y, 56, 4, lambda r, c: strength[r, c], MEASURED),
            arrow(68, y + 28, 82, y + 28),
            garment(86, y, 56),
            "".join(
                f'<rect x="{86 + 14 * c}" y="{y + 14 * r}" width="14" height="14" class="shield"/>'
                for r, c in sorted(shield)
            ),
            text(166, y + 18, "attack"),
            arrow(146, y + 28, 188, y + 28, "bold"),
            box(192, y + 10, 58, 36, "encoder"),
            arrow(252, y + 28, 264, y + 28),
            text(114, y + 72, f"{words} protected"),
        ]
    clean = arrow(270, 76, 338, 76) + arrow(270, 180, 338, 180)
    near, away = arrow(270, 76, 332, 58, f"bold {CL}"), arrow(270, 180, 300, 124, f"bold {MIM}")
    words = (
        text(356, 46, "stays near", "end")
        + text(356, 116, "turns away", "end")
        + text(352, 92, "f(x)", "end")
        + text(352, 196, "f(x)", "end")
    )
    return "".join([text(8, 16, "attribution", "start"), *rows, clean, near, away, words])


def attention_distance() -> str:
    grid = lambda x: cells(x, 26, 126, 6, lambda r, c: 0.06)
    near, far = [(2, 1), (1, 2), (3, 2), (2, 3)], [(0, 5), (5, 5), (5, 0), (0, 0)]
    centre = lambda x, r, c: (x + 21 * c + 10.5, 26 + 21 * r + 10.5)
    draw = lambda x, ends, kind: "".join(
        arrow(*centre(x, 2, 2), *centre(x, *e), f"bold {kind}") for e in ends
    )
    return "".join(
        [
            grid(24),
            draw(24, near, MIM),
            dot(*centre(24, 2, 2)),
            text(87, 16, "short: looks around itself"),
            grid(210),
            draw(210, far, CL),
            dot(*centre(210, 2, 2)),
            text(273, 16, "long: looks everywhere"),
            text(180, 176, "distance = Σ attention × pixels from query to key"),
        ]
    )


def mutual_information() -> str:
    diagonal = lambda r, c: 0.9 if r == c else 0.05
    same = lambda r, c: 0.9 if c == 3 else 0.05
    return "".join(
        [
            text(92, 16, "each query its own keys"),
            cells(38, 28, 108, 6, diagonal, MIM),
            text(92, 154, "query tells key: high"),
            text(268, 16, "all queries the same keys"),
            cells(214, 28, 108, 6, same, CL),
            text(268, 154, "query tells nothing: 0"),
            text(180, 178, "rows: queries · columns: keys · dark: attention"),
        ]
    )


def token_similarity() -> str:
    def fan(x: float, ends: list[tuple[float, float]], kind: str) -> str:
        return "".join(arrow(x, 130, x + dx, 130 - dy, f"bold {kind}") for dx, dy in ends)

    return "".join(
        [
            text(90, 18, "alike: cosine near 1"),
            fan(60, [(52, 74), (62, 66), (70, 56), (42, 82)], CL),
            text(270, 18, "unlike: cosine near 0"),
            fan(262, [(-66, 24), (-26, 78), (40, 72), (74, 14)], MIM),
            text(180, 156, "an arrow a token, head or depth; mean over pairs"),
        ]
    )


def token_shift() -> str:
    starts = [(40, 60), (70, 100), (100, 52), (120, 92), (60, 132)]
    ends = [(20, 40), (66, 130), (122, 26), (150, 112), (34, 152)]
    together = "".join(dot(x, y) + arrow(x, y, x + 34, y - 18, f"bold {CL}") for x, y in starts)
    apart = "".join(
        dot(x + 186, y) + arrow(x + 186, y, a + 186, b, f"bold {MIM}")
        for (x, y), (a, b) in zip(starts, ends, strict=True)
    )
    return "".join(
        [
            text(90, 16, "one shift for all tokens"),
            together,
            text(270, 16, "every token its own"),
            apart,
            text(180, 178, "tokens before self-attention, and where it moves them"),
        ]
    )


def singular_spectrum() -> str:
    cloud = [
        (-52, -20),
        (-34, -6),
        (-20, -16),
        (-6, 6),
        (8, -6),
        (20, 10),
        (34, 4),
        (50, 22),
        (-14, 12),
        (30, -12),
    ]
    return "".join(
        [
            text(80, 20, "tokens of one image"),
            *(dot(80 + x, 82 + y, "", 3.5) for x, y in cloud),
            arrow(80, 82, 142, 104, "bold"),
            arrow(80, 82, 69, 112, "bold"),
            text(150, 112, "1"),
            text(60, 124, "2"),
            axes(200, 140, 150, 112, "direction", "log variance"),
            line([(206, 40), (232, 52), (264, 62), (300, 74), (338, 86)], f"bold dashed {MIM}"),
            text(346, 52, "many directions", "end"),
            line([(206, 40), (222, 84), (250, 108), (338, 126)], f"bold {CL}"),
            text(346, 110, "few directions", "end"),
        ]
    )


def fourier_amplitude() -> str:
    rings = "".join(
        f'<circle cx="226" cy="74" r="{r}" class="line{" bold" if r == 48 else ""}"/>'
        for r in (16, 32, 48)
    )
    return "".join(
        [
            cells(8, 26, 96, 8, lambda r, c: (r * 7 + c * 5) % 8 / 10),
            text(6, 142, "feature over patches", "start"),
            arrow(112, 74, 168, 74),
            text(140, 64, "Fourier"),
            rings,
            dot(226, 74, CL, 5),
            text(226, 142, "frequencies"),
            arrow(230, 70, 286, 42, CL),
            text(290, 38, "centre:", "start"),
            text(290, 54, "smooth", "start"),
            arrow(262, 108, 286, 108, MIM),
            text(290, 106, "rim: edges,", "start"),
            text(290, 122, "texture", "start"),
            text(180, 172, "Δ log amplitude = rim relative to centre"),
        ]
    )


def linear_probe_or_fine_tuning() -> str:
    rows = []
    for y, words, kind in (
        (18, "linear probe: encoder frozen", "dashed"),
        (104, "fine-tuning: everything moves", f"bold {MIM}"),
    ):
        rows += [
            text(8, y, words, "start"),
            garment(8, y + 10, 44),
            arrow(56, y + 32, 76, y + 32),
            box(80, y + 12, 92, 40, "encoder", kind),
            arrow(176, y + 32, 200, y + 32),
            box(204, y + 12, 64, 40, "linear", f"bold {CL}"),
            arrow(272, y + 32, 296, y + 32),
            text(300, y + 36, "class", "start"),
        ]
    return "".join(rows) + text(180, 182, "bold: trained with labels · dashed: as pre-trained")


def cue_conflict() -> str:
    stripes = (
        f'<path d="{GARMENT}" class="garment hatched-fill" transform="translate(20 20) scale(.8)"/>'
    )
    return "".join(
        [
            stripes,
            '<rect x="20" y="20" width="80" height="80" class="frame"/>',
            text(60, 120, "shape of a top,"),
            text(60, 136, "texture of a bag"),
            arrow(112, 60, 140, 60),
            box(144, 38, 64, 44, "encoder"),
            arrow(212, 52, 240, 34),
            arrow(212, 68, 240, 92),
            text(244, 38, "“top”: by shape", "start"),
            text(244, 98, "“bag”: by texture", "start"),
            text(180, 164, "shape fraction = shape / (shape + texture) decisions"),
        ]
    )


def hybrid_loss() -> str:
    return "".join(
        [
            box(8, 20, 132, 40, "masked modelling", MIM),
            box(220, 20, 132, 40, "contrastive", f"dashed {CL}"),
            arrow(76, 64, 150, 92),
            arrow(284, 64, 210, 92),
            text(82, 94, "1 − λ", "middle"),
            text(280, 94, "λ", "middle"),
            box(146, 92, 68, 38, "encoder"),
            line([(40, 160), (320, 160)], "bold"),
            *(line([(40 + 56 * k, 154), (40 + 56 * k, 166)]) for k in range(6)),
            dot(96, 160, MEASURED, 6),
            text(40, 184, "λ = 0", "middle"),
            text(96, 184, "0.2", "middle"),
            text(320, 184, "1", "middle"),
        ]
    )


def token_map() -> str:
    tight = [
        (50, 60),
        (56, 68),
        (44, 66),
        (52, 52),
        (118, 48),
        (124, 56),
        (112, 58),
        (120, 66),
        (84, 112),
        (92, 118),
        (78, 120),
        (88, 106),
    ]
    shape = lambda x, y, i: (
        dot(x, y)
        if i < 4
        else (
            f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8" class="box"/>'
            if i < 8
            else f'<path d="M{x} {y - 5} l5 9 h-10z" class="dot"/>'
        )
    )
    mixed = [
        (46, 56),
        (112, 110),
        (80, 76),
        (124, 70),
        (60, 100),
        (96, 60),
        (78, 44),
        (120, 100),
        (50, 80),
        (98, 92),
        (88, 118),
        (110, 48),
    ]
    return "".join(
        [
            text(90, 18, "clusters by image"),
            *(shape(x, y, i) for i, (x, y) in enumerate(tight)),
            text(270, 18, "images mingle"),
            *(shape(x + 184, y, i) for i, (x, y) in enumerate(mixed)),
            text(180, 154, "one mark a token; its form tells the image it is from"),
        ]
    )


def blocks_by_depth() -> str:
    stack = "".join(
        box(96 + 40 * k, 40, 30, 56, str(k + 1)) + arrow(88 + 40 * k, 68, 95 + 40 * k, 68)
        for k in range(5)
    )
    probes = "".join(
        arrow(111 + 40 * k, 100, 111 + 40 * k, 124, MIM if k > 2 else CL) for k in range(5)
    )
    return "".join(
        [
            garment(14, 40, 56),
            stack,
            text(196, 28, "blocks"),
            probes,
            box(96, 128, 190, 34, "the same question to each"),
            text(320, 100, "depth →", "middle"),
        ]
    )


def decoder_in_the_encoder() -> str:
    blocks = "".join(box(66 + 31 * k, 52, 25, 44, "", CL if k < 4 else MIM) for k in range(8))
    return "".join(
        [
            garment(6, 46, 54),
            blocks,
            line([(66, 112), (184, 112)], "bold"),
            text(125, 130, "learns what is there"),
            line([(190, 112), (308, 112)], "bold dashed"),
            text(250, 130, "turns back to pixels"),
            text(186, 38, "SimMIM: the last blocks serve as the decoder"),
            hidden_patches(314, 50, 44),
            '<rect x="314" y="50" width="44" height="44" class="frame"/>',
        ]
    )


def object_overlap() -> str:
    heat = lambda r, c: 0.8 if 1 <= r <= 4 and 2 <= c <= 3 else 0.15
    return "".join(
        [
            garment(14, 22, 96),
            text(62, 138, "garment (truth)"),
            text(134, 74, "∩"),
            cells(158, 22, 96, 6, heat, MEASURED),
            text(206, 138, "where it looks"),
            text(276, 74, "→"),
            text(290, 66, "share on", "start"),
            text(290, 82, "the object", "start"),
        ]
    )


@dataclass(frozen=True)
class Schematic:
    """A drawing with its words.

    Attributes:
        draw: its SVG elements, in a view box of width 360.
        height: of the view box.
        caption: what to see.
        alt: what is drawn, for those who cannot see it.
    """

    draw: Callable[[], str]
    height: int
    caption: str
    alt: str


SCHEMATICS = {
    "contrastive learning": Schematic(contrastive_learning, 160,
        "Contrastive learning: two views of one image must land together, other images apart.",
        "An image becomes two altered views; an encoder puts both at nearly one place of a sphere,"
        " and other images elsewhere.",
    ),
    "masked image modelling": Schematic(masked_image_modelling, 160,
        "Masked image modelling: hidden patches must be filled in from the visible ones.",
        "An image, the same image with most patches hatched, an encoder and a small head, and the"
        " image filled in; the loss joins the first and the last.",
    ),
    "SSLA": Schematic(ssla_path, 232,
        "SSLA: walk until the encoder no longer recognises the image, and note which pixels made"
        " the score fall.",
        "Five garments that fade from x0 to xT, and below them the falling score S; its whole fall"
        " is the sum of the attribution.",
    ),
    "mask and attack": Schematic(mask_and_attack, 206,
        "Mask and attack: protect what the attribution calls important, attack the rest, and see"
        " how far the representation turns.",
        "Two rows: with the important pixels protected the attacked representation stays near, with"
        " the unimportant ones protected it turns away.",
    ),
    "attention distance": Schematic(attention_distance, 186,
        "Attention distance: how far from itself a query looks, weighted by attention.",
        "Two grids of patches with arrows from one query: short arrows to neighbours on the left,"
        " long ones to the corners on the right.",
    ),
    "mutual information": Schematic(mutual_information, 188,
        "Normalised mutual information: does knowing the query tell where attention goes?",
        "Two attention matrices: one dark along the diagonal, where query tells key, one dark in a"
        " single column, where it tells nothing.",
    ),
    "similarity": Schematic(token_similarity, 166,
        "Cosine similarity: do tokens, heads or depths point the same way?",
        "Two fans of arrows: narrow, with cosine near one, and wide, with cosine near zero.",
    ),
    "token shift": Schematic(token_shift, 188,
        "Token shift: does self-attention move all tokens by one vector, or each by its own?",
        "Points with arrows: parallel ones on the left, diverging ones on the right.",
    ),
    "singular spectrum": Schematic(singular_spectrum, 164,
        "Singular spectrum: along how many directions does a cloud of tokens spread?",
        "A cloud of points with its two main directions; beside it log variance by direction, one"
        " flat curve and one steep.",
    ),
    "Fourier amplitude": Schematic(fourier_amplitude, 182,
        "Fourier amplitude: how much of a feature changes quickly from patch to patch.",
        "A grid of values is turned into frequencies: the centre is smooth, the rim edges and"
        " texture.",
    ),
    "readings": Schematic(linear_probe_or_fine_tuning, 190,
        "Two readings of one encoder: a linear probe asks what is there, fine-tuning what it can"
        " become.",
        "Two rows of image, encoder, linear layer and class; the encoder is dashed, frozen, in the"
        " first and bold, trained, in the second.",
    ),
    "cue conflict": Schematic(cue_conflict, 174,
        "Cue conflict: the silhouette says one class, the texture another.",
        "A striped top enters an encoder, which may answer top, by shape, or bag, by texture.",
    ),
    "hybrid": Schematic(hybrid_loss, 194,
        "A hybrid minimises (1 − λ) of one loss and λ of the other.",
        "Two boxes, masked modelling weighed by one minus lambda and contrastive weighed by lambda,"
        " lead to one encoder; below a scale of lambda from zero to one.",
    ),
    "token map": Schematic(token_map, 164,
        "Token map: do the tokens of an image keep together?",
        "Two scatter plots of tokens with three forms: in three clusters on the left, mingled on"
        " the right.",
    ),
    "depth": Schematic(blocks_by_depth, 170,
        "By depth: the same question is put to the output of every block.",
        "An image passes five blocks in a row; an arrow leads from each to one question.",
    ),
    "decoder": Schematic(decoder_in_the_encoder, 142,
        "Without a decoder of its own, an encoder's last blocks have to turn features back into"
        " pixels.",
        "An image, eight blocks of which the first four learn what is there and the last four turn"
        " back to pixels, and the hidden patches to fill in.",
    ),
    "object overlap": Schematic(object_overlap, 148,
        "Overlap: how much of what it looks at lies on the object?",
        "A garment, a map of attention, and the share of the map that lies on the garment.",
    ),
}  # fmt: skip

DEFINITIONS = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="6.5" refY="4" markerWidth="6"'
    ' markerHeight="6" orient="auto-start-reverse"><path d="M0 0 L8 4 0 8Z"'
    ' fill="context-stroke"/></marker><pattern id="hatch" width="5" height="5"'
    ' patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V5"'
    ' stroke="currentColor" stroke-width="2.4"/></pattern></defs>'
)


def schematic_svg(name: str) -> str:
    """The SVG element of a schematic, to be set inline; ``study.css`` colours it.

    Args:
        name: one of ``SCHEMATICS``.

    Raises:
        ValueError: another name.
    """
    if name not in SCHEMATICS:
        raise ValueError(f"name is one of {sorted(SCHEMATICS)}, got {name!r}")
    chosen = SCHEMATICS[name]
    own = (  # identifiers of a page must differ, and each drawing defines its arrow head
        f"schematic-{name.lower().replace(' ', '-')}"
    )
    drawn = (
        (DEFINITIONS + chosen.draw())
        .replace('id="', f'id="{own}-')
        .replace("url(#", f"url(#{own}-")
    )
    hatched = f"<style>#{own} .hatched,#{own} .hatched-fill{{fill:url(#{own}-hatch)}}</style>"
    return (
        f'<svg id="{own}" role="img" viewBox="0 0 {WIDTH} {chosen.height}"'
        f' aria-label="{escape(chosen.alt)}">{hatched}{drawn}</svg>'
    )


def show_schematic(*names: str) -> HTML:
    """Schematics side by side, one below the other on a phone, each with its caption."""
    parts = (
        "<div"
        f' class="schematic">{schematic_svg(name)}<p>{escape(SCHEMATICS[name].caption)}</p></div>'
        for name in names
    )
    return HTML(f'<div class="schematics">{"".join(parts)}</div>')
