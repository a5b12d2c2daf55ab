// Tables that sort and filter, and the table of single rows.

// The fewest rows of a table that can be filtered.
const FILTERED = 8;
// The rows of one page of the table of single rows.
const PAGE = 100;

// Returns the number at the start of a text, or NaN.
function leading(text) {
  return Number.parseFloat(text.replace(/^[^\d+.-]*/, ""));
}

// Compares two cells: numbers by value, other texts by letters, missing values last.
function compare(a, b, sign) {
  const [x, y] = [leading(a), leading(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return sign * (Number.isNaN(x) ? a.localeCompare(b) : x - y || a.localeCompare(b));
}

// Makes a heading a button, which calls `sort` with 1, -1 or 0 for the original order.
function sortable(heading, sort) {
  const button = element("button", { type: "button", class: "sort" }, ...heading.childNodes);
  heading.replaceChildren(button);
  button.addEventListener("click", () => {
    const next = { ascending: -1, descending: 0 }[heading.getAttribute("aria-sort")] ?? 1;
    heading.parentElement.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    if (next) heading.setAttribute("aria-sort", next > 0 ? "ascending" : "descending");
    sort(next);
  });
}

// Makes a table sort within its groups, and filter by a text if it is long.
function enhance(made) {
  const rows = sortWithinGroups(made);
  if (rows.length < FILTERED) return;
  const input = element("input", { type: "search", placeholder: "Filter rows" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row) => (row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word))));
  });
  made.closest(".scroll").before(element("label", { class: "control" }, element("span", {}, "filter"), input));
}

// Makes a table sort within its groups, and returns its rows.
function sortWithinGroups(made) {
  const bodies = [...made.tBodies];
  const rows = bodies.map((body) => [...body.rows].filter((row) => !row.classList.contains("group")));
  [...made.tHead.rows[0].cells].forEach((heading, column) => sortable(heading, (sign) => {
    bodies.forEach((body, i) => {
      const text = (row) => row.cells[column].textContent;
      const sorted = sign === 0 ? rows[i] : [...rows[i]].sort((a, b) => compare(text(a), text(b), sign));
      body.append(...sorted);
    });
  }));
  return rows.flat();
}

// Reads the packed rows: a base64 text of gzipped JSON.
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

class Rows {
  constructor(place, { rows, columns }) {
    this.columns = columns;
    this.all = Array.from({ length: rows }, (_, i) => i);
    this.filters = new Map();
    [this.first, this.sorted, this.sign] = [0, 0, 0];
    this.choices = columns.filter((column) => column.texts && column.name !== "error" && column.name !== "policy");
    this.controls = element("div", { class: "controls" });
    this.body = element("div");
    place.replaceChildren(this.controls, this.body);
    this.makeControls();
    this.draw();
  }

  text(column, row) {
    return column.texts ? column.texts[column.values[row]] : String(column.values[row] ?? "-");
  }

  makeControls() {
    replace(this.controls, ...this.choices.map((column) => {
      const chosen = this.filters.get(column.name);
      const start = chosen?.length === 1 ? column.texts.indexOf(chosen[0]) + 1 : 0;
      const all = chosen?.length > 1 ? `${chosen.length} chosen` : "all";
      return choice(column.title, [all, ...column.texts], start, (index) => {
        if (index) this.filters.set(column.name, [column.texts[index - 1]]);
        else this.filters.delete(column.name);
        this.first = 0;
        this.draw();
      });
    }));
  }

  // Shows the rows that a statement rests on.
  filterBy(columns) {
    this.filters = new Map(Object.entries(columns));
    [this.first, this.sign] = [0, 0];
    this.makeControls();
    this.draw();
  }

  accepts(row) {
    const find = (name) => this.columns.find((column) => column.name === name);
    return [...this.filters].every(([name, values]) => {
      // A policy may be named as it was written or by its specification, and with or without its seed.
      const own = (name === "policy" || name === "written" ? [find("policy"), find("written")] : [find(name)]).filter(Boolean);
      const same = (text) => values.includes(text) || values.includes(text.replace(/\{seed=\d+\}/, ""));
      return !own.length || own.some((column) => same(this.text(column, row)));
    });
  }

  draw() {
    const accepted = this.all.filter((row) => this.accepts(row));
    if (this.sign) {
      const column = this.columns[this.sorted];
      // Texts such as budgets are compared by the number that they begin with.
      accepted.sort((a, b) => compare(this.text(column, a), this.text(column, b), this.sign));
    }
    const shown = accepted.slice(this.first, this.first + PAGE);
    const cells = (row) => this.columns.map((column) => this.text(column, row));
    const end = this.first + shown.length;
    const caption = `${accepted.length} rows${accepted.length > PAGE ? `, ${this.first + 1} to ${end} shown` : ""}`;
    const made = table(caption, this.columns.map((column) => column.title), shown.map(cells));
    [...made.querySelectorAll("thead th")].forEach((heading, column) => {
      if (this.sign && column === this.sorted) heading.setAttribute("aria-sort", this.sign > 0 ? "ascending" : "descending");
      sortable(heading, (sign) => {
        [this.sorted, this.sign, this.first] = [column, sign, 0];
        this.draw();
      });
    });
    const move = (label, step, possible) => {
      const button = element("button", { type: "button", class: "plain" }, label);
      button.disabled = !possible;
      button.addEventListener("click", () => {
        this.first += step;
        this.draw();
      });
      return button;
    };
    const moves = element("p", {}, move("previous rows", -PAGE, this.first > 0), " ", move("next rows", PAGE, end < accepted.length));
    replace(this.body, made, ...(accepted.length > PAGE ? [moves] : []));
  }
}

// Adds a button to each statement that shows its rows in the table of single rows.
function linkStatements(rows, place) {
  for (const span of document.querySelectorAll("[data-filter]")) {
    const { file, columns } = JSON.parse(span.dataset.filter);
    if (file !== "rows.csv") continue;
    const button = element("button", { type: "button", class: "plain" }, "Show these rows");
    button.addEventListener("click", () => {
      rows.filterBy(columns);
      place.closest("section").scrollIntoView();
    });
    span.after(" ", button);
  }
}
