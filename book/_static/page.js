// One switch shows or hides the code of a page; what was chosen holds for the next page.
// Tables that scroll sideways can be reached by the keyboard.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".table-scroll")) {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", box.querySelector("caption")?.textContent ?? "table");
  }
});
document.addEventListener("DOMContentLoaded", () => {
  const folds = [...document.querySelectorAll(".cell:not(.tag_solution) > details.hide.above-input")], title = document.querySelector(".bd-article h1");
  if (!folds.length || !title || document.querySelector(".code-switch")) return;
  const remembered = () => { try { return localStorage.getItem("code") === "shown"; } catch { return false; } };
  const button = document.createElement("button");
  button.type = "button";
  button.className = "code-switch";
  const set = (shown) => {
    document.documentElement.classList.toggle("code-folded", !shown);
    for (const fold of folds) fold.open = shown;
    button.setAttribute("aria-pressed", shown);
    button.textContent = shown ? "Hide the code" : "Show the code";
    try { localStorage.setItem("code", shown ? "shown" : "folded"); } catch { /* a page opened from a disk may have no store */ }
  };
  button.addEventListener("click", () => set(button.getAttribute("aria-pressed") !== "true"));
  title.after(button);
  set(remembered());
  addEventListener("beforeprint", () => document.documentElement.classList.contains("code-folded") || folds.forEach((fold) => { fold.open = true; }));
});
