"""The lab's pages, quizzes and slides in a browser, wide and narrow, from the disk: built as a small
book of their own, with the real modules."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lib.lab.pages import write_lab
from lib.lab.source import MODULES
from lib.paths import ROOT
from lib.report.book import check_html
from tests.browser import AXE, ask, audit, needs_browser

PAGES = ["lab", "lecturer", "glossary", "references"] + [
    f"lab_{name}{kind}" for name in MODULES for kind in ("", "_quiz")
]
WIDTHS = pytest.mark.parametrize("width", [1280, 390])


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """The lab as a book without the study's other pages."""
    source = tmp_path_factory.mktemp("lab_book") / "source"
    for folder in ("_static", "_extensions", "slides"):
        shutil.copytree(ROOT / "book" / folder, source / folder)
    for file in ("_config.yml", "references.bib"):
        shutil.copyfile(ROOT / "book" / file, source / file)
    (source / "references.md").write_text("# References\n\n```{bibliography}\n```\n")
    write_lab(source, ROOT, {"references"})
    chapters = "".join(f"  - file: {page}\n" for page in PAGES[1:])
    (source / "_toc.yml").write_text(f"format: jb-book\nroot: lab\nchapters:\n{chapters}")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", source, "-W", "-n",
               "--path-output", source.parent]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    made = source.parent / "_build" / "html"
    for folder in ("_static", "slides"):
        shutil.copytree(source / folder, made / folder, dirs_exist_ok=True)
    return made


def test_pages_are_sound(html):
    check_html(html, PAGES)
    for page in PAGES:
        text = (html / f"{page}.html").read_text(encoding="utf-8")
        assert str(ROOT) not in text, page
    for name in MODULES:  # the links at the top lead somewhere
        for path in (f"_static/lab/{name}.ipynb", f"slides/{name}.html", f"lab_{name}_quiz.html"):
            assert (html / path).is_file(), path


@needs_browser
@WIDTHS
@pytest.mark.parametrize("page", PAGES)
def test_pages_are_open_to_all(html, page, width):
    found = audit(html / f"{page}.html", width)
    assert found["broken"] == []
    assert found["problems"] == []
    assert all(address.startswith("file:") for address in found["requests"])
    assert not found["sideways"]
    if width == 1280:
        assert found["cut"] == 0


QUIZ = """
const forms = [...document.querySelectorAll("form.quiz")], shown = (node) => node.checkVisibility();
const answer = async (form, right) => {
  const option = [...form.querySelectorAll(".option")].find((o) => (o.dataset.right === "true") === right);
  option.querySelector("input").click();
  form.querySelector("[type=submit]").click();
  await wait(50);
  return { says: form.querySelector("output").value, why: shown(option.querySelector(".because p")) };
};
const before = forms.filter((form) => [...form.querySelectorAll(".because")].some(shown)).length;
forms[0].querySelector("[type=submit]").click();
const nothing = forms[0].querySelector("output").value;
const first = [await answer(forms[0], false), await answer(forms[0], true)];
const others = [];
for (const form of forms.slice(1)) others.push(await answer(form, true));
const boxes = forms.map((form) => form.getBoundingClientRect());
return { count: forms.length, before, nothing, first, others, score: document.querySelector(".quiz-score").textContent,
  inside: boxes.every((box) => box.left >= 0 && box.right <= innerWidth) };
"""
KEPT = """
const forms = [...document.querySelectorAll("form.quiz")], first = (what) => forms.filter((form) => form.dataset.answered === what).length;
const found = { right: first("right"), wrong: first("wrong") };
localStorage.clear();
return found;
"""


@needs_browser
@WIDTHS
@pytest.mark.parametrize("name", MODULES)
def test_a_quiz_answers_after_a_choice(html, name, width):
    answer = ask(html / f"lab_{name}_quiz.html", QUIZ, width)
    found, count = answer["found"], answer["found"]["count"]
    assert count >= 5
    assert found["before"] == 0  # no explanation is open before a choice
    assert found["nothing"] == "Choose one first."
    assert [one["says"][0] for one in found["first"]] == ["✗", "✓"]
    assert all(one["says"] == "✓ Right." for one in found["others"])
    assert all(one["why"] for one in found["first"] + found["others"])
    assert found["score"] == f"{count} of {count} answered, {count - 1} right at the first try."
    assert found["inside"]
    again = ask(html / f"lab_{name}_quiz.html", KEPT, width)["found"]
    assert again == {"right": count - 1, "wrong": 1}  # what was answered is still answered
    assert answer["problems"] == []


TERMS = """
const terms = [...document.querySelectorAll("button.term")], tip = document.getElementById("term-tip");
const boxes = [];
for (const term of terms) {
  term.focus();
  await wait(20);
  const box = tip.getBoundingClientRect();
  boxes.push(!tip.hidden && tip.textContent.length > 20 && box.left >= 0 && box.right <= innerWidth);
}
document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
return { count: terms.length, explained: boxes.every(Boolean), gone: tip.hidden };
"""


@needs_browser
@WIDTHS
@pytest.mark.parametrize("name", MODULES)
def test_terms_are_explained_by_the_keyboard(html, name, width):
    found = ask(html / f"lab_{name}.html", TERMS, width)["found"]
    assert found["count"] >= 8
    assert found["explained"] and found["gone"]


SLIDES = """
const script = document.createElement("script");
script.textContent = AXE;
document.head.append(script);
await until(() => window.Reveal?.isReady());
Reveal.configure({ transition: "none", backgroundTransition: "none" });
await wait(500);
const slides = Reveal.getSlides(), high = [], wide = [], broken = new Set();
for (const [number, slide] of slides.entries()) {
  Reveal.slide(number);
  await wait(100);
  if (slide.scrollHeight > Reveal.getConfig().height + 1) high.push(`${number}: ${slide.scrollHeight}`);
  const edge = slide.getBoundingClientRect().right + 1;  // the formulas' hidden twins for screen readers may be wider
  if ([...slide.querySelectorAll("table, svg, mjx-container")].some((box) => box.getBoundingClientRect().right > edge) ||
    [...slide.querySelectorAll("pre")].some((box) => box.scrollWidth > box.clientWidth + 1)) wide.push(number);
  const { violations } = await axe.run(slide, { runOnly: ["wcag2a", "wcag2aa"] });
  for (const { id, nodes } of violations) broken.add(`${number}: ${id}: ${nodes[0].html.slice(0, 120)}`);
}
return { count: slides.length, high, wide, broken: [...broken], formulas: document.querySelectorAll("mjx-container").length,
  raw: /\\\\\\(|\\\\\\[|\\{cite/.test(document.querySelector(".slides").innerText), figures: document.querySelectorAll("figure svg").length,
  notes: document.querySelectorAll("aside.notes").length, sideways: document.documentElement.scrollWidth > innerWidth };
"""


@needs_browser
@WIDTHS
@pytest.mark.parametrize("name", MODULES)
def test_slides_fit_and_need_no_network(html, name, width):
    source = json.dumps(AXE.read_text(encoding="utf-8")).replace("</", "<\\/")
    deck = html / "slides" / f"{name}.html"
    answer = ask(deck, f"const AXE = {source};{SLIDES}", width)
    found = answer["found"]
    assert found["count"] >= 10
    assert found["figures"] >= 3
    assert found["notes"] >= 3
    assert found["high"] == found["wide"] == found["broken"] == []
    assert found["formulas"] == len(re.findall(r"\\[(\[]", deck.read_text(encoding="utf-8")))
    assert not found["raw"]
    assert not found["sideways"]
    assert answer["problems"] == []
    assert all(address.startswith("file:") for address in answer["requests"])
