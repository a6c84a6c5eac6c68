// Completes the pages: times in the zone of the reader, parts that follow the events, filters without a reload, requests
// without leaving the page, the readout of plots, and shortcuts. Every page works without it.
"use strict";

const body = document.body;
const all = (selector, root = document) => root.querySelectorAll(selector);

/* Times */

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const clock = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
const full = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "full", timeStyle: "long" });
const units = (body.dataset.units || "").split("|");

function distance(date) {
  const ahead = (date - Date.now()) / 1000;
  const seconds = Math.floor(Math.abs(ahead));
  if (seconds < 5) return body.dataset.now;
  const [unit, number] = seconds < 60 ? [0, seconds] : seconds < 3600 ? [1, seconds / 60]
    : seconds < 172800 ? [2, seconds / 3600] : [3, seconds / 86400];
  const text = units[unit].replace("{}", Math.floor(number));
  return body.dataset[ahead < 0 ? "ago" : "within"].replace("{}", text);
}

function localTimes(root) {
  for (const element of all("time[datetime]", root)) {
    const date = new Date(element.dateTime);
    if (element.className === "moment") {
      element.textContent = distance(date);
      element.title = full.format(date);
      continue;
    }
    const text = clock.format(date);
    if (element.textContent !== text) {
      element.textContent = text;
      element.title = `${full.format(date)}\n${element.dateTime}`;
    }
  }
  for (const element of all(".when", root)) {
    const date = new Date(element.querySelector("time").dateTime);
    element.querySelector(".distance").textContent = distance(date);
  }
}

/* Refreshed parts: only what differs is replaced, so that focus, selection and scroll positions stay. */

function morph(old, fresh) {
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(old.localName === "tr" && name === "class")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const byId = new Map();
  for (const child of old.children) if (child.id) byId.set(child.id, child);
  let place = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const known = next.id ? byId.get(next.id) : null;
    if (known && known !== place) {
      old.insertBefore(known, place);
      place = known;
    }
    const isSame = place && place.nodeType === next.nodeType && place.nodeName === next.nodeName
      && (place.id || "") === (next.id || "");
    if (!isSame) {
      old.insertBefore(next, place);
    } else {
      const following = place.nextSibling;
      if (place.nodeType === Node.ELEMENT_NODE) morph(place, next);
      else if (place.data !== next.data) place.data = next.data;
      place = following;
    }
  }
  while (place) {
    const following = place.nextSibling;
    place.remove();
    place = following;
  }
}

async function refresh(part, url = part.dataset.live) {
  const response = await fetch(url, { headers: { Accept: "text/html" } });
  if (response.redirected || response.status === 401) return location.reload();
  if (!response.ok) return;
  const template = document.createElement("template");
  template.innerHTML = await response.text();
  const fresh = template.content.firstElementChild;
  if (!fresh) return;
  // Times are compared as they are shown.
  localTimes(template.content);
  const isOver = part.dataset.live && !fresh.dataset.live;
  morph(part, fresh);
  if (isOver) for (const other of all("[data-live]")) schedule(other, 0);
}

// Requests of a part follow each other at its interval, and never overlap.
const pending = new WeakMap();

function schedule(part, least = 0) {
  const state = pending.get(part) || { last: 0, timer: 0, busy: false, again: false };
  pending.set(part, state);
  if (state.busy) {
    state.again = true;
    return;
  }
  if (state.timer || !part.dataset.live) return;
  const every = Number(part.dataset.every) || 1000;
  const delay = Math.max(least, state.last + every - Date.now(), 0);
  state.timer = setTimeout(async () => {
    state.timer = 0;
    state.busy = true;
    state.last = Date.now();
    try {
      if (part.isConnected && !document.hidden) await refresh(part);
    } catch {
      // The next event tries again.
    }
    state.busy = false;
    if (state.again) {
      state.again = false;
      schedule(part);
    }
  }, delay);
}

/* The one stream of events. A browser has six connections to a server in all of its tabs, and keeps those of pages that
   the reader left, so only a page that is seen has one. */
let stream = null;

function unfollow() {
  if (stream) stream.close();
  stream = null;
}

function follow() {
  if (!body.dataset.events || stream || document.hidden) return;
  const source = new EventSource(body.dataset.events);
  stream = source;
  const sign = document.getElementById("connection");
  const show = (isLost) => {
    sign.hidden = false;
    sign.classList.toggle("lost", isLost);
    sign.textContent = isLost ? sign.dataset.lost : sign.dataset.connected;
  };
  const refreshAll = () => {
    for (const part of all("[data-live]")) schedule(part);
  };
  source.addEventListener("open", () => {
    show(false);
    // What happened since the page was made, or the connection was lost, came in no event.
    refreshAll();
  });
  source.addEventListener("error", () => {
    show(true);
    // The browser does not try again after a refusal.
    if (source.readyState === EventSource.CLOSED && stream === source) {
      stream = null;
      setTimeout(follow, 5000);
    }
  });
  const receive = (message) => {
    let event;
    try {
      event = JSON.parse(message.data);
    } catch {
      return;
    }
    for (const part of all("[data-live]")) {
      const isMeant = part.dataset.on.split(" ").includes(event.event);
      const run = part.dataset.run;
      if (isMeant && (!run || !event.run || event.run.id === run)) schedule(part, 50);
    }
  };
  source.addEventListener("missed", refreshAll);
  for (const kind of ["message", "run", "progress", "registry"]) source.addEventListener(kind, receive);
}

/* Requests */

function notice(text, href) {
  const element = document.getElementById("notice");
  element.replaceChildren();
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = text;
    element.append(link);
  } else {
    element.textContent = text;
  }
  clearTimeout(notice.timer);
  notice.timer = setTimeout(() => element.replaceChildren(), 8000);
}

function confirmed(question) {
  const dialog = document.getElementById("confirmation");
  document.getElementById("question").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

async function send(form) {
  if (form.dataset.question && !(await confirmed(form.dataset.question))) return;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const response = await fetch(form.action, { method: "POST", headers: { "X-Image-Syncer": "1" } });
    const target = response.headers.get("Location");
    if (response.status === 202 && target) {
      if (form.dataset.stay === undefined && !document.querySelector("#rules, #live")) location.assign(target);
      else if (target === location.pathname) notice.timer = 0;
      else notice(form.dataset.done || target, target);
      for (const part of all("[data-live]")) schedule(part);
    } else {
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const result = form.dataset.result && page.querySelector(".result");
      if (result) {
        // A refreshed part shows what is wrong for as long as it is.
        document.getElementById(form.dataset.result).replaceChildren(...(response.ok ? [result] : []));
        for (const part of all("[data-live]")) schedule(part);
        button.disabled = false;
        return;
      }
      const why = page.querySelector(".reason, h1");
      notice(`${body.dataset.failed} ${why ? why.textContent : response.status}`);
    }
  } catch (error) {
    notice(`${body.dataset.failed} ${error.message}`);
  }
  button.disabled = false;
}

document.addEventListener("submit", (event) => {
  if (event.target.matches("form[data-post]")) {
    event.preventDefault();
    send(event.target);
  } else if (event.target.matches("form[data-filter]")) {
    event.preventDefault();
    filter(event.target);
  }
});

/* Filters */

async function filter(form) {
  const fields = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const path = form.getAttribute("action");
  const page = fields.size ? `${path}?${fields}` : path;
  history.replaceState(null, "", page);
  fields.set("part", form.dataset.filter);
  const number = (filter.number = (filter.number || 0) + 1);
  const part = document.getElementById(form.dataset.filter);
  part.setAttribute("aria-busy", "true");
  try {
    if (number === filter.number) await refresh(part, `${path}?${fields}`);
  } finally {
    part.removeAttribute("aria-busy");
  }
}

let typing;
for (const kind of ["input", "change"]) {
  document.addEventListener(kind, (event) => {
    const form = event.target.closest("form[data-filter]");
    if (!form) return;
    clearTimeout(typing);
    typing = setTimeout(() => filter(form), kind === "input" ? 200 : 0);
  });
}

/* Plots */

document.addEventListener("pointermove", (event) => {
  const area = event.target.closest(".plot-area");
  for (const cursor of all(".plot-area .cursor")) if (cursor.parentNode !== area) cursor.remove();
  if (!area) return;
  const plot = area.parentNode;
  const points = JSON.parse(plot.dataset.plot);
  const box = area.getBoundingClientRect();
  const last = points[points.length - 1][0];
  const second = ((event.clientX - box.left) / box.width) * last;
  const point = points.reduce((a, b) => (Math.abs(b[0] - second) < Math.abs(a[0] - second) ? b : a));
  let cursor = area.querySelector(".cursor");
  if (!cursor) {
    cursor = document.createElement("div");
    cursor.className = "cursor";
    area.append(cursor);
  }
  cursor.style.left = `${(point[0] / last) * 100}%`;
  plot.querySelector(".readout").textContent =
    `${seconds(point[0])}: ${plot.dataset.sent} ${speed(point[2])}, ${plot.dataset.read} ${speed(point[1])}`;
});

function speed(bytes) {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1023.95 && unit < 4) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit ? bytes.toFixed(1) : bytes} ${names[unit]}/s`;
}

function seconds(number) {
  const minutes = Math.floor(number / 60);
  return `${minutes}:${String(number % 60).padStart(2, "0")}`;
}

/* Shortcuts */

let prefix = 0;

function moveTo(step) {
  const rows = [...all("tr[data-row]")];
  if (!rows.length) return;
  const index = rows.findIndex((row) => row.classList.contains("at"));
  const next = rows[Math.min(Math.max(index + step, 0), rows.length - 1)];
  for (const row of rows) row.classList.toggle("at", row === next);
  next.querySelector("a, button")?.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target.closest("input, select, textarea, dialog")) return;
  const isAfterG = Date.now() - prefix < 1500;
  prefix = 0;
  if (isAfterG) {
    const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      link.click();
    }
    return;
  }
  const actions = {
    g: () => { prefix = Date.now(); },
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => document.getElementById("shortcuts").showModal(),
    j: () => moveTo(1),
    k: () => moveTo(-1),
  };
  const action = actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
});

/* Start */

localTimes(document);
const zoneSign = document.getElementById("zone");
if (zoneSign) zoneSign.textContent = zoneSign.dataset.zone.replace("{}", zone);
for (const element of all(".keys-hint")) element.hidden = false;
setInterval(() => localTimes(document), 15000);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return unfollow();
  follow();
});
window.addEventListener("pagehide", unfollow);
window.addEventListener("pageshow", follow);
follow();
