// How much, in all and over time.

import { get } from "./api.js";
import { CLOCK, el, empty, svg, time } from "./dom.js";

const TILES = [["requests", "Requests"], ["refused", "Refused"], ["messages", "Messages"], ["parts", "Parts"], ["credits", "Credits"], ["lookups", "Lookups"], ["pushes accepted", "Pushes accepted"], ["pushes failed", "Pushes failed"], ["inbound", "Inbound"]];
const BARS = 60;

export function open(main) {
  const tiles = el("div", { class: "tiles" });
  const charts = el("div", { class: "charts" });
  main.append(tiles, charts);
  let known = "";
  return {
    async refresh() {
      const figures = await get("figures");
      const state = JSON.stringify([figures.totals, figures.series.length]);
      if (state === known) return;
      known = state;
      tiles.replaceChildren(
        ...TILES.map(([name, label]) => tile(label, figures.totals[name] ?? 0)),
        ...Object.entries(figures.balances).map(([name, left]) => tile(`Balance of ${name}`, left)));
      const answers = Object.entries(figures.totals).filter(([name]) => name.startsWith("pushes: "));
      charts.replaceChildren(...(figures.series.length ? [
        chart("Messages", figures, ["messages"]),
        chart("Lookups", figures, ["lookups"]),
        chart("Pushes", figures, ["pushes accepted", "pushes failed"]),
        el("figure", {}, el("figcaption", {}, "Pushes by answer"), el("table", {}, el("tbody", {}, answers.length ? answers.map(([name, count]) => el("tr", {}, el("th", { scope: "row" }, name.slice(8).replace("None", "no answer")), el("td", { class: "count" }, count.toLocaleString()))) : el("tr", {}, el("td", {}, "No pushes yet."))))),
      ] : [empty("No figures yet", "They begin with the first request.")]));
    },
  };
}

function tile(label, value) {
  return el("p", { class: "tile" }, el("span", {}, label), el("strong", {}, value.toLocaleString(undefined, { maximumFractionDigits: 3 })));
}

/** Bars for the latest spans; spans in which nothing happened have none. */
function chart(title, figures, names) {
  const last = Math.floor(Math.max(figures.now, figures.series.at(-1).at) / figures.span) * figures.span;
  const by = new Map(figures.series.map((span) => [span.at, span]));
  const spans = [];
  for (let at = last - (BARS - 1) * figures.span; at <= last; at += figures.span) spans.push(by.get(at) ?? { at });
  const sum = (span) => names.reduce((total, name) => total + (span[name] ?? 0), 0);
  const most = Math.max(1, ...spans.map(sum));
  const bars = spans.flatMap((span, index) => {
    let below = 0;
    return names.filter((name) => span[name]).map((name) => {
      const height = Math.max(1, (span[name] / most) * 100);
      below += height;
      const bar = svg("rect", { x: index * 10 + 1, y: 100 - below, width: 8, height, class: name.replaceAll(" ", "-"), rx: 1.5 });
      bar.append(svg("title"));
      bar.firstChild.textContent = `${CLOCK.format(new Date(span.at * 1000))}: ${span[name]} ${name}`;
      return bar;
    });
  });
  const total = spans.reduce((all, span) => all + sum(span), 0);
  const label = `${title}: ${total.toLocaleString()} in the last ${(BARS * figures.span) / 60} minutes, at most ${most.toLocaleString()} in ${figures.span} seconds`;
  return el("figure", {}, el("figcaption", {}, title, el("span", {}, `at most ${most.toLocaleString()} in ${figures.span} s`)),
    svg("svg", { viewBox: `0 0 ${BARS * 10} 100`, role: "img", "aria-label": label, preserveAspectRatio: "none" }, ...bars),
    el("p", { class: "axis" }, time(spans[0].at), time(last)));
}
