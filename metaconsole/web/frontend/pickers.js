// Site and time pickers, the account menu and the `/` key: what stands at the same place on every page.

import { readRange, writeRange } from "./time.js";

const local = (ms) => {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
};

// A page that can change its range without a reload takes the event; else the address changes.
function choose(range) {
  const event = new CustomEvent("nephoscope:range", { detail: range, cancelable: true });
  if (document.dispatchEvent(event)) location.assign(writeRange(location.href, range));
}

function timePicker(picker) {
  const from = picker.querySelector('input[name="from"]');
  const to = picker.querySelector('input[name="to"]');
  const error = picker.querySelector(".form-error");
  const label = picker.querySelector(".picker-value");
  for (const link of picker.querySelectorAll("a[data-range]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      picker.open = false;
      choose(readRange(`?range=${link.dataset.range}`));
    });
  }
  picker.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const [start, end] = [new Date(from.value).getTime(), new Date(to.value).getTime()];
    const wrong = !(end - start >= 1000);
    error.hidden = !wrong;
    if (wrong) return from.focus();
    picker.open = false;
    choose({ from: start, to: end, live: false, range: null });
  });
  const show = (range) => {
    from.value = local(range.from);
    to.value = local(range.to);
    const link = picker.querySelector(`a[data-range="${range.range}"]`);
    const format = new Intl.DateTimeFormat(document.documentElement.lang, {
      day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
    });
    label.textContent = link?.textContent.trim() ?? range.range ?? format.formatRange(range.from, range.to);
    for (const one of picker.querySelectorAll("a[data-range]")) {
      if (one === link) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  };
  document.addEventListener("nephoscope:range-shown", (event) => {
    show(event.detail);
    carry(event.detail);
  });
  show(readRange(location.search));
}

// The range travels with the links that lead on.
function carry(range) {
  for (const link of document.querySelectorAll("a[data-carry]")) {
    const next = writeRange(link.href, range);
    link.href = next.pathname + next.search;
  }
  for (const form of document.querySelectorAll("form[data-carry]")) {
    for (const name of ["range", "from", "to"]) form.querySelector(`input[type="hidden"][name="${name}"]`)?.remove();
    for (const name of ["range", "from", "to"]) {
      const value = name === "range" ? range.range : range.range ? null : Math.round(range[name]);
      if (!value) continue;
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name, value });
      form.append(field);
    }
  }
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (menu !== except) menu.open = false;
}

export function startPickers() {
  const picker = document.querySelector("details.time-picker");
  if (picker) timePicker(picker);
  document.querySelector("select[data-submit]")?.addEventListener("change", (event) => event.target.form.requestSubmit());
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      const open = document.querySelector("details.menu[open]");
      closeMenus(null);
      open?.querySelector("summary").focus();
    }
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.querySelector("[data-search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });
}
