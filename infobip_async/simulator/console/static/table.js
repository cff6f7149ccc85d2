// A table of any length: rows are fetched and drawn where one looks, a page at a time.

import { el } from "./dom.js";

const PAGE = 100;

/**
 * Make a table.
 *   columns: names of the columns
 *   fetchPage: (offset, limit) => {total, items}
 *   rowOf: item => <tr>
 *   whenEmpty: () => element that takes the place of the table
 */
export function table({ label, columns, fetchPage, rowOf, whenEmpty }) {
  const head = el("tr", {}, columns.map((column) => el("th", { scope: "col" }, column)));
  const before = el("tr", { class: "space", "aria-hidden": "true" }, el("td"));
  const after = el("tr", { class: "space", "aria-hidden": "true" }, el("td"));
  const body = el("tbody");
  const whole = el("table", { "aria-label": label }, el("thead", {}, head), body);
  const scroller = el("div", { class: "scroller", tabIndex: 0, role: "region", "aria-label": label }, whole);
  const none = el("div");
  const root = el("div", { class: "table" }, scroller, none);
  let pages = new Map();
  let total = 0;
  let height = 40;
  let version = 0;
  let drawn = "";
  let frame = 0;

  function range() {
    const first = Math.max(0, Math.floor(scroller.scrollTop / height) - 10);
    return [first, Math.min(total, first + Math.ceil(scroller.clientHeight / height) + 20)];
  }

  async function load(page, into, at) {
    const answer = await fetchPage(page * PAGE, PAGE);
    if (at !== version) return;
    into.set(page, answer.items);
    total = answer.total;
  }

  function draw() {
    const [first, last] = range();
    const state = `${version} ${first} ${last} ${[...pages.keys()]}`;
    if (state === drawn) return;
    drawn = state;
    const rows = [];
    for (let index = first; index < last; index += 1) {
      const item = pages.get(Math.floor(index / PAGE))?.[index % PAGE];
      const row = item ? rowOf(item) : el("tr", { class: "waiting" }, el("td", { colSpan: columns.length }, "…"));
      row.setAttribute("aria-rowindex", index + 2);
      rows.push(row);
    }
    before.firstChild.style.height = `${first * height}px`;
    after.firstChild.style.height = `${(total - last) * height}px`;
    const focused = document.activeElement?.closest("tr")?.dataset.key;
    body.replaceChildren(before, ...rows, after);
    if (focused) [...body.rows].find((row) => row.dataset.key === focused)?.querySelector("a, button")?.focus();
    const real = body.rows[1]?.getBoundingClientRect().height;
    if (rows.length && real > 10) height = real;
  }

  async function fill() {
    const [first, last] = range();
    for (let page = Math.floor(first / PAGE); page <= Math.floor(Math.max(first, last - 1) / PAGE); page += 1) {
      if (!pages.has(page) && page * PAGE < total) {
        await load(page, pages, version);
        draw();
      }
    }
  }

  scroller.addEventListener("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => { draw(); fill(); });
  });
  addEventListener("resize", () => draw());

  return {
    root,
    /** Fetch anew what is on the screen. Who has scrolled down goes on looking at the same rows. */
    async refresh({ moved = false } = {}) {
      version += 1;
      const at = version;
      const known = total;
      if (moved) scroller.scrollTop = 0;
      const fresh = new Map();
      await load(0, fresh, at);
      if (at !== version) return;
      pages = fresh;
      if (!moved && scroller.scrollTop > height) scroller.scrollTop += (total - known) * height;
      whole.setAttribute("aria-rowcount", total + 1);
      scroller.hidden = !total;
      none.replaceChildren(...(total ? [] : [whenEmpty()]));
      await fill();
      draw();
    },
    get total() { return total; },
  };
}
