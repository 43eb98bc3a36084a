/* The table of trades: one row an entry, its R under each policy, sorted, filtered, a page at a time. */

const table = { order: [], sort: "spread", down: true, page: 0, size: window.innerWidth > 680 ? 15 : 10, search: "", only: "" };

const COLUMNS = [
  { key: "id", words: "Trade", value: (trade) => trade.index, show: (trade) => element("button", { type: "button", class: "plain" }, trade.id), more: (trade) => element("small", { class: "phone-words" }, `${bySide(trade.first.rows[0].side)} ${stamp(trade.first.rows[0].entry_ms)}`), head: true },
  { key: "side", words: "Side", desk: true, value: (trade) => trade.first.rows[0].side, show: (trade) => element("span", { class: `side-${bySide(trade.first.rows[0].side)}` }, bySide(trade.first.rows[0].side)) },
  { key: "entered", words: "Entered", desk: true, value: (trade) => trade.first.rows[0].entry_ms, show: (trade) => stamp(trade.first.rows[0].entry_ms) },
  { key: "entry", words: "Entry", num: true, desk: true, value: (trade) => trade.first.rows[0].entry_price, show: (trade) => priceText(trade.first.rows[0].entry_price) },
  ...policies.map((policy) => ({
    key: `p${policy.index}`, policy: policy.index, words: policy.name, num: true,
    value: (trade) => inR(trade.members[policy.index]), show: (trade) => outcome(trade.members[policy.index]),
  })),
  { key: "spread", words: "Apart", num: true, value: spread, show: (trade) => rText(spread(trade)).replace("+", "") },
];

function outcome(bracket) {
  if (bracket === null) return element("span", { class: "muted" }, "skipped");
  const r = inR(bracket);
  return element("span", { class: tone(r) || null }, bracket.open ? "open" : rText(r), element("small", { class: "muted" }, bracket.open ? "" : reasonsOf(bracket)));
}

const cssOf = (column) => [column.num && "num", column.head && "id", column.desk && "desk-only"].filter(Boolean).join(" ") || null;

function keep(trade) {
  if (table.only === "apart" && !(spread(trade) > 0.005)) return false;
  if (table.only === "ambiguous" && !trade.members.some((bracket) => bracket && bracket.rows.some((row) => row.ambiguous))) return false;
  if (table.only === "skipped" && trade.members.every((bracket) => bracket !== null)) return false;
  return !table.search || trade.id.toLowerCase().includes(table.search.toLowerCase());
}

function arrange() {
  const column = COLUMNS.find((one) => one.key === table.sort);
  const turn = table.down ? -1 : 1;
  table.order = trades.filter(keep).sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x === y) return a.index - b.index;
    if (x === null) return 1; /* what is unknown comes last either way */
    if (y === null) return -1;
    return x < y ? -turn : turn;
  });
  table.page = Math.min(table.page, Math.max(0, Math.ceil(table.order.length / table.size) - 1));
}

function drawTable() {
  const start = table.page * table.size;
  const shown = table.order.slice(start, start + table.size);
  const cell = (column, trade) => element(column.head ? "th" : "td", { class: cssOf(column), scope: column.head ? "row" : null }, column.show(trade), column.more ? column.more(trade) : null);
  document.querySelector("#rows tbody").replaceChildren(...shown.map((trade) => element(
    "tr", { "data-trade": trade.index, class: trade.index === view.selected ? "selected" : null }, ...COLUMNS.map((column) => cell(column, trade)),
  )));
  if (!shown.length) document.querySelector("#rows tbody").replaceChildren(element("tr", {}, element("td", { class: "empty", colspan: COLUMNS.length }, trades.length ? "No trade fits these filters." : "No entries, so no trades.")));
  for (const head of document.querySelectorAll("#rows thead th")) {
    if (head.dataset.key === table.sort) head.setAttribute("aria-sort", table.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  const total = table.order.length;
  const page = (words, to, disabled) => element("button", { type: "button", disabled, "data-page": to }, words);
  document.getElementById("pager").replaceChildren(
    element("span", { "aria-live": "polite" }, total ? `${start + 1}${DASH}${start + shown.length} of ${total.toLocaleString("en-US")} trades` : "0 trades"),
    page("First", 0, table.page === 0), page("Previous", table.page - 1, table.page === 0), page("Next", table.page + 1, start + shown.length >= total),
  );
}

function refreshTable() {
  arrange();
  drawTable();
}

function buildTable() {
  document.querySelector("#rows thead").replaceChildren(element("tr", {}, ...COLUMNS.map((column) => element(
    "th", { scope: "col", "data-key": column.key, class: cssOf(column) },
    element("button", { type: "button", class: "plain" }, column.policy === undefined ? "" : element("i", { class: `swatch p${column.policy}`, "aria-hidden": "true" }), column.words),
  ))));
  const options = [["", "all"], ["apart", "where the policies differ"], ["ambiguous", "ambiguous"], ["skipped", "skipped by a policy"]];
  document.getElementById("filters").replaceChildren(
    element("label", {}, "Find", element("input", { type: "search", id: "search", placeholder: "trade id", autocomplete: "off" })),
    element("label", {}, "Show", element("select", { id: "only" }, ...options.map(([value, words]) => element("option", { value }, words)))),
  );
  refreshTable();
}
