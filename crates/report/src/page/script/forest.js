// Paired differences as a list: one line for each pair and budget, on one axis with zero, and the answers by
// depth as a table with coloured cells.

// The most lines that are shown at all budgets together.
const MANY = 18;

class Forest {
  constructor(figure, { data }) {
    this.view = figure.querySelector(".view");
    this.data = data;
    this.panel = 0;
    this.list = element("ol", { class: "differences" });
    this.controls = element("div", { class: "controls" });
    this.view.replaceChildren(this.controls, this.list);
    this.restart();
  }

  // Chooses the first measure and, if there are many lines, the first budget.
  restart(wanted = "") {
    const { rows } = this.data.panels[this.panel];
    this.measures = [...new Set(rows.map((row) => row.measure))];
    this.measure = place(this.measures, wanted);
    this.chooseBudgets();
    this.draw();
  }

  chooseBudgets() {
    const rows = this.ofMeasure();
    this.budgets = ["all", ...new Set(rows.map((row) => row.budget))];
    // Of many lines, those of the budget with the most are shown.
    const lines = (budget) => rows.filter((row) => row.budget === budget).length;
    const fullest = this.budgets.slice(1).reduce((best, budget) => (lines(budget) > lines(best) ? budget : best), this.budgets[1]);
    this.budget = rows.length > MANY ? this.budgets.indexOf(fullest) : 0;
  }

  ofMeasure() {
    return this.data.panels[this.panel].rows.filter((row) => row.measure === this.measures[this.measure]);
  }

  draw() {
    const { panels } = this.data;
    const controls = [];
    if (panels.length > 1) {
      controls.push(choice("comparison", panels.map((panel) => panel.name), this.panel, (index) => {
        const measure = this.measures[this.measure];
        this.panel = index;
        this.restart(measure);
      }));
    }
    controls.push(choice("measure", this.measures, this.measure, (index) => {
      this.measure = index;
      this.chooseBudgets();
      this.draw();
    }));
    controls.push(choice("budget", this.budgets, this.budget, (index) => {
      this.budget = index;
      this.draw();
    }));
    replace(this.controls, ...controls);
    const rows = this.ofMeasure().filter((row) => this.budget === 0 || row.budget === this.budgets[this.budget]);
    const ends = rows.flatMap((row) => [0, row.value, ...row.interval]);
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    const pad = (high - low || 1) * 0.05;
    const at = (value) => (100 * (value - low + pad)) / (high - low + 2 * pad);
    this.list.replaceChildren(...rows.map((row) => this.row(row, at)));
  }

  row(row, at) {
    const [factor, unit] = row.unit ? [1, row.unit] : [100, "points"];
    const verdict = row.verdict.split(", ").pop().split(" ")[0];
    const colour = { better: "var(--good)", worse: "var(--bad)", equivalent: "var(--mixed)" }[verdict] || "var(--faint)";
    const svg = drawn("svg", { width: "100%", height: 20, "aria-hidden": "true" });
    svg.append(drawn("line", { x1: `${at(0)}%`, x2: `${at(0)}%`, y1: 0, y2: 20, class: "zero" }));
    const [low, high] = row.interval;
    if (row.interval.length) svg.append(drawn("line", { x1: `${at(low)}%`, x2: `${at(high)}%`, y1: 10, y2: 10, stroke: colour, class: "interval" }));
    svg.append(drawn("circle", { cx: `${at(row.value)}%`, cy: 10, r: 4.5, fill: colour }));
    const print = (value) => number(factor * value);
    const interval = row.interval.length ? ` [${print(low)}, ${print(high)}]` : "";
    const budget = this.budget === 0 ? ` at ${row.budget}` : "";
    const words = element("span", { class: "value" }, `${print(row.value)}${interval} ${unit}, n = ${row.n}`);
    const judged = element("span", { class: `verdict-word ${verdict}` }, row.verdict || "too few texts");
    return element("li", {}, element("span", { class: "label" }, row.label + budget), svg, words, judged);
  }
}

class Depths {
  constructor(figure, { data }) {
    this.data = data;
    this.controls = element("div", { class: "controls" });
    this.body = element("div");
    figure.querySelector(".view").replaceChildren(this.controls, this.body);
    // The first policy is usually the full cache, which loses nothing.
    [this.panel, this.policy] = [0, Math.min(1, data.panels[0].policies.length - 1)];
    this.draw();
  }

  draw() {
    const { panels, bands } = this.data;
    const panel = panels[this.panel];
    const names = panel.policies.map((policy) => policy.name);
    const set = (panelIndex, policyIndex) => {
      [this.panel, this.policy] = [panelIndex, policyIndex];
      this.draw();
    };
    const controls = [choice("policy", names, this.policy, (index) => set(this.panel, index))];
    if (panels.length > 1) {
      controls.unshift(choice("model and task", panels.map((own) => own.name), this.panel, (index) => set(index, place(panels[index].policies.map((own) => own.name), names[this.policy]))));
    }
    replace(this.controls, ...controls);
    const policy = panel.policies[this.policy];
    const rows = bands.map((band, i) => [band, ...policy.bands[i].map((cell) => (cell ? `${(100 * cell[0]).toFixed(1)} % of ${cell[1]}` : "-"))]);
    const made = table(`${policy.name}: answers right by depth`, ["depth", ...panel.columns], rows);
    made.querySelectorAll("tbody tr").forEach((row, i) => {
      row.querySelectorAll("td").forEach((cell, j) => {
        const found = policy.bands[i][j];
        if (found) cell.style.background = `color-mix(in srgb, var(--accent) ${Math.round(45 * found[0])}%, var(--ground))`;
      });
    });
    this.body.replaceChildren(made);
  }
}
