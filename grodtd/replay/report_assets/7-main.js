/* One bracket at a time: choosing it zooms the price chart, marks its rows and says its numbers in words. */

const strip = document.getElementById("strip");

function fact(words, value, className = null, wide = false) {
  return element("div", { class: wide ? "wide" : null }, element("dt", {}, words), element("dd", { class: className }, value));
}

function neighbour(step) {
  const order = [...new Set(table.order.map((row) => row.bracket))];
  return order[order.indexOf(view.selected) + step];
}

function drawStrip() {
  strip.hidden = view.selected === null;
  if (strip.hidden) { strip.replaceChildren(); return; }
  const bracket = brackets[view.selected];
  const [first] = bracket.rows;
  const known = bracket.rows.filter((row) => row.r_multiple !== null);
  const r = known.length ? known.reduce((sum, row) => sum + row.r_multiple * row.weight, 0) : null;
  const pnl = bracket.rows.reduce((sum, row) => sum + (row.pnl || 0), 0);
  strip.className = `strip ${pnl > 0 ? "won" : pnl < 0 ? "lost" : ""}`;
  const [, stops] = stopSteps(bracket);
  const last = stops[stops.length - 1];
  const targets = targetsOf(bracket);
  const facts = [
    fact("R", rText(r), tone(r)),
    fact("P&L", moneyText(pnl), tone(pnl)),
    fact("entered", `${stamp(first.entry_ms)} at ${priceText(first.entry_price)}`, null, true),
    fact("stop", stops.length && last !== first.stop_price ? `${priceText(first.stop_price)}, moved to ${priceText(last)}` : priceText(first.stop_price)),
    fact("target", targets.length ? targets.map(priceText).join(", ") : "none"),
    ...bracket.rows.map((row) => (row.open
      ? fact("at the end", bracket.rows.length > 1 ? `${row.quantity} still open` : "still open")
      : fact(`out, ${row.reason}`, `${bracket.rows.length > 1 ? `${row.quantity} ` : ""}${stamp(row.exit_ms)} at ${priceText(row.exit_price)}`, null, true))),
    fact("MAE / MFE", `${rText(minimum(bracket.rows, "mae_r"))} / ${rText(maximum(bracket.rows, "mfe_r"))}`),
  ];
  const remark = [];
  if (bracket.rows.some((row) => row.ambiguous)) remark.push("ambiguous exit");
  if (first.fallback) remark.push("fallback stop");
  const button = (id, words, label, target) => element("button", { type: "button", id, "aria-label": label, title: label, disabled: target === undefined }, words);
  strip.replaceChildren(
    element("div", {}, element("h3", {}, bracket.id), element("p", {}, data.markets.length > 1 ? `${bracket.market.symbol}, ` : "", element("span", { class: `side-${bySide(first.side)}` }, `${bySide(first.side)} ${quantityOf(bracket)}`), remark.length ? `, ${remark.join(", ")}` : "")),
    element("dl", {}, ...facts),
    element("div", { class: "tools", role: "group", "aria-label": "Other brackets" },
      button("previous-bracket", "◀", "Bracket before, as the table is sorted", neighbour(-1)),
      button("next-bracket", "▶", "Next bracket, as the table is sorted", neighbour(1)),
      button("to-table", "Table", "Back to the table of brackets", true),
      button("unselect", "✕", "Let go of this bracket", true)),
  );
}

const minimum = (list, name) => list.reduce((least, row) => (row[name] === null ? least : least === null ? row[name] : Math.min(least, row[name])), null);
const maximum = (list, name) => list.reduce((most, row) => (row[name] === null ? most : most === null ? row[name] : Math.max(most, row[name])), null);

function quantityOf(bracket) {
  if (bracket.rows.length === 1) return bracket.rows[0].quantity;
  return String(Number(bracket.rows.reduce((sum, row) => sum + Number(row.quantity), 0).toFixed(9)));
}

/* Show another symbol's prices; several symbols have a list to choose from. */
const chooser = document.getElementById("market");
chooser.hidden = data.markets.length === 1;
chooser.replaceChildren(...data.markets.map((each, at) => element("option", { value: at }, each.symbol)));

function showMarket(wanted) {
  if (wanted === market) return;
  useMarket(wanted);
  chooser.value = data.markets.indexOf(market);
  allowLog();
  drawNavigator();
}

chooser.addEventListener("change", () => {
  showMarket(data.markets[Number(chooser.value)]);
  if (view.selected !== null) unselect();
  else drawPrices();
});

function select(index, { scroll = true } = {}) {
  const bracket = brackets[index];
  if (!bracket) return;
  showMarket(bracket.market);
  view.selected = index;
  const near = Math.max(isTouch ? 14 : 32, (bracket.to - bracket.from) * 0.4);
  const isKept = isFine(Math.max(0, bracket.from - near), Math.min(LAST_BAR, bracket.to + near));
  const room = isKept ? near : Math.max(near, 8 * market.bars.coarse_step); /* some candles, coarse as they are */
  remember(`#bracket=${encodeURIComponent(bracket.id)}`);
  drawStrip();
  showRange([bracket.from - room, bracket.to + room]);
  const at = table.order.findIndex((row) => row.bracket === index);
  if (at >= 0) table.page = Math.floor(at / table.size);
  drawTable();
  if (scroll) document.getElementById("prices").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
}

function unselect() {
  view.selected = null;
  remember(location.pathname + location.search);
  drawStrip();
  showRange(WHOLE);
  drawTable();
}

function drawAll() {
  drawNavigator();
  drawPrices();
  drawEquity();
  drawDistribution();
  drawExcursions();
}

strip.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "previous-bracket") select(neighbour(-1), { scroll: false });
  if (button.id === "next-bracket") select(neighbour(1), { scroll: false });
  if (button.id === "unselect") unselect();
  if (button.id === "to-table") document.getElementById("brackets").scrollIntoView({ behavior: still ? "auto" : "smooth" });
  const again = document.getElementById(button.id);
  if (again && !again.disabled) again.focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && view.selected !== null && event.target.tagName !== "INPUT" && event.target.tagName !== "SELECT") unselect();
});

document.querySelector("#rows tbody").addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-bracket]");
  if (row) select(Number(row.dataset.bracket));
});
document.querySelector("#rows thead").addEventListener("click", (event) => {
  const head = event.target.closest("th");
  if (head) sortBy(head.dataset.key, table.sort === head.dataset.key && !table.down);
});
listen("filters", "change", (event) => {
  if (event.target.dataset.filter) setFilter(event.target.dataset.filter, event.target.value);
  if (event.target.id === "sort") { const [key, way] = event.target.value.split(" "); sortBy(key, way === "down"); }
});
listen("filters", "input", (event) => { if (event.target.id === "search") setFilter("search", event.target.value.trim()); });
listen("pager", "click", (event) => {
  if (!event.target.dataset.page) return;
  table.page = Number(event.target.dataset.page);
  drawTable();
});
listen("pager", "change", (event) => {
  if (event.target.id !== "page-size") return;
  table.size = Number(event.target.value);
  table.page = 0;
  drawTable();
});
for (const link of document.querySelectorAll("a[data-remark]")) link.addEventListener("click", () => setFilter("remark", link.dataset.remark));
for (const link of document.querySelectorAll("a[data-reason]")) link.addEventListener("click", () => setFilter("reason", link.dataset.reason));

/* The price chart first; the others when the browser has drawn it. */
buildTable();
drawNavigator();
drawPrices();
for (const draw of [drawEquity, drawDistribution, drawExcursions]) setTimeout(draw, 0);
followPrices();

pricesChart.on("plotly_click", ({ points }) => {
  const point = points.find((one) => one.customdata !== undefined);
  if (!point) return;
  const [bracket, many] = point.customdata;
  if (many === 1) select(bracket, { scroll: false });
  else showRange([point.x - 2 * view.shown.step, point.x + 2 * view.shown.step]);
});
function selectPoint({ points }) {
  const point = points.find((one) => one.customdata !== undefined && one.customdata !== null);
  if (point) select(point.customdata);
}

const asked = /^#bracket=(.+)$/.exec(location.hash);
if (asked) {
  const found = brackets.findIndex((bracket) => encodeURIComponent(bracket.id) === asked[1]);
  if (found >= 0) select(found);
}
