"""Pages in headless Chromium, for tests: run a script in a page and read what it found."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
# in continuous integration nothing is skipped: there the test fails without a browser
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no Chromium on this machine"
)
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
HELPERS = """
<script>
window.problems = [];
addEventListener("error", (event) => problems.push(String(event.message || event.target.src || event.target.href)), true);
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
for (const level of ["error", "warn"]) { const say = console[level]; console[level] = (...words) => { problems.push(words.join(" ")); say(...words); }; }
</script>"""
ASK = """
<script type="module">
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const until = async (test) => { for (let i = 0; i < 600 && !test(); i++) await wait(100); return test(); };
const out = document.createElement("pre");
out.id = "found";
if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done));
await wait(200);
let found;
try { found = await (async () => { %s })(); } catch (error) { found = { error: String(error.stack) }; }
const loaded = [...document.querySelectorAll("script[src], img[src], link[rel=stylesheet]")];
const requests = loaded.map((node) => node.src || node.href).filter((address) => !address.startsWith("data:"));
requests.push(...performance.getEntriesByType("resource").map((entry) => entry.name));
out.textContent = JSON.stringify({ found, problems, requests });
document.body.append(out);
</script>"""


def ask(page: Path, script: str, width: int = 1280, seconds: int = 60) -> dict:
    """What ``script``, an asynchronous function's body, returns in a page at a window's width.

    The page is opened from the disk in a frame of exactly that width, since Chromium's own window has a least one.

    Returns:
        ``found``: its value; ``problems``: errors and warnings of the page; ``requests``: addresses that it asked for.
    """
    text = page.read_text(encoding="utf-8")
    head, body = HELPERS, ASK % script
    probe, frame = page.with_name(f"probe-{page.name}"), page.with_name(f"frame-{page.name}")
    probe.write_text(
        (text.replace("<head>", f"<head>{head}", 1) if "<head>" in text else head + text).replace(
            "</body>", ""
        )
        + body,
        encoding="utf-8",
    )
    frame.write_text(
        f'<!doctype html><body style="margin:0"><iframe src="{probe.name}" width="{width}" height="900" style="border:0"></iframe><script>'
        "const seen = setInterval(() => { const found = document.querySelector('iframe').contentDocument?.getElementById('found');"
        " if (found) { clearInterval(seen); document.body.append(found.cloneNode(true)); } }, 100);</script>",
        encoding="utf-8",
    )
    flags = [
        *FLAGS.split(),
        "--allow-file-access-from-files",
        f"--window-size={max(width, 500)},900",
        f"--virtual-time-budget={seconds * 1000}",
    ]
    try:
        command = [
            CHROMIUM,
            *flags,
            f"--user-data-dir={page.parent / 'browser'}",
            "--dump-dom",
            frame.as_uri(),
        ]
        dom = subprocess.run(command, capture_output=True, text=True, timeout=300).stdout
    finally:
        probe.unlink()
        frame.unlink()
    found = BeautifulSoup(dom, "html.parser").select_one("#found")
    assert found is not None, f"the page did not answer: {dom[-500:]}"
    answer = json.loads(found.text)
    assert "error" not in (answer["found"] or {}), answer["found"]
    return answer


AXE = Path(__file__).parent / "axe" / "axe.min.js"  # axe-core 4.14.1, MPL-2.0, unchanged
AUDIT = """
const script = document.createElement("script");
script.textContent = AXE;
document.head.append(script);
const top = (selector) => document.querySelector(selector)?.getBoundingClientRect().top + scrollY;
const firsts = { verdict: top(".bd-article .verdict"), figure: top(".bd-article .strip, .bd-article figure img") };
const still = document.createElement("style");  // text that fades in has too little contrast on the way
still.textContent = "* { animation: none !important; transition: none !important; }";
document.head.append(still);
for (const fold of document.querySelectorAll("details")) fold.open = true;
await wait(200);
const broken = [];
for (const theme of ["light", "dark"]) {
  document.documentElement.dataset.theme = theme;
  await wait(300);
  const { violations } = await axe.run(document.querySelector(".bd-article"), { runOnly: ["wcag2a", "wcag2aa"] });
  for (const { id, nodes } of violations) broken.push(`${theme}: ${id}: ${nodes[0].html.slice(0, 120)}`);
}
const code = [...document.querySelectorAll(".cell_input pre")];
return { ...firsts, broken, cut: code.filter((box) => box.scrollWidth > box.clientWidth + 1).length,
  sideways: document.documentElement.scrollWidth > innerWidth };
"""


def audit(page: Path, width: int) -> dict:
    """What is wrong with a built page at a window's width, in light and in dark, with all folds open.

    Returns:
        ``verdict``, ``figure``: distance of the first one from the top in px, None where there is
        none; ``broken``: rules of WCAG 2 A and AA that axe-core finds broken; ``cut``: boxes of code
        that scroll sideways; ``sideways``: whether the page does; ``problems``, ``requests``: of
        :func:`ask`.
    """
    source = json.dumps(AXE.read_text(encoding="utf-8")).replace("</", "<\\/")
    answer = ask(page, f"const AXE = {source};{AUDIT}", width)
    return answer["found"] | {name: answer[name] for name in ("problems", "requests")}
