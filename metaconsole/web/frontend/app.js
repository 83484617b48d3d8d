// The entry of the bundle: starts what the page at hand needs.

import htmx from "htmx.org";

import { startCopying } from "./copy.js";
import { csrfToken, texts } from "./page.js";
import { startPickers } from "./pickers.js";
import { ResourcePage } from "./resource.js";
import { refreshAges } from "./time.js";

const AGES_MS = 5000;

// Under the strict Content-Security-Policy nothing is evaluated and no style is injected.
Object.assign(htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  timeout: 30_000,
});
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = csrfToken;
});
// A page in the background asks for nothing.
document.addEventListener("htmx:beforeRequest", (event) => {
  const polls = event.target.getAttribute("hx-trigger")?.startsWith("every");
  if (document.hidden && polls) event.preventDefault();
});
// Who was signed out meanwhile gets the sign-in page, not a hole where a part of this one was.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (new URL(event.detail.xhr.responseURL).pathname !== "/sign-in") return;
  event.detail.shouldSwap = false;
  location.reload();
});
document.addEventListener("htmx:afterSwap", () => refreshAges());

function start() {
  document.documentElement.classList.add("scripted");
  startPickers();
  startCopying();
  refreshAges();
  setInterval(refreshAges, AGES_MS);
  const resource = document.querySelector("[data-resource]");
  if (!resource) return;
  new ResourcePage(resource).start().catch((error) => {
    const place = resource.querySelector("#graph-grid");
    place.textContent = `${texts.failed} ${error.message}`;
  });
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
