/* One trade at a time, and the measure all charts are in. */

const strip = document.getElementById("strip");

function neighbour(step) {
  const at = table.order.findIndex((trade) => trade.index === view.selected);
  return at < 0 ? undefined : table.order[at + step];
}

function drawStrip() {
  strip.hidden = view.selected === null;
  if (strip.hidden) { strip.replaceChildren(); return; }
  const trade = trades[view.selected];
  const [first] = trade.first.rows;
  const button = (id, words, label, enabled = true) => element("button", { type: "button", id, "aria-label": label, title: label, disabled: !enabled }, words);
  const heads = ["Policy", "Reason", "R of the first", "Own R", "P&L", "Out", "Exit", "Stop", "Target"];
  const numeric = new Set([2, 3, 4, 6, 7, 8]);
  const css = (at, more = null) => [numeric.has(at) && "num", more].filter(Boolean).join(" ") || null;
  const body = trade.members.map((bracket, policy) => {
    const name = element("th", { scope: "row" }, element("i", { class: `swatch p${policy}`, "aria-hidden": "true" }), names[policy]);
    if (bracket === null) return element("tr", {}, name, element("td", { colspan: heads.length - 1, class: "muted" }, `skipped this entry, ${data.skipped[policy][trade.id] || "it came to no bracket"}`));
    const [, stops] = stopSteps(bracket);
    const last = stops[stops.length - 1];
    const out = lastRow(bracket);
    const stopWords = stops.length && last !== bracket.rows[0].stop_price ? `${priceText(bracket.rows[0].stop_price)} \u2192 ${priceText(last)}` : priceText(bracket.rows[0].stop_price);
    const pnl = bracket.rows.reduce((sum, row) => sum + (row.pnl || 0), 0);
    const cells = [
      [reasonsOf(bracket)], [rText(bracket.reference_r), tone(bracket.reference_r)], [rText(bracket.own_r), tone(bracket.own_r)], [moneyText(pnl), tone(pnl)],
      [bracket.open ? "still open" : stamp(out.exit_ms)], [bracket.open ? DASH : bracket.rows.map((row) => priceText(row.exit_price)).join(", ")],
      [stopWords], [targetsOf(bracket).map(priceText).join(", ") || "none"],
    ];
    return element("tr", {}, name, ...cells.map(([words, more], at) => element("td", { class: css(at + 1, more) }, words)));
  });
  strip.replaceChildren(
    element("div", {}, element("h3", {}, trade.id), element("p", {}, element("span", { class: `side-${bySide(first.side)}` }, bySide(first.side)), ` ${stamp(first.entry_ms)} at ${priceText(first.entry_price)}`)),
    element("div", { class: "tools", role: "group", "aria-label": "Other trades" },
      button("previous-trade", "◀", "Trade before, as the table is sorted", neighbour(-1) !== undefined),
      button("next-trade", "▶", "Next trade, as the table is sorted", neighbour(1) !== undefined),
      button("unselect", "✕", "Let go of this trade")),
    element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "This trade under every policy" }, element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((words, at) => element("th", { scope: "col", class: css(at) }, words)))),
      element("tbody", {}, ...body))),
  );
}

function select(index, { scroll = true, address = true } = {}) {
  const trade = trades[index];
  if (!trade) return;
  view.selected = index;
  const near = Math.max(isTouch ? 14 : 24, (trade.to - trade.from) * 0.3);
  const isKept = isFine(Math.max(0, trade.from - near), Math.min(LAST_BAR, trade.to + near));
  const room = isKept ? near : Math.max(near, 8 * market.bars.coarse_step); /* some candles, coarse as they are */
  if (address) remember(`#trade=${encodeURIComponent(trade.id)}`);
  drawStrip();
  showRange([trade.from - room, trade.to + room]);
  const at = table.order.indexOf(trade);
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
  drawCharts();
}

function setMeasure(wanted) {
  measure = wanted;
  for (const button of document.querySelectorAll("[data-measure]")) button.setAttribute("aria-pressed", String(button.dataset.measure === wanted));
  refreshTable();
  drawCharts();
  drawPrices();
}

for (const button of document.querySelectorAll("[data-measure]")) button.addEventListener("click", () => setMeasure(button.dataset.measure));
strip.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.id === "previous-trade") select(neighbour(-1).index, { scroll: false });
  if (button.id === "next-trade") select(neighbour(1).index, { scroll: false });
  if (button.id === "unselect") unselect();
  const again = document.getElementById(button.id);
  if (again && !again.disabled) again.focus({ preventScroll: true });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && view.selected !== null && event.target.tagName !== "INPUT" && event.target.tagName !== "SELECT") unselect();
});
document.querySelector("#rows tbody").addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-trade]");
  if (row) select(Number(row.dataset.trade));
});
document.querySelector("#rows thead").addEventListener("click", (event) => {
  const head = event.target.closest("th");
  if (!head) return;
  table.down = table.sort === head.dataset.key ? !table.down : true;
  table.sort = head.dataset.key;
  table.page = 0;
  refreshTable();
});
listen("pager", "click", (event) => {
  if (!event.target.dataset.page) return;
  table.page = Number(event.target.dataset.page);
  drawTable();
});
buildTable();
listen("search", "input", (event) => { table.search = event.target.value.trim(); table.page = 0; refreshTable(); });
listen("only", "change", (event) => { table.only = event.target.value; table.page = 0; refreshTable(); });

/* It opens on the trade the policies disagree about most. */
drawLegends();
drawNavigator();
drawPrices();
followPrices();
pricesChart.on("plotly_click", ({ points }) => {
  const point = points.find((one) => one.customdata !== undefined && one.customdata !== null);
  if (point) select(point.customdata, { scroll: false });
});
setTimeout(drawCharts, 0);
const asked = /^#trade=(.+)$/.exec(location.hash);
const wanted = asked ? trades.findIndex((trade) => encodeURIComponent(trade.id) === asked[1]) : -1;
if (wanted >= 0) select(wanted);
else if (table.order.length) select(table.order[0].index, { scroll: false, address: false });
