// The map of heads by layer and head, with a choice of model, context and score; the card of a pinned head; and
// the distribution of entropies with the bounds of the classes.

// The most pinned cards.
const CARDS = 4;

class Heads {
  constructor(figure, { data }) {
    this.data = data;
    [this.model, this.score, this.bounds] = [0, 0, 0];
    this.pinned = [];
    const last = data.models.findIndex((model) => model.views[0].texts > 0);
    this.model = Math.max(0, last);
    this.index = this.shown.views.length - 1;
    this.controls = element("div", { class: "controls" });
    this.map = element("div", { class: "plot" });
    this.spread = element("div", { class: "plot" });
    this.cards = element("div", { class: "cards", "aria-live": "polite" });
    figure.querySelector(".view").replaceChildren(this.controls, element("div", { class: "pair" }, this.map, this.spread), this.cards);
    this.restart();
    onWidth(this.map, () => this.draw());
    onWidth(this.spread, () => this.drawSpread());
  }

  get shown() {
    return this.data.models[this.model];
  }

  get seen() {
    return this.shown.views[this.index];
  }

  restart() {
    const { models, scores, bounds } = this.data;
    const set = (key) => (value) => {
      this[key] = value;
      if (key === "model") [this.index, this.pinned] = [this.shown.views.length - 1, []];
      this.score = Math.min(this.score, this.seen.scores.length - 1);
      this.restart();
    };
    replace(
      this.controls,
      choice("model", models.map((model) => model.name), this.model, set("model")),
      choice("context", this.shown.views.map((view) => view.name), this.index, set("index")),
      choice("score", scores.slice(0, this.seen.scores.length), this.score, set("score")),
      choice("class bounds, bits", bounds.map(([name]) => name), this.bounds, set("bounds")),
    );
    this.draw();
    this.drawSpread();
    this.drawCards();
  }

  // Returns the class of a head with this entropy.
  classOf(bits) {
    const bounds = this.data.bounds[this.bounds][1];
    const found = bounds.findIndex((bound) => bits < bound);
    return this.data.classes[found < 0 ? bounds.length : found];
  }

  draw() {
    const matrix = this.seen.scores[this.score];
    const heads = Math.max(...matrix.map((row) => row.length));
    const room = Math.max(220, this.map.clientWidth) - 52;
    const cell = Math.max(8, Math.min(36, room / heads, 520 / matrix.length + 4));
    const [left, top] = [40, 4];
    const [width, height] = [Math.max(280, this.map.clientWidth, left + heads * cell + 8), top + matrix.length * cell + 40];
    const all = this.shown.views.flatMap((view) => (view.scores[this.score] || []).flat()).filter((value) => value !== null);
    this.most = Math.max(...all, 1e-9);
    const name = this.data.scores[this.score];
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: "0", "aria-label": `${name} of every head of ${this.shown.name}, ${this.seen.name}. Use the arrow keys to read heads, and Enter to pin one.` });
    matrix.forEach((row, layer) => row.forEach((value, head) => {
      const fill = value === null ? "none" : this.colour(value / this.most);
      svg.append(drawn("rect", { x: left + head * cell, y: top + layer * cell, width: cell - 1, height: cell - 1, fill, class: "head", "data-layer": layer, "data-head": head }));
    }));
    const every = (count) => Math.ceil((count * 14) / (count * cell)) || 1;
    matrix.forEach((_, layer) => layer % every(matrix.length) === 0 && svg.append(drawn("text", { x: left - 6, y: top + (layer + 0.5) * cell + 4, "text-anchor": "end" }, String(layer))));
    for (let head = 0; head < heads; head += every(heads)) svg.append(drawn("text", { x: left + (head + 0.5) * cell, y: top + matrix.length * cell + 14, "text-anchor": "middle" }, String(head)));
    svg.append(drawn("text", { x: left, y: height - 6 }, `query head; colours: 0 to ${number(this.most)} ${name}`));
    svg.append(drawn("text", { x: 11, y: top + (matrix.length * cell) / 2, "text-anchor": "middle", transform: `rotate(-90 11 ${top + (matrix.length * cell) / 2})` }, "layer"));
    this.ring = drawn("rect", { width: cell - 1, height: cell - 1, class: "ring", hidden: "" });
    svg.append(this.ring);
    this.listen(svg, matrix, { left, top, cell });
    this.map.replaceChildren(svg);
  }

  colour(part) {
    const { palette } = this.data;
    return palette[Math.round(Math.min(1, Math.max(0, part)) * (palette.length - 1))];
  }

  // Returns the lines of the tip of a head.
  describe(layer, head) {
    const kv = this.seen.kv_heads[layer]?.[head];
    const bits = this.seen.scores[0][layer][head];
    const scores = this.seen.scores.map((score, i) => `${this.data.scores[i]}: ${number(score[layer][head])}`);
    const name = `layer ${layer}, head ${head}${kv === undefined || kv === null ? "" : `, KV head ${kv}`}`;
    return [name, bits === null ? "not known" : this.classOf(bits), ...scores];
  }

  listen(svg, matrix, { left, top, cell }) {
    let [layer, head] = [0, -1];
    const show = (x, y) => {
      this.ring.removeAttribute("hidden");
      this.ring.setAttribute("x", left + head * cell);
      this.ring.setAttribute("y", top + layer * cell);
      const box = svg.getBoundingClientRect();
      showTip(this.describe(layer, head), x ?? box.left + left + (head + 1) * cell, y ?? box.top + top + layer * cell);
    };
    const hide = () => {
      this.ring.setAttribute("hidden", "");
      hideTip();
    };
    svg.addEventListener("pointermove", ({ target, clientX, clientY }) => {
      if (target.dataset?.layer === undefined) return target === this.ring ? undefined : hide();
      [layer, head] = [Number(target.dataset.layer), Number(target.dataset.head)];
      show(clientX, clientY);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("click", () => head >= 0 && this.pin(layer, head));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
      if (event.key === "Enter" && head >= 0) this.pin(layer, head);
      if (!step) return;
      event.preventDefault();
      layer = Math.min(matrix.length - 1, Math.max(0, layer + step[0]));
      head = Math.min(matrix[layer].length - 1, Math.max(0, head + step[1]));
      show();
    });
  }

  pin(layer, head) {
    const is = (own) => own.layer === layer && own.head === head;
    this.pinned = this.pinned.some(is) ? this.pinned.filter((own) => !is(own)) : [...this.pinned, { layer, head }].slice(-CARDS);
    this.drawCards();
  }

  drawCards() {
    replace(this.cards, ...this.pinned.map(({ layer, head }) => {
      const views = this.shown.views.filter((view) => view.scores[0][layer]?.[head] !== undefined);
      const row = (view) => [view.name, this.classOf(view.scores[0][layer][head]), ...view.scores.map((score) => number(score[layer][head]))];
      const close = element("button", { type: "button", class: "plain" }, "Remove");
      close.addEventListener("click", () => this.pin(layer, head));
      const title = `${this.shown.name}: layer ${layer}, head ${head}`;
      return element("article", { class: "card" }, element("p", {}, element("strong", {}, title), " ", close), table(title, ["context", "class", ...this.data.scores.slice(0, this.seen.scores.length)], views.map(row)));
    }));
  }

  // Draws how many heads have which entropy, with the bounds of the classes.
  drawSpread() {
    const bits = this.seen.scores[0].flat().filter((value) => value !== null);
    const width = Math.max(220, this.spread.clientWidth);
    const [height, left, bottom] = [230, 34, 40];
    const step = 0.25;
    const most = Math.max(5, ...bits);
    const bins = Array(Math.ceil(most / step) + 1).fill(0);
    bits.forEach((value) => bins[Math.floor(value / step)]++);
    const tallest = Math.max(1, ...bins);
    const x = (value) => left + ((width - left - 8) * value) / (bins.length * step);
    const y = (count) => height - bottom - ((height - bottom - 24) * count) / tallest;
    const bounds = this.data.bounds[this.bounds][1];
    const edges = [0, ...bounds, Infinity];
    const counts = this.data.classes.map((name, i) => `${bits.filter((value) => value >= edges[i] && value < edges[i + 1]).length} ${name}`);
    const title = `Heads by entropy, ${this.shown.name}, ${this.seen.name}: ${counts.join(", ")}`;
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title });
    bins.forEach((count, i) => count && svg.append(drawn("rect", { x: x(i * step) + 0.5, y: y(count), width: Math.max(1, x(step) - x(0) - 1), height: height - bottom - y(count), class: "bar" }, drawn("title", {}, `${count} heads from ${i * step} to ${(i + 1) * step} bits`))));
    bounds.forEach((bound) => svg.append(drawn("line", { x1: x(bound), x2: x(bound), y1: 14, y2: height - bottom, class: "bound" })));
    for (let value = 0; value <= bins.length * step; value += 1) svg.append(drawn("text", { x: x(value), y: height - bottom + 16, "text-anchor": "middle" }, String(value)));
    svg.append(drawn("text", { x: left - 6, y: y(tallest) + 4, "text-anchor": "end" }, String(tallest)), drawn("text", { x: left - 6, y: height - bottom, "text-anchor": "end" }, "0"));
    svg.append(drawn("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" }, "attention entropy, bits; dashed: class bounds"));
    this.spread.replaceChildren(svg, element("p", { class: "note" }, counts.join(", ")));
  }
}
