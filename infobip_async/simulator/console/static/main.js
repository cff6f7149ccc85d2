// Which view is open, and when it looks again.

import { act, say } from "./api.js";
import * as faults from "./faults.js";
import * as figures from "./figures.js";
import * as lookups from "./lookups.js";
import * as messages from "./messages.js";
import * as phones from "./phones.js";

const VIEWS = { phones, messages, lookups, faults, figures };
const PAUSE = 250; // milliseconds between two looks, however much happens

const main = document.getElementById("view");
const live = document.getElementById("live");
let view = null;
let name = "";
let looking = false;
let stale = false;

async function look() {
  stale = true;
  if (looking) return;
  looking = true;
  while (stale) {
    stale = false;
    const began = performance.now();
    try {
      await view.refresh();
    } catch (error) {
      if (!live.classList.contains("off")) say(error.message);
    }
    await new Promise((done) => setTimeout(done, Math.max(PAUSE, 4 * (performance.now() - began))));
  }
  looking = false;
}

function open() {
  const [wanted, id = ""] = location.hash.slice(1).split("/").map(decodeURIComponent);
  const chosen = wanted in VIEWS ? wanted : "phones";
  if (chosen !== name) {
    name = chosen;
    main.replaceChildren();
    main.className = name;
    view = VIEWS[name].open(main);
    document.title = `${name[0].toUpperCase()}${name.slice(1)} – SMS simulator`;
  }
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  view.select?.(id);
  look();
}

function follow() {
  const events = new EventSource("events");
  events.onmessage = look;
  events.onopen = () => { live.textContent = "live"; live.className = "on"; look(); };
  events.onerror = () => { live.textContent = "reconnecting"; live.className = "off"; };
}

document.getElementById("reset").addEventListener("click", async () => {
  if (!confirm("Forget all messages, lookups and pushes, and remove faults and decisions?")) return;
  await act("POST", "reset");
  location.hash = `#${name}`;
});

// The token is in a cookie by now: the address can be shown to others.
if (location.search) history.replaceState(null, "", location.pathname + location.hash);
addEventListener("hashchange", open);
open();
follow();
