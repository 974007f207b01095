// The lab: quizzes that answer after a choice, and terms of the glossary explained under the pointer,
// at a touch or by the keyboard. Nothing is asked of another host; answers stay in this browser.
document.addEventListener("DOMContentLoaded", () => {
  const memory = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch { /* private window */ } },
  };

  const quizzes = [...document.querySelectorAll("form.quiz")];
  const page = location.pathname.split("/").pop();
  let score = null;
  if (quizzes.length > 1) {
    score = document.createElement("p");
    score.className = "quiz-score";
    score.setAttribute("role", "status");
    quizzes.at(-1).after(score);
  }

  function count() {
    if (!score) return;
    const answered = quizzes.filter((form) => form.dataset.answered);
    const right = answered.filter((form) => form.dataset.answered === "right");
    score.textContent = `${answered.length} of ${quizzes.length} answered, ${right.length} right at the first try.`;
  }

  for (const form of quizzes) {
    const key = `${page}#${form.id}`;
    const options = [...form.querySelectorAll(".option")];
    const button = form.querySelector("button");
    const output = form.querySelector("output");
    for (const details of form.querySelectorAll("details")) details.hidden = true;
    button.hidden = false;

    function show(number) {
      const chosen = options[number];
      if (!chosen) return;
      chosen.querySelector("input").checked = true;
      for (const option of options) {
        option.classList.toggle("chosen", option === chosen);
        const details = option.querySelector("details");
        if (option === chosen) { details.hidden = false; details.open = true; }
      }
      const right = chosen.dataset.right === "true";
      form.dataset.answered ||= right ? "right" : "wrong"; // the first choice counts
      output.value = right ? "✓ Right." : "✗ Not quite. Read why, and choose again.";
      output.className = right ? "right" : "wrong";
    }

    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const chosen = options.findIndex((option) => option.querySelector("input").checked);
      if (chosen < 0) { output.value = "Choose one first."; return; }
      show(chosen);
      memory.set(key, JSON.stringify([chosen, form.dataset.answered]));
      count();
    });
    const before = JSON.parse(memory.get(key) ?? "null");
    if (before) { form.dataset.answered = before[1]; show(before[0]); }
  }
  count();

  // Terms: the first use on a page, in running text.
  if (typeof GLOSSARY === "undefined" || page.startsWith("glossary")) return;
  const article = document.querySelector("article.bd-article");
  if (!article) return;
  const waiting = new Map(GLOSSARY.map(([term, source, meaning]) => [term, [new RegExp(source, "i"), meaning]]));
  const skip = "a, code, pre, button, label, legend, summary, h1, h2, h3, h4, table, figure, svg, .math, .cell, script, style, .provenance";
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT, (node) =>
    node.parentElement.closest("p, li, dd") && !node.parentElement.closest(skip)
      ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_REJECT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (let node of texts) {
    while (node) {
      let first = null; // the leftmost term, the longest of those that begin there
      for (const [term, [expression, meaning]] of waiting) {
        const found = expression.exec(node.data);
        if (found && (!first || found.index < first.index || (found.index === first.index && found[0].length > first.word.length)))
          first = { term, meaning, index: found.index, word: found[0] };
      }
      if (!first) break;
      waiting.delete(first.term);
      const rest = node.splitText(first.index);
      const next = rest.splitText(first.word.length);
      const button = document.createElement("button");
      button.type = "button";
      button.className = "term";
      button.dataset.term = first.term;
      button.dataset.meaning = first.meaning;
      button.append(rest.data);
      rest.replaceWith(button);
      node = next;
    }
  }

  const tip = document.createElement("div");
  tip.className = "term-tip";
  tip.id = "term-tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  let shown = null;

  function hide() {
    shown?.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }
  function explain(button) {
    hide();
    shown = button;
    tip.innerHTML = "";
    const strong = document.createElement("strong");
    strong.textContent = `${button.dataset.term}. `;
    tip.append(strong, button.dataset.meaning);
    tip.hidden = false;
    button.setAttribute("aria-describedby", tip.id);
    const box = button.getBoundingClientRect();
    const width = document.documentElement.clientWidth;
    tip.style.left = `${Math.max(8, Math.min(box.left, width - tip.offsetWidth - 8)) + scrollX}px`;
    const above = box.top > tip.offsetHeight + 12;
    tip.style.top = `${(above ? box.top - tip.offsetHeight - 6 : box.bottom + 6) + scrollY}px`;
  }
  const target = (event) => event.target.closest?.("button.term");
  document.addEventListener("pointerover", (e) => { if (e.pointerType === "mouse" && target(e)) explain(target(e)); });
  document.addEventListener("pointerout", (e) => { if (e.pointerType === "mouse" && target(e)) hide(); });
  document.addEventListener("focusin", (e) => (target(e) ? explain(target(e)) : hide()));
  document.addEventListener("click", (e) => (target(e) ? explain(target(e)) : hide()));
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") hide(); });
});
