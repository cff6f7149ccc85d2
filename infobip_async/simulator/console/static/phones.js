// Conversations by number, as a handset shows them, and a box to answer as the handset.

import { act, get } from "./api.js";
import { debounced, el, empty, plural, redraw, shown, tag, time } from "./dom.js";

const STEP = 100;

export function open(main) {
  const search = el("input", { type: "search", placeholder: "Number or text", "aria-label": "Search phones", oninput: debounced(list) });
  const phones = el("ul", { class: "phones-list" });
  const more = el("button", { class: "quiet", hidden: true, onclick: () => { limit += STEP; list(); } }, "Show more");
  const aside = el("section", { class: "side", "aria-label": "Phones" }, el("div", { class: "bar" }, search), phones, more);
  const right = el("section", { class: "handset-pane", "aria-label": "Handset" });
  main.append(aside, right);
  let number = "";
  let limit = STEP;
  let handset = null;

  async function list() {
    const found = await get("phones", { contains: search.value.trim(), limit });
    more.hidden = found.total <= limit;
    const items = found.items.map(lineOf);
    const typed = search.value.trim();
    if (/^[1-9]\d{4,14}$/.test(typed) && !found.items.some((phone) => phone.number === typed)) {
      items.push(el("li", {}, el("a", { href: `#phones/${typed}` }, el("strong", {}, typed), el("span", { class: "last" }, "Open this number"))));
    }
    if (!items.length) items.push(el("li", { class: "none" }, typed ? "Nothing found." : "No messages yet."));
    redraw(phones, items);
    return found;
  }

  function lineOf(phone) {
    const current = phone.number === number;
    return el("li", {}, el("a", { "data-key": phone.number, href: `#phones/${phone.number}`, "aria-current": current ? "true" : null },
      el("strong", {}, phone.number), time(phone.at),
      el("span", { class: "last" }, phone.answered ? "↩ " : "", shown(phone.text, { line: true })),
      el("span", { class: "count", title: plural(phone.messages, "message") }, phone.messages.toLocaleString())));
  }

  return {
    select(id) {
      number = id;
      main.classList.toggle("chosen", Boolean(id));
      handset = id ? handsetOf(id) : null;
      right.replaceChildren(handset ? handset.root : welcome());
    },
    async refresh() {
      const found = await list();
      if (handset) await handset.refresh();
      else if (found.items.length && matchMedia("(min-width: 48rem)").matches) {
        location.replace(`#phones/${found.items[0].number}`);
      }
    },
  };
}

function welcome() {
  const base = location.origin;
  return empty("Nothing was sent yet",
    "Point your program at this gateway, and what it sends appears here as it comes:",
    el("code", {}, `INFOBIP_BASE_URL=${base}`));
}

function handsetOf(number) {
  const log = el("div", { class: "log", role: "log", "aria-label": `Conversation with ${number}`, tabIndex: 0 });
  const count = el("p", { class: "count", id: "counted" }, "");
  const text = el("textarea", { rows: 2, placeholder: `Answer as ${number}`, "aria-label": `Answer as ${number}`, "aria-describedby": "counted", oninput: debounced(preview, 100), onkeydown: keys });
  const to = el("input", { placeholder: "the number texted", "aria-label": "Number that is texted", size: 16, maxLength: 20 });
  const off = el("p", { class: "note", hidden: true }, "No URL is entered for inbound SMS: start with --inbound-url, or set simulator.callbacks.");
  const root = el("article", { class: "handset" },
    el("header", {}, el("a", { class: "back", href: "#phones", "aria-label": "Back to all phones" }, "‹"), el("h2", {}, number),
      el("a", { class: "quiet", href: `#lookups/${number}` }, "Decide its outcomes")),
    log,
    el("form", { onsubmit: (event) => { event.preventDefault(); answer(text.value); } },
      off,
      el("div", { class: "row" }, text, el("button", { class: "main", type: "submit" }, "Send")),
      count,
      el("div", { class: "row small" }, el("label", {}, "to ", to),
        el("button", { type: "button", class: "danger", onclick: () => answer("STOP") }, "STOP"))));
  let known = "";

  function keys(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      answer(text.value);
    }
  }

  async function preview() {
    const seen = await act("POST", "preview", { text: text.value });
    if (!seen) return;
    const forced = seen.forced_by.length ? ` because of ${seen.forced_by.join(" ")}` : "";
    count.textContent = seen.parts ? `${seen.alphabet}${forced} · ${plural(seen.parts, "part")} · ${seen.remaining} left` : "";
  }

  async function answer(words) {
    if (!words) return;
    const body = { from: number, text: words };
    if (to.value.trim()) body.to = to.value.trim();
    if (await act("POST", "inbound", body)) {
      if (words === text.value) { text.value = ""; count.textContent = ""; }
      await refresh();
    }
    text.focus();
  }

  async function refresh() {
    const [phone, figures] = await Promise.all([get(`phones/${number}`), get("figures")]);
    off.hidden = figures.inbound;
    const state = JSON.stringify(phone.messages);
    if (state === known) return;
    const first = known === "";
    known = state;
    const low = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    log.replaceChildren(
      ...(phone.total > phone.messages.length ? [el("p", { class: "note" }, `The latest ${phone.messages.length} of ${plural(phone.total, "message")}`)] : []),
      ...(phone.messages.length ? phone.messages.map(bubbleOf) : [el("p", { class: "note" }, "No messages with this number yet.")]));
    if (low || first) log.scrollTop = log.scrollHeight;
    const last = phone.messages.findLast((message) => /^\d+$/.test(message.from ?? ""));
    if (first && last) to.value = last.from;
  }

  return { root, refresh };
}

function bubbleOf(message) {
  if (message.direction === "out") {
    const good = message.answers.every((status) => status >= 200 && status < 300);
    const heard = message.answers.map((status) => status ?? "no answer").join(", ");
    return el("article", { class: "bubble out" }, content(message), el("p", { class: "foot" }, time(message.at),
      tag(good ? `✓ ${heard}` : heard, good ? "good" : "bad", "answer to the push")));
  }
  return el("article", { class: `bubble in ${message.flash ? "flash" : ""}` },
    el("p", { class: "from" }, shown(message.from, { line: true }), message.flash ? tag("⚡ flash", "doubtful") : null),
    content(message),
    el("p", { class: "foot" }, time(message.at), tag(message.alphabet),
      message.parts > 1 ? tag(plural(message.parts, "part")) : null,
      message.missing.length ? tag(`part ${message.missing.join(", ")} missing`, "bad") : null,
      el("a", { href: `#messages/${message.id}`, "aria-label": `Details of the message from ${message.from}` }, message.status)));
}

function content(message) {
  if (message.octets !== null && message.octets !== undefined) {
    return el("div", {}, tag("binary"), el("pre", { class: "octets" }, message.octets || "no octets"));
  }
  if (message.kind === "bookmark") {
    return el("div", { class: "bookmark" }, tag("bookmark"), el("p", { class: "text" }, shown(message.text)), el("p", { class: "url" }, shown(message.url ?? "")));
  }
  return el("p", { class: "text" }, message.text ? shown(message.text) : el("em", {}, "empty"));
}
