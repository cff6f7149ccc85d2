// Numbers that were looked up, and what is decided about numbers by hand.

import { act, get } from "./api.js";
import { answered, debounced, el, empty, field, redraw, shown, tag } from "./dom.js";
import { pushOf, statuses } from "./messages.js";
import { table } from "./table.js";

export function open(main) {
  const search = el("input", { type: "search", placeholder: "Number", "aria-label": "Search lookups", oninput: debounced(() => rows.refresh({ moved: true })) });
  const rows = table({
    label: "Lookups",
    columns: ["Number", "Answer", "Network", "IMSI", "Serving MSC", "Push"],
    fetchPage: (offset, limit) => get("lookups", { contains: search.value.trim(), offset, limit }),
    rowOf,
    whenEmpty: () => empty(search.value ? "Nothing found" : "No lookups yet", "Numbers of HLR queries are listed here, with what the HLR says of them."),
  });
  const decision = decisionForm();
  const decided = el("ul", { class: "decided" });
  const aside = el("section", { class: "side", "aria-label": "Decisions" }, decision.root, decided);
  main.append(el("section", { class: "list" }, el("div", { class: "bar" }, search), rows.root), aside);

  function rowOf(lookup) {
    const { answer } = lookup;
    return el("tr", { "data-key": lookup.lookup_id ?? lookup.number },
      el("td", { class: "number" }, el("a", { href: `#lookups/${encodeURIComponent(lookup.number)}` }, shown(lookup.number, { line: true }))),
      el("td", {}, lookup.accepted ? tag(answer.status, answer.status === "DELIVRD" ? "good" : "bad") : tag("refused", "bad")),
      el("td", { class: "wide" }, lookup.accepted ? answer.network ?? "" : ""),
      el("td", { class: "number" }, lookup.accepted ? answer.imsi ?? "" : ""),
      el("td", { class: "number" }, lookup.accepted ? answer.serving_msc ?? "" : ""),
      el("td", {}, lookup.accepted ? answered(lookup.pushed, lookup.pushes.length) : ""));
  }

  return {
    select(number) { if (number) decision.choose(number); },
    async refresh() {
      const [found] = await Promise.all([get("decisions"), rows.refresh()]);
      redraw(decided, found.items.map((phone) => el("li", {},
        el("a", { "data-key": phone.number, href: `#lookups/${phone.number}` }, phone.number),
        el("span", {}, [phone.status, phone.delay === null ? null : `after ${phone.delay} s`, phone.answer ? phone.answer.network ?? phone.answer.status : null].filter(Boolean).join(", ") || "as usual"),
        el("button", { class: "quiet", "aria-label": `Leave ${phone.number} to the simulator`, onclick: () => act("DELETE", `phones/${phone.number}`) }, "×"))));
    },
  };
}

function decisionForm() {
  const number = el("input", { required: true, inputMode: "numeric", pattern: "[1-9][0-9]{4,14}", title: "5 to 15 digits, the first not 0", onchange: pushes });
  const status = el("input", { list: "endings", placeholder: "as the simulator decides", maxLength: 100 });
  const delay = el("input", { type: "number", min: 0, step: "any", placeholder: "as usual" });
  const networks = el("datalist", { id: "networks" });
  const network = el("input", { list: "networks", placeholder: "operator, or MCC and MNC", oninput: debounced(suggest) });
  const roaming = el("input", { placeholder: "calling code, such as 49", inputMode: "numeric", pattern: "[0-9]{1,8}", title: "digits" });
  const absent = el("input", { type: "checkbox" });
  const history = el("div");

  async function suggest() {
    const found = await get("networks", { contains: network.value.trim(), limit: 20 });
    networks.replaceChildren(...found.items.map((one) => el("option", { value: one.code, label: `${one.operator}, ${one.country}` })));
  }

  async function pushes() {
    const found = await get("lookups", { contains: number.value, limit: 5 });
    const made = found.items.flatMap((lookup) => lookup.pushes);
    history.replaceChildren(...(number.value && made.length ? [el("h3", {}, "Pushes"), ...made.map(pushOf)] : []));
  }

  async function decide(event) {
    event.preventDefault();
    const body = { absent: absent.checked };
    const given = { status, network, roaming };
    for (const [name, input] of Object.entries(given)) if (input.value.trim()) body[name] = input.value.trim();
    if (delay.value) body.delay = Number(delay.value);
    if (await act("PUT", `phones/${number.value}`, body)) location.hash = "#lookups";
  }

  const root = el("form", { class: "decision", onsubmit: decide }, el("h2", {}, "Decide about a number"), statuses("endings"), networks,
    field("Number", number), field("Messages end as", status), field("Reports after seconds", delay),
    el("fieldset", {}, el("legend", {}, "What the HLR says"), field("Network", network), field("Roaming in", roaming), el("label", { class: "check" }, absent, "absent: it cannot be reached")),
    el("button", { class: "main" }, "Decide"), history);
  return { root, choose(chosen) { number.value = chosen; pushes(); } };
}
