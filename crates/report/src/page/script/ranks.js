// The leaderboard: boards for a choice of model, measure and budget.

// Orders budgets: fractions from the largest, then all others.
function byBudget(a, b) {
  const plain = (budget) => (/^[\d.]+$/.test(budget) ? Number(budget) : -1);
  return plain(b) - plain(a) || a.localeCompare(b);
}

class Ranks {
  constructor(figure) {
    this.controls = element("div", { class: "controls" });
    this.body = element("div", { "aria-live": "polite" });
    figure.querySelector(".view").replaceChildren(this.controls, this.body);
    unpack(document.getElementById("packed-rows").textContent).then((boards) => {
      this.boards = boards.map((own) => ({ ...own, ...own.board, title: own.board.task === "text" ? own.board.measure : `${own.board.measure}: ${own.board.task}` }));
      this.chosen = {};
      this.draw();
    });
  }

  // Returns the boards that fit the choices up to a key.
  fitting(keys) {
    return this.boards.filter((board) => keys.every((key) => board[key] === this.chosen[key]));
  }

  draw() {
    const keys = ["model", "title", "budget"];
    const labels = { model: "model", title: "measure", budget: "budget" };
    const controls = keys.map((key, i) => {
      const options = [...new Set(this.fitting(keys.slice(0, i)).map((board) => board[key]))];
      if (key === "budget") options.sort(byBudget);
      // Models without variants are first.
      if (key === "model") options.sort((a, b) => Number(a.includes(", ")) - Number(b.includes(", ")));
      this.chosen[key] = options[place(options, this.chosen[key])];
      return choice(labels[key], options, options.indexOf(this.chosen[key]), (index) => {
        this.chosen[key] = options[index];
        this.draw();
      });
    });
    replace(this.controls, ...controls);
    // Runs with many policies are first, and those that have a later run are last.
    const boards = this.fitting(keys).sort((a, b) => Number(Boolean(a.later)) - Number(Boolean(b.later)) || b.ranks.length - a.ranks.length);
    replace(this.body, ...boards.map((board) => this.board(board)));
    this.body.querySelectorAll("table").forEach(sortWithinGroups);
  }

  board(board) {
    const [factor, unit] = board.unit ? [1, board.unit] : [100, "%"];
    const print = (values) => {
      if (!values.length) return "-";
      const [value, low, high] = values.map((own) => (own === null ? null : number(factor * own)));
      return low === null ? value : `${value} [${low}, ${high}]`;
    };
    const row = (own) => [own.name, own.place ?? "-", own.role, print(own.value), print(own.from_best), own.against_random || "-", String(own.n)];
    const later = board.later ? ` (a later run is ${board.later})` : "";
    const title = `${board.run}, experiment ${board.experiment}${later}`;
    const titles = ["policy", "place", "role", `${board.measure}, ${unit}`, "from the first place", "against random choice", "texts or contexts"];
    const made = table(title, titles, board.ranks.map((own) => row(own).map(String)));
    made.querySelectorAll("tbody tr").forEach((line, i) => {
      line.firstChild.title = board.ranks[i].full;
      if (board.ranks[i].against_random.endsWith("worse")) line.classList.add("loser");
    });
    return element("div", {}, made);
  }
}
