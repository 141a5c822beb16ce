// Keys press buttons; the next images are fetched ahead; a lost connection is told. Everything works without this file, by mouse.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.closest("input, textarea, select")) return;
  const seat = document.getElementById("seat");
  if (!seat || seat.classList.contains("htmx-request")) return; // the answer before is under way: that key was meant for an image not seen
  const image = seat.querySelector("img.big");
  if (image && !image.complete) return;
  if (event.key === "Enter" && event.target.closest("button, a, summary")) return; // the browser's own
  const find = (key) => seat.querySelector(`[data-key="${CSS.escape(key)}"]:not(:disabled)`);
  const button = find(event.key) || find(event.key.toLowerCase());
  if (!button) return;
  event.preventDefault();
  button.click();
});

const ahead = new Map(); // keeps what was fetched ahead from being thrown away
const fetchAhead = () => {
  const image = document.querySelector("#seat img.big");
  for (const address of (image?.dataset.next || "").split(" ").filter(Boolean)) {
    if (ahead.has(address)) continue;
    const next = new Image();
    next.src = address;
    ahead.set(address, next);
    if (ahead.size > 8) ahead.delete(ahead.keys().next().value);
  }
};
document.addEventListener("DOMContentLoaded", fetchAhead);
document.addEventListener("htmx:after:swap", fetchAhead);

const connected = (yes) => () => {
  const offline = document.getElementById("offline");
  if (offline) offline.hidden = yes;
};
document.addEventListener("htmx:sse:error", connected(false));
document.addEventListener("htmx:sse:after:connection", connected(true));

const title = document.title;
const count = () => {
  const open = document.getElementById("open-count")?.textContent.trim();
  document.title = open ? `(${open}) ${title}` : title;
};
document.addEventListener("DOMContentLoaded", count);
document.addEventListener("htmx:after:swap", count);
