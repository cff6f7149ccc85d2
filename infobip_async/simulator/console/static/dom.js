// Elements from data. Text goes in as text nodes only: nothing that was sent is read as markup.

/** Make an element: properties, "on…" listeners, "aria-…"/"data-…" attributes, then children. */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, properties, children);
  return made;
}

/** The same for drawings. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function fill(made, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "list" || name === "for") {
      made.setAttribute(name, value);
    } else if (name === "class") made.className = value;
    else made[name] = value;
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
}

// Control characters, and those that turn the direction of what follows.
const HIDDEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;
// Joiners belong to emoji, and to the scripts whose letters change their shape.
const JOINED = /(?:[\p{Extended_Pictographic}\p{Emoji_Modifier}\p{M}]|(?![\p{sc=Latin}\p{sc=Greek}\p{sc=Cyrillic}])\p{L})[\u200c\u200d]$/u;

/** Show text as it is: set apart in its own direction, and with hidden characters to be seen. */
export function shown(text, { line = false } = {}) {
  const whole = el("bdi", { dir: "auto" });
  let plain = "";
  for (const character of String(text)) {
    const newline = line && character === "\n";
    if (!newline && (!HIDDEN.test(character) || JOINED.test(plain.slice(-2) + character))) {
      plain += character;
      continue;
    }
    const code = character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    whole.append(plain, el("span", { class: "hidden" }, `U+${code}`));
    plain = "";
  }
  whole.append(plain);
  return whole;
}

/** A short label, coloured by its meaning: good, bad, doubtful, plain. */
export function tag(text, meaning = "plain", title = null) {
  return el("span", { class: `tag ${meaning}`, title }, text);
}

export const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

/** A time of day; with the date where it is of another day. */
export function time(at) {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date().toDateString();
  const text = today ? CLOCK.format(date) : `${date.toLocaleDateString()} ${CLOCK.format(date)}`;
  return el("time", { dateTime: date.toISOString(), title: date.toISOString() }, text);
}

/** A label with its input. */
export function field(label, input) {
  return el("label", { class: "field" }, el("span", {}, label), input);
}

/** Terms and their values; those without a value are left out. */
export function terms(pairs) {
  const given = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", {}, given.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

export function plural(count, one, many = `${one}s`) {
  return `${count.toLocaleString()} ${count === 1 ? one : many}`;
}

/** Run a function once a pause has passed since the last call. */
export function debounced(work, pause = 150) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), pause);
  };
}

/** Put children in the place of others; what has the same key stays open, and keeps the focus. */
export function redraw(root, children) {
  const open = new Set([...root.querySelectorAll("details[open]")].map((details) => details.dataset.key));
  const focused = root.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  root.replaceChildren(...children);
  for (const keyed of root.querySelectorAll("[data-key]")) {
    if (keyed.dataset.key === focused) keyed.focus();
    if (keyed.tagName === "DETAILS") keyed.open = open.has(keyed.dataset.key);
  }
}

/** Words for a view that has nothing to show yet. */
export function empty(title, ...hints) {
  return el("div", { class: "empty" }, el("h2", {}, title), hints.map((hint) => el("p", {}, hint)));
}

/** The answer to a push, as a label. */
export function answered(status, pushes = 1) {
  if (!pushes) return tag("not pushed", "plain", "No URL is entered, it is not due yet, or it was lost");
  if (status === null) return tag("no answer", "bad");
  return tag(String(status), status >= 200 && status < 300 ? "good" : "bad", "answer to the push");
}
