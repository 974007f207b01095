// The table of "What holds?": filters by paper and verdict, kept in the address (?verdict=not+reproduced&paper=B), and columns that sort.
document.addEventListener("DOMContentLoaded", () => {
  const form = document.querySelector("form.verdict-filters");
  const table = document.querySelector("table.verdicts");
  if (!form || !table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const filters = [...form.querySelectorAll("select")];

  function filter() {
    for (const row of rows) row.hidden = filters.some(({ name, value }) => value && value !== row.dataset[name]);
    const shown = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").value = `${shown} of ${rows.length} claims shown`;
  }

  function readAddress() {
    const wanted = new URLSearchParams(location.search);
    for (const select of filters) {
      const known = [...select.options].some((option) => option.value === wanted.get(select.name));
      select.value = known ? wanted.get(select.name) : "";
    }
  }

  function writeAddress() {
    const address = new URL(location.href);
    address.search = new URLSearchParams(filters.filter((f) => f.value).map((f) => [f.name, f.value]));
    address.hash = "";
    history.replaceState(null, "", address);
  }

  function sort(column) {
    const descending = heads[column].getAttribute("aria-sort") === "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = ({ cells: { [column]: cell } }) => cell.dataset.sort ?? cell.textContent;
    const compare = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    body.append(...[...rows].sort((a, b) => (descending ? -1 : 1) * compare(key(a), key(b))));
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(column));
    head.append(button);
  });
  form.addEventListener("input", () => { filter(); writeAddress(); });
  form.hidden = false;
  readAddress();
  filter();
});
