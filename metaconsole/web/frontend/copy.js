// Buttons that copy the text of another element, which data-copy names.

import { texts } from "./page.js";

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const chosen = document.createRange();
  chosen.selectNodeContents(source);
  getSelection().removeAllRanges();
  getSelection().addRange(chosen);
  // Without TLS a browser has no clipboard for scripts: the text stays selected, for the keyboard.
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(source.textContent);
    else if (!document.execCommand("copy")) return;
  } catch {
    return;
  }
  const label = button.textContent;
  button.textContent = texts.copied;
  setTimeout(() => (button.textContent = label), 2000);
}

export function startCopying() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", () => copy(button));
  }
}
