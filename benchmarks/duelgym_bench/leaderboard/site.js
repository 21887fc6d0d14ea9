"use strict";
(() => {
  const MISSING = "-";
  const rowsOf = (body) => [...body.rows].filter((row) => !row.classList.contains("apart"));

  // What a cell is sorted by: null where it says nothing, which goes last either way.
  const key = (cell) => {
    const by = cell.dataset.value ?? cell.textContent.trim();
    if (by === "" || by === MISSING || by === "nan") return null;
    return Number.isNaN(Number(by)) ? by : Number(by);
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const sort = (table, head) => {
    const column = Number(head.dataset.column);
    const bodies = [...table.tBodies];
    const numbers = bodies.some((body) => rowsOf(body).some((row) => row.cells[column].dataset.value));
    const before = head.getAttribute("aria-sort");
    const falling = before ? before === "ascending" : numbers;
    const sign = falling ? -1 : 1;
    for (const body of bodies) {
      const keyed = rowsOf(body).map((row) => [key(row.cells[column]), row]);
      keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
      body.append(...keyed.map(([, row]) => row));
    }
    for (const each of table.tHead.querySelectorAll("[aria-sort]")) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
  };

  for (const table of document.querySelectorAll("table.grid")) {
    for (const head of table.tHead.querySelectorAll("th[data-column]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head));
      head.append(button);
    }
  }

  for (const filter of document.querySelectorAll(".filter")) {
    const bodies = [...document.getElementById(filter.dataset.table).tBodies];
    const [text, status, told] = ["input", "select", "[role=status]"].map((each) => filter.querySelector(each));
    const update = () => {
      const wanted = text.value.trim().toLowerCase();
      let shown = 0;
      let all = 0;
      for (const body of bodies) {
        const rows = rowsOf(body);
        for (const row of rows) {
          row.hidden = (status.value && row.dataset.status !== status.value) || !row.textContent.toLowerCase().includes(wanted);
        }
        const left = rows.filter((row) => !row.hidden).length;
        for (const row of body.rows) if (row.classList.contains("apart")) row.hidden = !left;
        shown += left;
        all += rows.length;
      }
      told.textContent = `${shown} of ${all} rows`;
    };
    text.addEventListener("input", update);
    status.addEventListener("change", update);
    update();
    filter.hidden = false;
  }
})();
