/* The table of brackets: one row an exit, sorted, filtered, a page at a time. */

const table = { order: [], sort: "index", down: false, page: 0, size: window.innerWidth > 680 ? 20 : 10, symbol: "", reason: "", side: "", result: "", remark: "", search: "" };

const COLUMNS = [
  { key: "id", words: "Bracket", sort: "index", head: true, className: "id" },
  ...(data.markets.length > 1 ? [{ key: "symbol", words: "Symbol", desk: true }] : []),
  { key: "side", words: "Side", className: "side" },
  { key: "quantity", words: "Quantity", num: true, desk: true, value: (row) => Number(row.quantity) },
  { key: "entry_ms", words: "Entered", desk: true, className: "stamp", show: (row) => stamp(row.entry_ms, row.market) },
  { key: "entry_price", words: "Entry", num: true, desk: true, show: (row) => priceText(row.entry_price, row.market) },
  { key: "stop_price", words: "Stop", num: true, desk: true, show: (row) => priceText(row.stop_price, row.market) },
  { key: "target_price", words: "Target", num: true, desk: true, show: (row) => priceText(row.target_price, row.market) },
  { key: "exit_ms", words: "Exited", desk: true, className: "stamp", show: (row) => (row.open ? "open" : stamp(row.exit_ms, row.market)) },
  { key: "exit_price", words: "Exit", num: true, desk: true, show: (row) => priceText(row.exit_price, row.market) },
  { key: "reason", words: "Reason", className: "reason" },
  { key: "r_multiple", words: "R", num: true, className: "r", show: (row) => rText(row.r_multiple), tint: true },
  { key: "pnl", words: "P&L", num: true, className: "pnl", show: (row) => moneyText(row.pnl), tint: true },
  { key: "mae_r", words: "MAE", num: true, desk: true, show: (row) => rText(row.mae_r) },
  { key: "mfe_r", words: "MFE", num: true, desk: true, show: (row) => rText(row.mfe_r) },
  { key: "atr", words: "ATR", num: true, desk: true, className: "screen-only", show: (row) => (row.atr === null ? DASH : row.atr.toFixed(row.market.precision + 1)) },
];

const sortValue = (column, row) => (column.value ? column.value(row) : row[column.sort || column.key]);

function keep(row) {
  if (table.symbol && row.symbol !== table.symbol) return false;
  if (table.reason && row.reason !== table.reason) return false;
  if (table.side && bySide(row.side) !== table.side) return false;
  if (table.result && row.outcome !== table.result) return false;
  if (table.remark && !row[table.remark]) return false;
  return !table.search || row.id.toLowerCase().includes(table.search.toLowerCase());
}

function arrange() {
  const column = COLUMNS.find((one) => one.key === table.sort) || COLUMNS[0];
  const turn = table.down ? -1 : 1;
  table.order = rows.filter(keep).sort((a, b) => {
    const [x, y] = [sortValue(column, a), sortValue(column, b)];
    if (x === y) return a.index - b.index;
    if (x === null) return 1; /* what is unknown comes last either way */
    if (y === null) return -1;
    return x < y ? -turn : turn;
  });
  table.page = Math.min(table.page, Math.max(0, Math.ceil(table.order.length / table.size) - 1));
}

function remarks(row) {
  const made = [element("span", { class: `tag ${row.reason === "target" || row.reason === "stop" ? row.reason : ""}` }, row.reason)];
  if (row.ambiguous) made.push(element("span", { class: "tag", title: "Both stop and target were touched within the exit bar: the fill model decided" }, "ambiguous"));
  if (row.fallback) made.push(element("span", { class: "tag", title: "No ATR: the stop is the fallback percentage" }, "fallback"));
  return made;
}

function cell(column, row) {
  const classes = [column.className, column.num && "num", column.desk && "desk-only", column.tint && tone(row[column.key])];
  const attributes = { class: classes.filter(Boolean).join(" ") || null };
  if (column.head) return element("th", { ...attributes, scope: "row" }, element("button", { type: "button", class: "plain" }, row.id));
  if (column.key === "reason") return element("td", attributes, ...remarks(row));
  if (column.key === "side") return element("td", attributes, element("span", { class: `side-${bySide(row.side)}` }, bySide(row.side)), element("span", { class: "phone-words" }, ` ${row.quantity}${data.markets.length > 1 ? ` ${row.symbol}` : ""}`));
  return element("td", attributes, String(column.show ? column.show(row) : row[column.key]));
}

/* On a phone a row is a card; these cells say in one line what the desktop spreads over several. */
function phoneCells(row) {
  const one = (name, label, words) => element("td", { class: `${name} phone-only` }, element("span", { class: "muted" }, `${label} `), words);
  return [
    one("entry", "in", `${stamp(row.entry_ms, row.market)} at ${priceText(row.entry_price, row.market)}`),
    one("exit", "out", row.open ? "open at the end" : `${stamp(row.exit_ms, row.market)} at ${priceText(row.exit_price, row.market)}`),
    one("levels", "stop", `${priceText(row.stop_price, row.market)}, target ${priceText(row.target_price, row.market)}`),
    one("excursions", "MAE", `${rText(row.mae_r)}, MFE ${rText(row.mfe_r)}`),
  ];
}

function drawTable() {
  const start = table.page * table.size;
  const shown = table.order.slice(start, start + table.size);
  const body = document.querySelector("#rows tbody");
  body.replaceChildren(...shown.map((row) => element(
    "tr", { "data-bracket": row.bracket, class: row.bracket === view.selected ? "selected" : null },
    ...COLUMNS.map((column) => cell(column, row)), ...phoneCells(row),
  )));
  if (!shown.length) body.append(element("tr", {}, element("td", { class: "empty", colspan: COLUMNS.length }, rows.length ? "No bracket fits these filters." : "No entries, so no brackets.")));
  for (const head of document.querySelectorAll("#rows thead th")) {
    if (head.dataset.key === table.sort) head.setAttribute("aria-sort", table.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  drawPager(start, shown.length);
}

function drawPager(start, count) {
  const total = table.order.length;
  const known = table.order.filter((row) => row.r_multiple !== null && !brackets[row.bracket].open);
  const sum = known.reduce((all, row) => all + row.r_multiple * row.weight, 0);
  const place = total ? `${(start + 1).toLocaleString("en-US")}${DASH}${(start + count).toLocaleString("en-US")} of ${total.toLocaleString("en-US")} exits, ${rText(sum)} R together` : "0 exits";
  const page = (words, to, disabled) => {
    const made = element("button", { type: "button", disabled, "data-page": to }, words);
    return made;
  };
  const size = element("select", { "aria-label": "Rows on a page", id: "page-size" }, ...[10, 20, 50, 200].map((n) => element("option", { value: n, selected: n === table.size }, `${n} a page`)));
  document.getElementById("pager").replaceChildren(
    element("span", { "aria-live": "polite" }, place), element("label", {}, size),
    page("First", 0, table.page === 0), page("Previous", table.page - 1, table.page === 0),
    page("Next", table.page + 1, start + count >= total),
  );
}

function refreshTable() {
  arrange();
  drawTable();
}

function choice(name, label, options) {
  const select = element("select", { id: `filter-${name}`, "data-filter": name }, ...options.map(([value, words]) => element("option", { value }, words)));
  return element("label", {}, label, select);
}

function buildTable() {
  const head = element("tr", {}, ...COLUMNS.map((column) => element(
    "th", { scope: "col", "data-key": column.key, class: [column.className === "screen-only" && "screen-only", column.num && "num"].filter(Boolean).join(" ") || null },
    element("button", { type: "button", class: "plain" }, column.words),
  )));
  document.querySelector("#rows thead").replaceChildren(head);
  const counted = (value, words, fits) => [value, `${words} (${rows.filter(fits).length.toLocaleString("en-US")})`];
  const sorts = COLUMNS.flatMap((column) => [[`${column.key} up`, `${column.words} ↑`], [`${column.key} down`, `${column.words} ↓`]]);
  const order = element("select", { id: "sort" }, ...sorts.map(([value, words]) => element("option", { value }, words)));
  document.getElementById("filters").replaceChildren(
    element("label", {}, "Find", element("input", { type: "search", id: "search", placeholder: "bracket id", autocomplete: "off" })),
    ...(data.markets.length > 1 ? [choice("symbol", "Symbol", [["", "any"], ...data.markets.map((each) => counted(each.symbol, each.symbol, (row) => row.market === each))])] : []),
    choice("reason", "Reason", [["", "any"], ...data.reasons.map((reason) => counted(reason, reason, (row) => row.reason === reason))]),
    choice("side", "Side", [["", "both"], counted("buy", "buy", (row) => row.side === 0), counted("sell", "sell", (row) => row.side === 1)]),
    choice("result", "Result", [["", "any"], counted("won", "gain", (row) => row.outcome === "won"), counted("lost", "loss", (row) => row.outcome === "lost"), counted("open", "open", (row) => row.open)]),
    choice("remark", "Remark", [["", "any"], counted("ambiguous", "ambiguous", (row) => row.ambiguous), counted("fallback", "fallback stop", (row) => row.fallback)]),
    element("label", { class: "phone-only" }, "Sort", order),
  );
  refreshTable();
}

function setFilter(name, value) {
  table[name] = value;
  table.page = 0;
  const select = document.getElementById(`filter-${name}`);
  if (select) select.value = value;
  refreshTable();
}

function sortBy(key, down) {
  table.sort = key;
  table.down = down;
  table.page = 0;
  document.getElementById("sort").value = `${key} ${down ? "down" : "up"}`;
  refreshTable();
}
