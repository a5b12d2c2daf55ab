// Line charts: a choice of panel, measure and axes; lines that can be hidden; values under the pointer or the
// arrow keys; the front of the points that no other point beats.

const MARGIN = { left: 66, right: 14, top: 10, bottom: 46 };
// How near the pointer must be to a point, in pixels.
const NEAR = 36;
// The most lines whose intervals are bands.
const BANDS = 5;
const MARKERS = ["M-4-4H4V4H-4Z", "M0-5 5 4H-5Z", "M0-6 6 0 0 6-6 0Z", "M0 5 5-4H-5Z", "M-2-5H2V5H-2Z"];
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];

// Returns the position of a value on an axis, from 0 to 1.
function position(axis, value) {
  let at = value;
  if (axis.kind === "log10") at = value > 0 ? Math.log10(value) : axis.low;
  if (axis.kind === "log2") at = value > 0 ? Math.log2(value) : axis.low;
  return Math.min(1, Math.max(0, (at - axis.low) / (axis.high - axis.low)));
}

// Returns the look of each line: coloured lines use up colours, grey ones do not.
function looks(lines) {
  let coloured = 0;
  let grey = 0;
  return lines.map((line, i) => {
    const own = line.faint ? grey++ : coloured++;
    const colour = line.marks ? "var(--text)" : line.faint ? "var(--faint-line)" : `var(--line-${own % 7})`;
    const dash = line.faint ? DASHES[(own + 1) % 4] : DASHES[Math.floor(own / 7) % 4];
    return { colour, dash, marker: line.marks ? "M-6-6 6 6M-6 6 6-6" : MARKERS[i % MARKERS.length], marks: line.marks };
  });
}

// Returns a marker at a place.
function marker(look, x, y) {
  const fill = look.marks ? "none" : look.colour;
  return drawn("path", { d: look.marker, transform: `translate(${x} ${y})`, fill, stroke: look.colour, class: "marker" });
}

class Chart {
  constructor(figure, { data, measure }) {
    this.view = figure.querySelector(".view");
    this.data = data;
    this.panel = 0;
    this.measure = place(data.panels[0].measures.map((own) => own.name), measure);
    [this.scale, this.width, this.front] = [0, 0, false];
    this.hidden = new Map(data.panels.map((panel, i) => [i, new Set(panel.lines.flatMap((line, j) => (line.shown ? [] : [j])))]));
    this.plot = element("div", { class: "plot" });
    this.controls = element("div", { class: "controls" });
    this.legend = element("div", { class: "legend", role: "group", "aria-label": "Lines" });
    this.more = element("div");
    this.view.replaceChildren(this.controls, this.plot, this.legend, this.more);
    this.restart();
    onWidth(this.plot, () => this.draw());
  }

  get shownPanel() {
    return this.data.panels[this.panel];
  }

  get shownMeasure() {
    return this.shownPanel.measures[this.measure];
  }

  // Makes the controls and the legend of a panel, and draws it.
  restart() {
    const { panels } = this.data;
    const panel = this.shownPanel;
    const set = (key) => (value) => {
      this[key] = value;
      this.restart();
    };
    const scaleName = (axis) => (axis.kind === "linear" ? (axis.low === 0 ? "from 0" : "close up") : "logarithmic");
    const controls = [];
    if (panels.length > 1) {
      controls.push(choice("model", panels.map((own) => own.name), this.panel, (index) => {
        const wanted = this.shownMeasure.name;
        this.panel = index;
        this.measure = place(this.shownPanel.measures.map((own) => own.name), wanted);
        [this.scale, this.width] = [Math.min(this.scale, this.shownMeasure.scales.length - 1), Math.min(this.width, this.shownMeasure.widths.length - 1)];
        this.restart();
      }));
    }
    if (panel.measures.length > 1) {
      controls.push(choice("measure", panel.measures.map((own) => own.name), this.measure, (index) => {
        [this.measure, this.scale] = [index, 0];
        this.restart();
      }));
    }
    const { scales, widths } = this.shownMeasure;
    if (scales.length > 1) controls.push(choice("vertical axis", scales.map(scaleName), this.scale, set("scale")));
    if (widths.length > 1) controls.push(choice("horizontal axis", widths.map((axis) => axis.label), this.width, set("width")));
    if (this.data.front && this.shownMeasure.better !== 0) controls.push(tick("front", this.front, set("front")));
    replace(this.controls, ...controls);
    this.makeLegend();
    this.draw();
  }

  makeLegend() {
    const { lines } = this.shownPanel;
    const hidden = this.hidden.get(this.panel);
    const look = looks(lines);
    const button = (line, i) => {
      const swatch = drawn("svg", { width: 34, height: 14, "aria-hidden": "true" });
      if (!line.marks) swatch.append(drawn("line", { x1: 0, y1: 7, x2: 34, y2: 7, stroke: look[i].colour, "stroke-dasharray": look[i].dash, class: "line" }));
      swatch.append(marker(look[i], 17, 7));
      const made = element("button", { type: "button", "aria-pressed": String(!hidden.has(i)), title: line.full || line.name }, swatch, line.name);
      made.addEventListener("click", () => {
        if (!hidden.delete(i)) hidden.add(i);
        made.setAttribute("aria-pressed", String(!hidden.has(i)));
        this.draw();
      });
      made.addEventListener("pointerenter", () => this.plot.querySelectorAll("[data-line]").forEach((part) => part.classList.toggle("dim", Number(part.dataset.line) !== i)));
      made.addEventListener("pointerleave", () => this.plot.querySelectorAll(".dim").forEach((part) => part.classList.remove("dim")));
      return made;
    };
    const all = (label, hide) => {
      const made = element("button", { type: "button", class: "plain" }, label);
      made.addEventListener("click", () => {
        lines.forEach((_, i) => (hide ? hidden.add(i) : hidden.delete(i)));
        this.makeLegend();
        this.draw();
      });
      return made;
    };
    const buttons = lines.flatMap((line, i) => (line.points[this.measure].length ? [button(line, i)] : []));
    replace(this.legend, ...buttons, ...(lines.length > 3 ? [all("all", false), all("none", true)] : []));
  }

  // Returns the points that are shown, with their places in the plot.
  places(width, height) {
    const axis = { x: this.shownMeasure.widths[this.width], y: this.shownMeasure.scales[this.scale] };
    const x = (value) => MARGIN.left + (width - MARGIN.left - MARGIN.right) * position(axis.x, value);
    const y = (value) => MARGIN.top + (height - MARGIN.top - MARGIN.bottom) * (1 - position(axis.y, value));
    const hidden = this.hidden.get(this.panel);
    const of = (line, i) => {
      const points = line.points[this.measure].filter((point) => point.x[this.width] !== null);
      const placed = points.map((point) => {
        const [value, low, high] = point.y;
        return { line, index: i, point, at: point.x[this.width], x: x(point.x[this.width]), y: y(value), low: low === null ? null : y(low), high: high === null ? null : y(high) };
      });
      return placed.sort((a, b) => a.at - b.at);
    };
    const shown = this.shownPanel.lines.map((line, i) => (hidden.has(i) ? [] : of(line, i)));
    return { axis, shown, floor: axis.y.kind === "log10" };
  }

  draw() {
    const width = Math.max(260, Math.floor(this.plot.clientWidth));
    const height = Math.round(Math.min(420, Math.max(240, width * 0.62)));
    const { axis, shown, floor } = this.places(width, height);
    const look = looks(this.shownPanel.lines);
    const title = `${this.shownMeasure.name} against ${axis.x.label}, ${this.shownPanel.name}`;
    const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: "0", "aria-label": `${title}. Use the arrow keys to read the points.` });
    svg.append(...this.axes(axis, width, height));
    // Many bands would hide each other: the intervals of more lines are whiskers alone.
    this.banded = shown.filter((points) => points.length).length <= BANDS;
    shown.forEach((points, i) => points.length && svg.append(this.line(points, i, look[i], floor)));
    const front = this.front ? this.frontOf(shown.flat()) : [];
    if (front.length > 1) svg.append(drawn("polyline", { points: front.map((own) => `${own.x},${own.y}`).join(" "), class: "front" }));
    this.focus = drawn("circle", { r: 8, class: "focus", hidden: "" });
    svg.append(this.focus);
    this.listen(svg, shown.flat());
    this.plot.replaceChildren(svg);
    this.listFront(shown.flat());
  }

  axes({ x, y }, width, height) {
    const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, height - MARGIN.bottom];
    const parts = [];
    let free = -Infinity;
    for (const [at, label] of x.ticks) {
      const px = left + (right - left) * at;
      parts.push(drawn("line", { x1: px, x2: px, y1: top, y2: bottom, class: "grid" }));
      const room = label.length * 3.8 + 4;
      if (px - room > free) {
        parts.push(drawn("text", { x: px, y: bottom + 17, "text-anchor": "middle" }, label));
        free = px + room;
      }
    }
    for (const [at, label] of y.ticks) {
      const py = bottom - (bottom - top) * at;
      parts.push(drawn("line", { x1: left, x2: right, y1: py, y2: py, class: "grid" }), drawn("text", { x: left - 7, y: py + 4, "text-anchor": "end" }, label));
    }
    const middle = (top + bottom) / 2;
    const short = y.label.length * 7 > bottom - top + 30 ? `${y.label.slice(0, Math.floor((bottom - top) / 7))}…` : y.label;
    parts.push(
      drawn("text", { x: (left + right) / 2, y: height - 8, "text-anchor": "middle" }, x.label),
      drawn("text", { x: 13, y: middle, "text-anchor": "middle", transform: `rotate(-90 13 ${middle})` }, short),
    );
    return parts;
  }

  // Draws the band of intervals, the line and the markers of one line.
  line(points, index, look, floor) {
    const group = drawn("g", { "data-line": index });
    const inside = points.filter((own) => !floor || own.point.y[0] > 0);
    const banded = points.filter((own) => own.low !== null);
    if (banded.length > 1 && !look.marks && this.banded) {
      const there = banded.map((own) => `${own.x},${own.high}`);
      const back = banded.map((own) => `${own.x},${own.low}`).reverse();
      group.append(drawn("polygon", { points: [...there, ...back].join(" "), fill: look.colour, class: "band" }));
    }
    if (!look.marks) {
      group.append(drawn("polyline", { points: inside.map((own) => `${own.x},${own.y}`).join(" "), stroke: look.colour, "stroke-dasharray": look.dash, class: "line" }));
    }
    for (const own of points) {
      if (own.low !== null) group.append(drawn("line", { x1: own.x, x2: own.x, y1: own.low, y2: own.high, stroke: look.colour, class: "whisker" }));
      group.append(marker(look, own.x, own.y));
    }
    return group;
  }

  // Returns the points that no other point beats in both size and value, by rising size.
  frontOf(points) {
    const { better } = this.shownMeasure;
    const sorted = points.filter((own) => !own.line.marks && !own.line.faint).sort((a, b) => a.at - b.at || better * (b.point.y[0] - a.point.y[0]));
    let best = -Infinity;
    return sorted.filter((own) => {
      const value = better * own.point.y[0];
      const is = value > best;
      best = Math.max(best, value);
      return is;
    });
  }

  listFront(points) {
    if (!this.data.front || this.shownMeasure.better === 0) return this.more.replaceChildren();
    const front = this.frontOf(points);
    const width = this.shownMeasure.widths[this.width].label;
    const row = (own) => [own.line.name, own.point.label, number(own.at), this.value(own.point)];
    const title = `The front: the ${front.length} shown points that no other shown point beats in both ${width} and ${this.shownMeasure.name}`;
    const open = this.more.querySelector("details")?.open;
    const details = element("details", {}, element("summary", {}, title), table("Means alone decide which points are on the front.", ["policy", "budget", width, this.shownMeasure.name], front.map(row)));
    details.open = Boolean(open);
    replace(this.more, details);
  }

  // Returns a value with its interval and its unit.
  value(point) {
    const [value, low, high] = point.y;
    const interval = low === null ? "" : ` [${number(low)}, ${number(high)}]`;
    return `${number(value)}${interval} ${this.shownMeasure.unit}`.trim();
  }

  // Returns the lines of the tip of a point.
  describe({ line, point }) {
    const { name, widths } = this.shownMeasure;
    const sizes = widths.flatMap((axis, i) => (point.x[i] === null || widths.length === 1 ? [] : [`${axis.label}: ${number(point.x[i])}`]));
    const full = line.full && line.full !== line.name ? [line.full] : [];
    const n = point.n ? [`${point.n} texts or contexts`] : [];
    return [line.name, ...full, widths.length > 1 ? `budget ${point.label}` : point.label, `${name}: ${this.value(point)}`, ...sizes, ...n];
  }

  // Shows the tip of a point under the pointer, or of the next one in the direction of an arrow key.
  listen(svg, points) {
    let current = -1;
    const show = (index, x, y) => {
      current = index;
      const own = points[index];
      this.focus.removeAttribute("hidden");
      this.focus.setAttribute("cx", own.x);
      this.focus.setAttribute("cy", own.y);
      const box = svg.getBoundingClientRect();
      showTip(this.describe(own), x ?? box.left + own.x, y ?? box.top + own.y);
    };
    const hide = () => {
      this.focus.setAttribute("hidden", "");
      hideTip();
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const distance = (own) => Math.hypot(own.x - x, own.y - y);
      const nearest = points.reduce((best, own, i) => (best < 0 || distance(own) < distance(points[best]) ? i : best), -1);
      if (nearest >= 0 && distance(points[nearest]) < NEAR) show(nearest, event.clientX, event.clientY);
      else hide();
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step || !points.length) return;
      event.preventDefault();
      show((current + step + points.length) % points.length);
    });
  }
}
