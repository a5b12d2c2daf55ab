// Begins when the page has been read: draws the figures that are near the window first.

const figures = JSON.parse(document.getElementById("figures").textContent);
const KINDS = { chart: Chart, forest: Forest, depths: Depths, heads: Heads, ranks: Ranks };

const soon = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    soon.unobserve(target);
    begin(target);
  }
}, { rootMargin: "1200px" });

function begin(figure) {
  if (figure.dataset.begun) return;
  figure.dataset.begun = "yes";
  const spec = figures[figure.dataset.figure];
  new KINDS[spec.kind](figure, spec);
}

document.querySelectorAll("[data-figure]").forEach((figure) => soon.observe(figure));

// The names of policies in tables have their specification as a title.
const names = new Map();
figures.filter((spec) => spec.kind === "chart").forEach((spec) => spec.data.panels.forEach((panel) => panel.lines.forEach((line) => line.full && names.set(line.name, line.full))));
document.querySelectorAll("tbody th").forEach((cell) => {
  const full = names.get(cell.textContent);
  if (full && full !== cell.textContent) cell.title = full;
});

// A table becomes sortable when its part is opened.
function enhanceIn(part) {
  part.querySelectorAll("table").forEach((made) => {
    if (made.dataset.begun || made.closest(".interactive, #rows") || made.closest("details:not([open])")) return;
    made.dataset.begun = "yes";
    enhance(made);
  });
}
document.addEventListener("toggle", (event) => event.target.open && enhanceIn(event.target), true);
enhanceIn(document);

const rowsPlace = document.getElementById("rows");
const packed = document.getElementById("packed-rows");
if (rowsPlace && packed) {
  unpack(packed.textContent).then((found) => linkStatements(new Rows(rowsPlace, found), rowsPlace));
}

// Print shows everything: all parts are open and all figures are drawn.
addEventListener("beforeprint", () => {
  document.querySelectorAll("[data-figure]").forEach(begin);
  document.querySelectorAll("details").forEach((part) => (part.open = true));
});
