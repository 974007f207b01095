"""Explorers say the truth in their data, and work in a browser: by mouse, finger and keys, at both widths, without a request."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from lib.attribution.mask_and_attack import Attack, mask_and_attack
from lib.attribution.ssla import ssla
from lib.data.images import Images
from lib.encoders.architecture import vit_arguments
from lib.encoders.card import Card
from lib.encoders.encoder import Encoder
from lib.encoders.load import random_encoder
from lib.report.explorers import (
    attack_explorer,
    attacked,
    attention_explorer,
    coded,
    direction_explorer,
    every_map,
    hybrid_explorer,
    path_explorer,
    principal_directions,
    token_explorer,
)
from lib.run.layout import ROOT
from tests.browser import ask, needs_browser

STATIC = ROOT / "book" / "_static"


def encoder(name, family, seed):
    arguments = vit_arguments("ti") | {"depth": 2}
    facts = dict(
        images_seen=None,
        seconds=None,
        command="",
        commit="",
        data="",
        seed=0,
        licence="MIT",
        source="",
        sha256="",
    )
    card = Card(
        "test",
        family,
        "vit_tiny_patch16_224",
        arguments,
        4,
        1,
        [0.3],
        [0.35],
        "class_token",
        **facts,
    )
    made = random_encoder(card, seed)
    return Encoder(made.model, [0.3], [0.35], "class_token", name, family)


@pytest.fixture(scope="module")
def encoders():
    return [encoder("a", "CL", 0), encoder("b", "MIM", 1)]


@pytest.fixture(scope="module")
def images():
    pixels = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return Images((pixels * 255).round() / 255, torch.tensor([0, 0, 1, 1]), None, ("coat", "bag"))


LABELS = {"a": "Alpha", "b": "Beta"}


def data_of(html):
    return json.loads(
        BeautifulSoup(html.data, "html.parser").select_one('script[type="application/json"]').string
    )


def decoded(text):
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8) / 255


@pytest.fixture(scope="module")
def walks(encoders, images):
    z = {
        e.name: torch.nn.functional.normalize(e(images.images.flip(-1)).detach(), dim=1)
        for e in encoders
    }
    return z, path_explorer(encoders, images, z, 4, LABELS)


RATES = (0.0, 0.5, 1.0)
ATTACK = Attack(3, 0.02)


@pytest.fixture(scope="module")
def attacks(encoders, images):
    found = {
        e.name: [attacked(e, x, x, RATES, ATTACK, i) for i, x in enumerate(images.images[:2])]
        for e in encoders
    }
    return found, attack_explorer(found, images.subset(torch.arange(2)), RATES, LABELS)


@pytest.fixture(scope="module")
def every(encoders, images, walks, attacks):
    tokens = {e.name: e.patch_tokens(images.images) for e in encoders}
    points = {name: t[..., :2].numpy() for name, t in tokens.items()}
    families = {e.name: e.family for e in encoders}
    return {
        "attention": attention_explorer(encoders, images, LABELS),
        "path": walks[1],
        "attack": attacks[1],
        "hybrid": hybrid_explorer(encoders, images, [0.0, 1.0], {"probe": [0.5, 0.7]}),
        "tokens": token_explorer(points, tokens, images, (7, 7), LABELS),
        "directions": direction_explorer(tokens, families, images, (7, 7), LABELS),
    }


def test_coded_values_are_within_half_a_step():
    values = torch.rand(100)
    assert np.abs(decoded(coded(values)) - values.numpy()).max() <= 0.5 / 255 + 1e-7


def test_attention_maps_are_those_of_the_encoder(every, encoders, images):
    data = data_of(every["attention"])
    for e, shown in zip(encoders, data["encoders"], strict=True):
        kept = []
        e.observe(images.images[:1], lambda block: kept.append(block.attention[0, :, 1:, 1:]))
        expected = torch.stack([(a / a.sum(-1, keepdim=True)).mean(0) for a in kept])
        found = decoded(shown["maps"][0]).reshape(2, 49, 49) ** 2
        assert np.abs(found - expected.numpy()).max() < 0.5 / 255 * 2 + 1e-4


def test_path_ends_at_the_attribution_of_ssla(encoders, images, walks):
    z, html = walks
    for e, shown in zip(encoders, data_of(html)["encoders"], strict=True):
        expected = ssla(e, images.images, z[e.name], 4)
        assert np.allclose(
            [run["scores"] for run in shown["runs"]], expected.scores.numpy(), atol=1e-4
        )
        assert np.allclose(
            [run["sums"][-1] for run in shown["runs"]],
            expected.attribution.flatten(1).sum(1).numpy(),
            atol=1e-4,
        )
        last = decoded(shown["runs"][1]["attributions"]).reshape(5, 28, 28)[-1]
        map_of = expected.attribution[1, 0].numpy()
        assert np.abs(last - map_of / map_of.max()).max() < 0.5 / 255 + 1e-6


def test_attacked_images_have_the_scores_of_mask_and_attack(encoders, images, attacks):
    for e in encoders:
        for strategy in ("important", "unimportant", "random"):
            expected = mask_and_attack(
                e, images.images[:2], images.images[:2], RATES, strategy, ATTACK, torch.arange(2)
            )
            found = torch.stack([result[strategy]["scores"] for result in attacks[0][e.name]])
            assert torch.allclose(found, expected, atol=1e-5)


def test_protected_pixels_are_untouched(images, attacks):
    for x, result in zip(images.images[:2], attacks[0]["a"], strict=True):
        for of_strategy in result.values():
            for k in range(len(RATES)):
                protected = of_strategy["protected_from"] <= k
                assert torch.equal(of_strategy["images"][k][:, protected], x[:, protected])
            assert (of_strategy["protected_from"] == 0).sum() == 0 and (
                of_strategy["protected_from"] <= 2
            ).all()


def test_directions_are_those_of_a_covariance():
    tokens = torch.rand(20, 6, dtype=torch.double)
    coordinates, variances = principal_directions(tokens, 6)
    expected = np.linalg.eigvalsh(np.cov(tokens.numpy().T))[::-1]
    assert np.allclose(variances.numpy(), expected)
    assert np.allclose(coordinates.var(1).numpy(), expected)


def test_readings_must_fit_the_encoders(encoders, images):
    with pytest.raises(ValueError, match="one value for each of 2 encoders, got .*'probe': 1"):
        hybrid_explorer(encoders, images, [0.0, 1.0], {"probe": [0.5]})


def test_each_carries_a_still_picture_and_a_table(every):
    for html in every.values():
        soup = BeautifulSoup(html.data, "html.parser")
        assert len(soup.select_one(".still img")["alt"]) > 20
        assert len(soup.select("table tbody tr")) > 0


@pytest.fixture(scope="module")
def page(every, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorers")
    for name in ("explorers.js", "explorers.css", "encoder.js", "study.css"):
        shutil.copyfile(STATIC / name, folder / name)
    links = (
        '<link rel="stylesheet" href="study.css"><link rel="stylesheet"'
        ' href="explorers.css"><script defer src="explorers.js"></script>'
    )
    path = folder / "page.html"
    body = "".join(html.data for html in every.values())
    path.write_text(
        '<!doctype html><html lang="en" data-theme="dark"><head><meta'
        f' charset="utf-8">{links}</head><body>{body}</body></html>',
        encoding="utf-8",
    )
    return path


PIXELS = """
const one = (selector) => document.querySelector(selector);
const pixels = (canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data].join();
const all = (kind) => [...document.querySelectorAll(`[data-explorer=${kind}] canvas`)].map(pixels).join();
const changes = async (kind, act) => { const before = all(kind); await act(); await wait(30); return before !== all(kind); };
const press = (node, key) => node.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const slide = (kind, value) => { const input = one(`[data-explorer=${kind}] input[type=range]`); input.value = value; input.dispatchEvent(new Event("input", { bubbles: true })); };
const touch = (node, x, y, pointerType) => {
  const box = node.getBoundingClientRect();
  node.setPointerCapture = () => {};  // a made-up pointer cannot be captured
  node.dispatchEvent(new PointerEvent("pointerdown", { clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerType, buttons: 1, bubbles: true, cancelable: true }));
};
"""


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_explorers_answer_to_mouse_finger_and_keys(page, width):
    answer = ask(
        page,
        PIXELS
        + """
        const pick = one("[data-explorer=attention] .picker"), cloud = one("[data-explorer=tokens] .cloud");
        return {
          mouse: await changes("attention", () => touch(pick, 0.1, 0.9, "mouse")),
          finger: await changes("attention", () => touch(pick, 0.9, 0.1, "touch")),
          keys: await changes("attention", () => press(pick, "ArrowLeft")),
          image: await changes("attention", () => one("[data-explorer=attention] .thumbnails button:nth-child(2)").click()),
          path: await changes("path", () => slide("path", 0)),
          attack: await changes("attack", () => slide("attack", 0)),
          hybrid: await changes("hybrid", () => slide("hybrid", 1)),
          hybrid_patch: await changes("hybrid", () => press(one("[data-explorer=hybrid] .picker"), "ArrowUp")),
          directions: await changes("directions", () => slide("directions", 3)),
          tokens: await changes("tokens", () => touch(cloud, 0.5, 0.5, "touch")),
          tokens_keys: await changes("tokens", () => press(cloud, "ArrowDown")),
          focusable: [...document.querySelectorAll(".picker:not(.small), .cloud")].every((node) => node.tabIndex === 0),
          named: [...document.querySelectorAll("canvas[role=img], .picker:not(.small), .cloud")].every((node) => node.getAttribute("aria-label")),
          sideways: document.documentElement.scrollWidth > innerWidth,
          width: innerWidth,
        };""",
        width,
    )
    found = answer["found"]
    assert found.pop("width") == width
    assert found.pop("sideways") is False
    assert all(found.values()), found
    assert answer["problems"] == []
    assert all(address.startswith("file:") for address in answer["requests"])


@needs_browser
def test_distance_that_the_page_says_is_that_of_the_probe(page, encoders, images):
    answer = ask(
        page,
        'return [...document.querySelectorAll("[data-explorer=attention] .said")].map((node) =>'
        " node.textContent);",
    )
    for e, said in zip(encoders, answer["found"], strict=True):
        maps = every_map(e, images.images[0])
        at = 3 * 7 + 3  # the middle patch
        positions = torch.tensor([[r, c] for r in range(7) for c in range(7)], dtype=torch.float)
        expected = (maps[:, at] * (positions - positions[at]).norm(dim=1) * 4).sum(-1)
        found = [float(number) for number in re.findall(r"(\d+\.\d) px", said)]
        assert found == pytest.approx(expected.tolist(), rel=0.02)  # maps are kept as bytes


@needs_browser
def test_without_scripts_the_still_picture_stands(every, tmp_path):
    path = tmp_path / "still.html"
    style = (STATIC / "explorers.css").read_text(encoding="utf-8")
    path.write_text(
        "<!doctype"
        f" html><html><head><style>{style}</style></head><body>{every['path'].data}</body></html>",
        encoding="utf-8",
    )
    answer = ask(
        path,
        'const still = document.querySelector(".still img"); return [still.naturalWidth > 0,'
        " still.getBoundingClientRect().height > 50];",
    )
    assert answer["found"] == [True, True]
