// The public API, as everybody uses it; the session's cookie stands for a token.

import { csrfToken, language, texts } from "./page.js";

const DEADLINE_MS = 30_000;

async function ask(path, options = {}) {
  const answer = await fetch(path, {
    ...options,
    credentials: "same-origin",
    signal: options.signal
      ? AbortSignal.any([options.signal, AbortSignal.timeout(DEADLINE_MS)])
      : AbortSignal.timeout(DEADLINE_MS),
    headers: { Accept: "application/json", "Accept-Language": language, ...options.headers },
  });
  if (answer.status === 401) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.detail || body.title || `${texts.failed} (${answer.status})`);
  return body;
}

export const get = (path) => ask(path);

export const post = (path, body, signal) =>
  ask(path, {
    method: "POST",
    signal,
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrfToken },
  });

// Follows `next` until the list ends.
export async function list(path) {
  const items = [];
  let cursor = null;
  do {
    const url = new URL(path, location.origin);
    if (cursor) url.searchParams.set("cursor", cursor);
    const page = await get(url.pathname + url.search);
    items.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return items;
}
