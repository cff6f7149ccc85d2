// What is to go wrong, and the clock.

import { act, get } from "./api.js";
import { el, field, redraw, tag } from "./dom.js";

const OPERATIONS = [["", "every request"], ["send", "sends by XML (§2/1)"], ["send_one", "sends by GET (§2/2)"], ["credits", "balances (§2/2.1)"], ["pull_reports", "pulls (§3.2)"], ["submit_hlr", "HLR queries (§4)"]];

export function open(main) {
  const times = el("input", { type: "number", min: 1, value: 1, oninput: () => { known = ""; view.refresh(); } });
  const operation = el("select", {}, OPERATIONS.map(([value, text]) => el("option", { value }, text)));
  const clock = el("section", { class: "clock", hidden: true });
  const cards = el("div", { class: "cards" });
  const off = el("button", { onclick: () => act("DELETE", "faults") }, "All off");
  main.append(el("div", { class: "bar" }, field("The next", times), field("of", operation), off), cards, clock);
  let known = "";

  function add(fault, always) {
    const body = { fault };
    if (operation.value) body.operation = operation.value;
    if (!always) body.times = Number(times.value) || 1;
    act("POST", "faults", body);
  }

  function cardOf(fault, rules) {
    const left = rules.map((rule) => `${rule.left === null ? "every one" : `the next ${rule.left}`}${rule.rate < 1 ? `, ${Math.round(rule.rate * 100)} % of them` : ""}${rule.operation ? ` of ${rule.operation}` : ""}`);
    return el("article", { class: `card ${rules.length ? "active" : ""}` },
      el("h3", {}, fault.fault, tag(fault.strikes), fault.struck ? tag(`struck ${fault.struck.toLocaleString()}`, "doubtful") : null),
      el("p", {}, fault.about),
      el("p", { class: "buttons" },
        el("button", { "data-key": `${fault.fault}: next`, "aria-label": `${fault.fault}: next`, onclick: () => add(fault.fault, false) }, `Next ${times.value || 1}`),
        el("button", { "data-key": `${fault.fault}: all`, "aria-label": `${fault.fault}: every one`, onclick: () => add(fault.fault, true) }, "Every one"),
        rules.length ? el("button", { class: "danger", "aria-label": `${fault.fault}: off`, onclick: () => act("DELETE", "faults", { fault: fault.fault }) }, "Off") : null,
        left.length ? el("span", { class: "left" }, left.join("; ")) : null));
  }

  function ticking(figures) {
    clock.hidden = figures.clock !== "manual";
    const move = (seconds) => act("POST", "clock", { seconds });
    redraw(clock, [el("h2", {}, "Clock"), el("p", {}, new Date(figures.now * 1000).toUTCString()), el("p", { class: "buttons" },
      [[1, "1 second"], [60, "1 minute"], [3600, "an hour"], [86400, "a day"]].map(([seconds, text]) => el("button", { "data-key": seconds, onclick: () => move(seconds) }, `${text} later`)))]);
  }

  const view = {
    async refresh() {
      const [faults, figures] = await Promise.all([get("faults"), get("figures")]);
      const state = JSON.stringify([faults, figures.clock, figures.now]);
      if (figures.clock === "manual") ticking(figures);
      if (state === known) return;
      known = state;
      redraw(cards, faults.known.map((fault) => cardOf(fault, faults.active.filter((rule) => rule.fault === fault.fault))));
      off.disabled = !faults.active.length;
    },
  };
  return view;
}
