// Small helpers: elements, numbers, controls and the tip that says what is under the pointer.

const SVG = "http://www.w3.org/2000/svg";

// Returns an element with attributes and children. A child is an element or a text.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Returns an element of SVG.
function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Formats a number as tables do: with three significant digits, or without decimals from 1,000 on.
function number(value) {
  if (value === null || value === undefined) return "-";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-4) return value.toExponential(2);
  return size >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

// Returns a labelled choice among options, which are texts. `chosen` receives the index.
function choice(label, options, start, chosen) {
  const select = element("select", { "aria-label": label });
  options.forEach((text, i) => select.append(element("option", i === start ? { value: i, selected: "" } : { value: i }, text)));
  select.addEventListener("change", () => chosen(Number(select.value)));
  return element("label", { class: "control" }, element("span", {}, label), select);
}

// Returns a labelled box to tick.
function tick(label, start, chosen) {
  const box = element("input", { type: "checkbox" });
  box.checked = start;
  box.addEventListener("change", () => chosen(box.checked));
  return element("label", { class: "control" }, box, element("span", {}, label));
}

// Returns the index of the first wanted option, or 0.
function place(options, wanted) {
  return Math.max(0, options.indexOf(wanted));
}

// Replaces the content of a part. If the focus was in it, the control of the same name has it afterwards, or
// the one at the same place.
function replace(part, ...children) {
  const controls = () => [...part.querySelectorAll("select, input, button, summary")];
  const name = (control) => (control.closest("label")?.querySelector("span") ?? control).textContent;
  const place = controls().indexOf(document.activeElement);
  const focused = place < 0 ? null : name(document.activeElement);
  part.replaceChildren(...children);
  if (focused === null) return;
  const all = controls();
  (all.find((control) => name(control) === focused) ?? all[Math.min(place, all.length - 1)])?.focus();
}

const tip = document.getElementById("tip");

// Shows lines of text near a point of the window.
function showTip(lines, x, y) {
  tip.replaceChildren(...lines.map((line, i) => element(i === 0 ? "strong" : "span", {}, line)));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 4))}px`;
  tip.style.top = `${y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18}px`;
}

function hideTip() {
  tip.hidden = true;
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") hideTip();
});
addEventListener("scroll", hideTip, { passive: true });

// Draws a part again when its width changes.
function onWidth(part, draw) {
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.floor(part.clientWidth);
    if (width > 0 && width !== last) {
      last = width;
      draw(width);
    }
  }).observe(part);
}

// Returns a table from titles and rows of texts. The first column names its row.
function table(caption, titles, rows) {
  const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
  const line = (cells) =>
    element("tr", {}, ...cells.map((cell, i) => (i === 0 ? element("th", { scope: "row" }, cell) : element("td", {}, cell))));
  const made = element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...rows.map(line)));
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": caption }, made);
}
