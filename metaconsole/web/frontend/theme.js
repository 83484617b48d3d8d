// Colours for canvases: taken from the page's CSS, so that both themes reach the graphs.

const probe = document.createElement("span");
probe.hidden = true;
let known = new Map();
const listeners = new Set();

// The colour that a CSS variable means now.
export function colour(name) {
  if (!known.has(name)) {
    if (!probe.isConnected) document.body.append(probe);
    probe.style.color = `var(${name})`;
    known.set(name, getComputedStyle(probe).color);
  }
  return known.get(name);
}

export const onThemeChange = (listener) => listeners.add(listener);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  known = new Map();
  for (const listener of listeners) listener();
});
