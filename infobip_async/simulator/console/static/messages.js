// All that was sent: a table, and everything about one message beside it.

import { act, get } from "./api.js";
import { answered, debounced, el, empty, field, plural, redraw, shown, tag, terms, time } from "./dom.js";
import { table } from "./table.js";

const STATUSES = ["DELIVERED", "NOT_DELIVERED", "NOT_SENT", "SENT", "NOT_ALLOWED", "INVALID_DESTINATION_ADDRESS",
  "INVALID_SOURCE_ADDRESS", "ROUTE_NOT_AVAILABLE", "NOT_ENOUGH_CREDITS", "INVALID_MESSAGE_FORMAT", "REJECTED"];

/** A list of the document's statuses, for inputs that take any text. */
export function statuses(id) {
  return el("datalist", { id }, STATUSES.map((status) => el("option", { value: status })));
}

export function good(status) {
  return status === "DELIVERED" ? "good" : status === "SENT" ? "plain" : "bad";
}

export function open(main) {
  const again = debounced(() => rows.refresh({ moved: true }).then(told));
  const search = el("input", { type: "search", placeholder: "Number, sender, text or id", "aria-label": "Search messages", oninput: again });
  const show = el("select", { "aria-label": "Which messages", onchange: again },
    [["all", "All"], ["accepted", "Accepted"], ["refused", "Refused"], ["doubtful", "Wrong or doubtful"]].map(([value, text]) => el("option", { value }, text)));
  const told_ = el("p", { class: "found", role: "status" });
  const rows = table({
    label: "Messages",
    columns: ["Time", "To", "From", "Text", "Parts", "Status", "Push"],
    fetchPage: (offset, limit) => get("messages", { contains: search.value.trim(), show: show.value, offset, limit }),
    rowOf,
    whenEmpty: () => (search.value || show.value !== "all" ? empty("Nothing found", "Search for something else.") : empty("No messages yet", "What is sent to this gateway is listed here.")),
  });
  const detail = el("section", { class: "detail", "aria-label": "Message", hidden: true });
  main.append(el("section", { class: "list" }, el("div", { class: "bar" }, search, show, told_), rows.root), detail);
  let chosen = "";
  let known = "";

  function told() { told_.textContent = plural(rows.total, "message"); }

  function rowOf(row) {
    const refused = row.outcome === "refused";
    const worst = row.doubts.includes("wrong") ? tag("wrong", "bad") : row.doubts.length ? tag("doubtful", "doubtful") : null;
    return el("tr", { "data-key": row.id, class: row.id === chosen ? "chosen" : "", onclick: () => { location.hash = `#messages/${row.id}`; } },
      el("td", {}, time(row.at)),
      el("td", { class: "number" }, el("a", { href: `#messages/${row.id}` }, shown(row.to || "no recipient", { line: true }))),
      el("td", {}, shown(row.from ?? "", { line: true })),
      el("td", { class: "wide" }, worst, row.flash ? tag("flash", "doubtful") : null,
        row.kind === "binary" || row.kind === "bookmark" ? tag(row.kind) : null,
        row.part ? tag(`${row.part.number}/${row.part.of}`, "plain", "part of a longer text") : null, " ",
        shown(row.text ?? "", { line: true })),
      el("td", { class: "count" }, refused ? "" : `${row.parts} × ${row.alphabet}`),
      el("td", {}, refused ? tag("refused", "bad") : tag(row.status, good(row.status))),
      el("td", {}, refused ? "" : answered(row.pushed, row.pushes)));
  }

  async function detailed() {
    if (!chosen) return;
    const message = await get(`messages/${chosen}`);
    const state = JSON.stringify(message);
    const typing = detail.contains(document.activeElement) && document.activeElement.matches("input");
    if (state === known || message.id !== chosen || typing) return;
    known = state;
    redraw(detail, everything(message));
  }

  return {
    select(id) {
      chosen = id;
      known = "";
      detail.hidden = !id;
      main.classList.toggle("chosen", Boolean(id));
      for (const row of main.querySelectorAll("tr[data-key]")) row.classList.toggle("chosen", row.dataset.key === id);
    },
    async refresh() {
      await Promise.all([rows.refresh().then(told), detailed().catch((error) => detail.replaceChildren(close(), el("p", { class: "note" }, error.message)))]);
    },
  };
}

function close() {
  return el("a", { class: "close", "data-key": "close", href: "#messages", "aria-label": "Close the message" }, "×");
}

function everything(message) {
  const refused = message.outcome === "refused";
  const { request } = message;
  return [
    el("header", {}, el("h2", {}, shown(message.to || "no recipient", { line: true })), close()),
    el("p", { class: "tags" }, refused ? tag("refused", "bad") : tag(message.status, good(message.status)),
      refused ? null : tag(message.alphabet), refused ? null : tag(plural(message.parts, "part")), message.flash ? tag("flash", "doubtful") : null),
    el("blockquote", {}, message.text === null ? el("em", {}, "no text") : shown(message.text)),
    doubtsOf(message.doubts),
    refused ? null : terms([
      ["From", shown(message.from, { line: true })], ["Sent", time(message.at)], ["Message id", message.message_id && shown(message.message_id, { line: true })], ["Gateway's id", message.gateway_id],
      ["Charged", `${plural(message.charged_parts, "part")}, ${plural(message.credits, "credit")}`], ["Account", shown(message.account)],
      ["Part", message.part && `${message.part.number} of ${message.part.of}, reference ${message.part.reference}`],
      ...Object.entries(message.parameters).map(([name, value]) => [name.replace("_", " "), el("code", {}, String(value))]),
    ]),
    refused ? null : outcomeOf(message),
    refused ? null : el("section", {}, el("h3", {}, "Pushes"), message.pushes.length ? message.pushes.map(pushOf) : el("p", { class: "note" }, "No report was pushed yet.")),
    el("section", {}, el("h3", {}, "Request"), request.fault ? el("p", {}, tag(request.fault, "bad"), " struck the reply") : null,
      el("pre", { tabIndex: 0 }, shown(`${request.method} ${request.target}`), "\n",
        request.headers.map(([name, value]) => [shown(`${name}: ${value}`), "\n"]), "\n", shown(readable(request.body)))),
    el("section", {}, el("h3", {}, `Reply ${request.reply.status}`), el("pre", { tabIndex: 0 }, shown(request.reply.body))),
  ].filter(Boolean);
}

/** The body of a request, percent-decoded where that can be done. */
function readable(body) {
  if (!body.includes("%3C")) return body;
  try {
    return decodeURIComponent(body.replaceAll("+", " ")).replaceAll("><", ">\n<");
  } catch {
    return body;
  }
}

function doubtsOf(doubts) {
  if (!doubts.length) return null;
  return el("ul", { class: "doubts", "aria-label": "Wrong or doubtful" }, doubts.map((doubt) => el("li", { class: doubt.level },
    tag(doubt.level, doubt.level === "wrong" ? "bad" : "doubtful"), " ", shown(doubt.about), doubt.section ? el("span", { class: "section" }, ` §${doubt.section}`) : null)));
}

function outcomeOf(message) {
  const status = el("input", { list: "statuses", value: "NOT_DELIVERED", required: true, maxLength: 100 });
  const delay = el("input", { type: "number", min: 0, value: 0, step: "any" });
  const send = (event) => {
    event.preventDefault();
    act("POST", `messages/${message.id}/report`, { status: status.value, delay: Number(delay.value) });
  };
  return el("form", { class: "inline", onsubmit: send }, el("h3", {}, "What becomes of it"), statuses("statuses"),
    field("Status", status), field("after seconds", delay), el("button", { "data-key": "report" }, "Report"));
}

export function pushOf(push) {
  const seconds = push.seconds >= 0.001 ? `${(push.seconds * 1000).toFixed(0)} ms` : "under 1 ms";
  return el("details", { class: "push", "data-key": `push-${push.id}` },
    el("summary", { "data-key": `summary-${push.id}` }, time(push.at), " ", answered(push.status), ` ${seconds}, ${plural(push.rows, "row")}`),
    el("p", { class: "url" }, shown(`${push.method} ${push.url}`)),
    push.body ? el("pre", { tabIndex: 0 }, shown(push.body)) : null,
    push.answer ? el("pre", { tabIndex: 0 }, shown(push.answer)) : null,
    el("button", { "data-key": `again-${push.id}`, onclick: () => act("POST", `pushes/${push.id}/again`) }, "Push again"));
}
