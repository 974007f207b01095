"""The encoder in the page computes what torch computes: representation, every attention map, the gradient and SSLA."""

import json
import shutil

import pytest
import torch

from lib.attribution.invariance_score import invariance_score
from lib.attribution.ssla import ssla
from lib.data.fashion import load_fashion
from lib.encoders.load import load_encoder
from lib.report.in_browser import (
    encoder_explorer,
    encoders_asked_for,
    runs_in_browser,
    script_of,
    write_weights,
)
from lib.run.layout import ROOT
from tests.browser import ask, needs_browser

NAMES = ["fashion/moco-v3-s", "fashion/simmim-s"]  # a class token is pooled, and patches are
STATIC = ROOT / "book" / "_static"
HEAD = (
    '<link rel="stylesheet" href="explorers.css"><script defer src="explorers.js"></script>'
    '<meta charset="utf-8">'
)


@pytest.fixture(scope="module")
def images():
    return load_fashion("test").subset(torch.arange(2))


@pytest.fixture(scope="module")
def html(images):
    labels = dict(zip(NAMES, ("contrastive", "masked"), strict=True))
    return encoder_explorer(NAMES, images, labels).data


@pytest.fixture(scope="module")
def page(html, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own_picture")
    for name in ("explorers.js", "explorers.css", "encoder.js"):
        shutil.copyfile(STATIC / name, folder / name)
    for name in encoders_asked_for(html):
        write_weights(name, folder)
    path = folder / "page.html"
    path.write_text(f"<!doctype html><html lang='en'><head>{HEAD}</head><body>{html}</body></html>")
    return path


LOAD = """
document.querySelector(".start").click();
const live = document.querySelector(".live");
await until(() => live.study);
const models = live.study.models;
"""


@needs_browser
@pytest.mark.parametrize("name", NAMES)
def test_equal_to_torch(page, images, name):
    encoder = load_encoder(name)
    x = images.images[:1]
    maps = []
    representation = encoder.observe(x, lambda block: maps.append(block.attention[0]))
    z = torch.nn.functional.normalize(encoder(images.images[1:]), dim=1).detach()
    tracked = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(invariance_score(encoder, tracked, z).sum(), tracked)
    expected = ssla(encoder, x, z, 2)
    script = (
        LOAD + f"const model = models[{NAMES.index(name)}], z ="
        f" Float32Array.from({json.dumps(z[0].tolist())});const x ="
        f" Float32Array.from({json.dumps(x.flatten().tolist())}), pass = model.forward(x);let"
        " last; for (last of model.ssla(x, z, 2)) ;return { f: [...pass.representation], maps:"
        " pass.attention.map((a) => [...a]), gradient: [...model.score(x, z).gradient],"
        " attribution: [...last.attribution], scores: last.scores };"
    )
    found = {key: torch.tensor(value) for key, value in ask(page, script)["found"].items()}
    close = {"atol": 1e-4, "rtol": 0}
    torch.testing.assert_close(found["f"], representation[0], **close)
    torch.testing.assert_close(found["maps"], torch.stack(maps).flatten(1), **close)
    scale = gradient.abs().max()
    torch.testing.assert_close(found["gradient"] / scale, gradient.flatten() / scale, **close)
    scale = expected.attribution.max()
    attribution = expected.attribution.flatten() / scale
    torch.testing.assert_close(found["attribution"] / scale, attribution, **close)
    torch.testing.assert_close(found["scores"], expected.scores[0], **close)


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_loaded_until_asked_for_and_then_from_the_book(page, width):
    script = (
        "const loaded = () => [...document.scripts].filter((s) =>"
        " s.src.includes('encoder')).length;const before = loaded();"
        + LOAD
        + "const said = () => [...document.querySelectorAll('.said')].map((n) => n.textContent);"
        "const first = said(); document.querySelectorAll('.thumbnails button')[1].click();"
        "return { before, after: loaded(), changed: String(first) !== String(said()),"
        " sideways: document.documentElement.scrollWidth > innerWidth };"
    )
    answer = ask(page, script, width)
    assert answer["found"] == {"before": 0, "after": 3, "changed": True, "sideways": False}
    assert answer["problems"] == []
    assert all(address.startswith("file:") for address in answer["requests"])


@needs_browser
def test_a_drawing_is_what_the_encoder_sees(page):
    script = (
        LOAD
        + """
        const paper = document.querySelector(".paper"), box = paper.getBoundingClientRect();
        paper.setPointerCapture = () => {};
        document.querySelector(".field button").click();
        const empty = live.study.image().reduce((a, b) => a + b, 0);
        for (const type of ["pointerdown", "pointermove", "pointerup"])
          paper.dispatchEvent(new PointerEvent(type, { clientX: box.left + box.width / 2,
            clientY: box.top + box.height / 2, buttons: type === "pointerup" ? 0 : 1 }));
        const image = live.study.image();
        return { empty, middle: image[14 * 28 + 14], corner: image[0] };"""
    )
    found = ask(page, script)["found"]
    assert found["empty"] == 0 and found["corner"] == 0
    assert found["middle"] == pytest.approx(1, abs=1e-3)  # white


def test_weights_are_asked_for_by_name(html):
    assert encoders_asked_for(f"<p>text</p>{html}") == NAMES
    assert script_of(NAMES[0]) == "encoders/fashion--moco-v3-s.js"


def test_a_resnet_does_not_run_in_the_page(images):
    assert not runs_in_browser("fashion/byol-r")
    assert runs_in_browser("fashion/mae-s")
    with pytest.raises(ValueError, match="small plain Vision Transformers, got .*byol-r"):
        encoder_explorer(["fashion/byol-r"], images, {"fashion/byol-r": "BYOL"})
