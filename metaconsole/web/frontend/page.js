// What the server put into the page for scripts: texts in the reader's language, the CSRF token, the locale.

const read = (id) => JSON.parse(document.getElementById(id)?.textContent || "{}");

export const texts = read("texts");
export const language = document.documentElement.lang || "en";
export const csrfToken = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

// Fills {name} in a translated text.
export const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// Makes an element: make("p", {class: "note", text: "…"}, child, …). Text never becomes markup.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

const status = document.getElementById("announcements");
let announcedAt = -Infinity;

// Tells screen readers, at most every ten seconds: what is live must not talk without end.
export function announce(text) {
  const now = performance.now();
  if (!status || now - announcedAt < 10_000) return;
  announcedAt = now;
  status.textContent = text;
}
