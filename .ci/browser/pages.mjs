// Opens the pages of bitkv in Chromium and uses them as a reader would.
//
// usage: node pages.mjs VERIFY LARGEST LEADERBOARD [SCREENSHOTS]
//
// The first three are HTML files: the page of a verification, that of the run with the most rows, and a leaderboard.
// The script fails if a page logs an error, asks for anything from a network, is wider than its window, has a serious
// finding of axe-core, or does not react. With a folder SCREENSHOTS, it saves a picture of every view.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [400, 1000, 1600];
const SCHEMES = ["light", "dark"];
// The largest page and the slowest start that are accepted.
const BYTES = 5e6;
const MILLISECONDS = 2000;
const [verify, largest, leaderboard, screenshots] = process.argv.slice(2);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"],
});

// Opens a page, and fails at once if it logs an error or asks for a file that is not its own.
async function open(file, width, colorScheme) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const faults = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => /^(file|data|blob):/.test(request.url()) || faults.push(request.url()));
  const start = performance.now();
  await page.goto(pathToFileURL(resolve(file)).href);
  // On a narrow window, the first figure is below the answers.
  await page.locator("figure.interactive").first().scrollIntoViewIfNeeded();
  const drawn = page.locator("figure .view > *").first().waitFor({ timeout: 10_000 });
  await drawn.catch((error) => assert.fail(`${file}: ${faults.join("; ") || error}`));
  return { page, faults, milliseconds: performance.now() - start };
}

// Checks what every page must have, at one width and in one scheme.
async function checkView(name, file, width, scheme) {
  const { page, faults, milliseconds } = await open(file, width, scheme);
  assert.ok(milliseconds < MILLISECONDS, `${name}: the first figure took ${milliseconds.toFixed(0)} ms`);
  const { wide, dark } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth - innerWidth,
    dark: getComputedStyle(document.body).backgroundColor,
  }));
  assert.ok(wide <= 0, `${name}: ${wide} px wider than a window of ${width} px`);
  assert.equal(dark === "rgb(255, 255, 255)", scheme === "light", `${name}: the ground is ${dark} in the ${scheme} scheme`);
  await page.evaluate(() => scrollTo(0, 0));
  if (screenshots) await page.screenshot({ path: `${screenshots}/${name}-${width}-${scheme}.png` });
  // At one size, everything that folds is open.
  if (width === WIDTHS[1]) await page.evaluate(() => document.querySelectorAll("details").forEach((part) => (part.open = true)));
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const found = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(found, [], `${name}: axe-core at ${width} px, ${scheme}`);
  assert.deepEqual(faults, [], `${name} at ${width} px, ${scheme}`);
  await page.close();
}

// Shows a part of the page and waits until its figure is drawn.
async function reach(page, selector) {
  const part = page.locator(selector).first();
  await part.scrollIntoViewIfNeeded();
  await part.locator(".view > *").first().waitFor();
  return part;
}

// Hides a line, reads a point by pointer and by key, and changes the axes.
async function useChart(page) {
  const chart = await reach(page, "figure.chart");
  const lines = () => chart.locator(".plot [data-line]").count();
  const before = await lines();
  const first = chart.locator(".legend button[aria-pressed=true]").first();
  await first.click();
  assert.equal(await lines(), before - 1, "a line is hidden");
  assert.equal(await chart.locator(".legend button").first().getAttribute("aria-pressed"), "false");
  await chart.locator(".legend button").first().click();
  assert.equal(await lines(), before, "the line is shown again");
  const marker = await chart.locator(".plot .marker").first().boundingBox();
  await page.mouse.move(marker.x + marker.width / 2, marker.y + marker.height / 2);
  const tip = page.locator("#tip");
  await tip.waitFor({ state: "visible" });
  assert.match(await tip.textContent(), /budget .*\d/, "the tip has a number");
  await page.mouse.move(0, 0);
  await tip.waitFor({ state: "hidden" });
  await chart.locator(".plot svg").focus();
  await page.keyboard.press("ArrowRight");
  await tip.waitFor({ state: "visible" });
  const one = await tip.textContent();
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await tip.textContent(), one, "an arrow key reads the next point");
  await page.keyboard.press("Escape");
  const labels = () => chart.locator(".plot svg text").allTextContents();
  const old = (await labels()).join();
  for (const name of ["vertical axis", "horizontal axis"]) {
    await chart.getByLabel(name).selectOption({ index: 1 });
  }
  assert.notEqual((await labels()).join(), old, "the axes changed");
  assert.ok((await labels()).includes("bytes of the cache"));
  await chart.getByLabel("front", { exact: true }).check();
  assert.equal(await chart.locator(".plot .front").count(), 1, "the front is drawn");
}

// Chooses a budget of the paired differences.
async function useForest(page) {
  const forest = await reach(page, "figure.forest");
  const budget = forest.getByLabel("budget");
  await budget.selectOption({ label: "all" });
  const all = await forest.locator("li").count();
  await budget.selectOption({ index: 1 });
  const one = await forest.locator("li").count();
  assert.ok(one > 0 && one <= all, `${one} of ${all} differences at one budget`);
  assert.match(await forest.locator("li .value").first().textContent(), /n = \d+/);
}

// Reads a head by pointer and by key, pins its card and removes it.
async function useHeads(page) {
  const heads = await reach(page, "figure.heads");
  await heads.locator("rect.head").nth(3).hover();
  assert.match(await page.locator("#tip").textContent(), /layer 0, head 3/);
  await heads.locator("rect.head").nth(3).click();
  assert.equal(await heads.locator(".card").count(), 1, "a card is pinned");
  await heads.locator(".plot svg").first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await heads.locator(".card").count(), 2, "a key pins a card");
  await heads.locator(".card button").first().click();
  assert.equal(await heads.locator(".card").count(), 1, "a card is removed");
}

// Sorts and filters a table.
async function useTable(page) {
  const table = page.locator("section details[open] table").first();
  await table.scrollIntoViewIfNeeded();
  const heading = table.locator("thead th").first();
  const names = () => table.locator("tbody").first().locator("tr:not(.group) > :first-child").allTextContents();
  await heading.locator("button").click();
  const rising = await names();
  assert.equal(await heading.getAttribute("aria-sort"), "ascending");
  await heading.locator("button").click();
  assert.equal(await heading.getAttribute("aria-sort"), "descending");
  assert.deepEqual([...(await names())].sort(), [...rising].sort(), "sorting keeps the rows");
}

// Follows a statement to its rows, sorts them, and opens the next rows.
async function useRows(page) {
  const rows = page.locator("#rows");
  await rows.locator("caption").waitFor();
  const count = async () => Number.parseInt(await rows.locator("caption").textContent(), 10);
  const all = await count();
  const details = page.locator("article.statement details", { has: page.locator("[data-filter*='rows.csv']") }).first();
  if (await details.count()) {
    await details.locator("summary").click();
    await details.getByRole("button", { name: "Show these rows" }).click();
    const some = await count();
    assert.ok(some > 0 && some < all, `${some} of ${all} rows decide a statement`);
  } else {
    await rows.getByRole("button", { name: "next rows" }).click();
    assert.match(await rows.locator("caption").textContent(), /101 to/);
  }
  await rows.locator("thead button").first().click();
  assert.equal(await rows.locator("thead th").first().getAttribute("aria-sort"), "ascending");
}

// Chooses a model and a budget of the leaderboard.
async function useLeaderboard(page) {
  const ranks = await reach(page, "figure.ranks");
  await ranks.locator("table").first().waitFor();
  const first = await ranks.locator("tbody").first().textContent();
  await ranks.getByLabel("budget").selectOption({ index: 1 });
  assert.notEqual(await ranks.locator("tbody").first().textContent(), first, "another budget has other ranks");
  assert.equal(await keepsFocus(page, ranks.getByLabel("model"), "ArrowDown"), "model");
  await ranks.getByLabel("model").selectOption({ index: 0 });
  await ranks.getByLabel("budget").selectOption({ index: 0 });
  assert.match(await ranks.textContent(), /controls.*(worse|undecided)/s, "controls are shown, and who is no better");
}

// Changes a control with a key, which must keep the focus although the figure is drawn again.
async function keepsFocus(page, control, key) {
  await control.focus();
  await page.keyboard.press(key);
  const { tag, name } = await page.evaluate(() => ({
    tag: document.activeElement.tagName,
    name: (document.activeElement.closest("label")?.querySelector("span") ?? document.activeElement).textContent,
  }));
  assert.notEqual(tag, "BODY", `the focus is lost after ${key}`);
  return name;
}

// Uses the controls of all figures with keys alone.
async function useKeys(page) {
  const controls = {
    "figure.chart": ["model", "vertical axis", "horizontal axis", "measure"],
    "figure.forest": ["comparison", "measure", "budget"],
    "figure.heads": ["model", "score", "class bounds, bits"],
  };
  for (const [figure, names] of Object.entries(controls)) {
    const part = await reach(page, figure);
    for (const name of names) {
      assert.equal(await keepsFocus(page, part.getByLabel(name, { exact: true }), "ArrowDown"), name);
    }
  }
  await keepsFocus(page, page.locator("figure.chart .legend button.plain").first(), "Enter");
  await keepsFocus(page, page.locator("#rows thead button").nth(1), "Enter");
  await keepsFocus(page, page.locator("#rows").getByRole("button", { name: "next rows" }), "Enter");
}

// Prints a page, which opens all of its parts.
async function print(page) {
  await page.emulateMedia({ media: "print" });
  const pdf = await page.pdf({ format: "A4" });
  assert.ok(pdf.length > 50_000, "the page prints");
}

const pages = { verify, largest, leaderboard };
for (const [name, file] of Object.entries(pages)) {
  const bytes = readFileSync(file).length;
  assert.ok(bytes < BYTES, `${name} has ${bytes} bytes`);
  for (const width of WIDTHS) for (const scheme of SCHEMES) await checkView(name, file, width, scheme);
  console.log(`${name}: ${bytes} bytes, opened at ${WIDTHS.join(", ")} px, light and dark`);
}
const uses = {
  verify: [useChart, useForest, useHeads, useKeys, useTable, useRows, print],
  largest: [useForest, useChart, useTable, useRows],
  leaderboard: [useLeaderboard],
};
for (const [name, steps] of Object.entries(uses)) {
  const { page, faults } = await open(pages[name], 1300, "light");
  for (const step of steps) {
    await step(page);
    console.log(`${name}: ${step.name}`);
  }
  assert.deepEqual(faults, [], name);
  await page.close();
}
await browser.close();
