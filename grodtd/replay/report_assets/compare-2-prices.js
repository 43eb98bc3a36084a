/* Over the candles of a comparison: every entry, or the chosen one with each policy's stop, target and exits. */

const MOST_ENTRIES = 400;

const chosenItem = () => (view.selected === null ? null : trades[view.selected]);

function levelsOf(trade) {
  return trade.members.filter((bracket) => bracket !== null)
    .flatMap((bracket) => [bracket.rows[0].entry_price, ...stopSteps(bracket)[1], ...targetsOf(bracket), ...exitsOf(bracket).map((row) => row.exit_price)])
    .filter(hasPlace);
}

const exitsOf = (bracket) => bracket.rows.filter((row) => !row.open && row.exit_price !== null);

function entriesTrace(list, size) {
  const side = (trade) => trade.first.rows[0].side;
  return {
    type: "scatter", mode: "markers", cliponaxis: false,
    x: list.map((trade) => trade.from), y: list.map((trade) => trade.first.rows[0].entry_price),
    customdata: list.map((trade) => trade.index),
    hovertext: list.map((trade) => `<b>${asLabel(trade.id)}</b> ${side(trade) === 0 ? "bought" : "sold short"} at ${priceText(trade.first.rows[0].entry_price)}<br>${stamp(trade.first.rows[0].entry_ms)}`),
    hovertemplate: "%{hovertext}<extra></extra>",
    marker: {
      size, symbol: list.map((trade) => (side(trade) === 0 ? "triangle-up" : "triangle-down")),
      color: list.map((trade) => colour(side(trade) === 0 ? "gain-mark" : "loss-mark")), line: { width: 1, color: colour("mark-edge") },
    },
  };
}

/* One policy's part: its stop as a staircase, its targets dashed, a thin way to each exit, and the exits. */
function memberTraces(bracket) {
  const line = { color: tint(bracket.policy), width: 1.6 };
  const [first] = bracket.rows;
  const ways = exitsOf(bracket).map((row) => [[row.entry_bar, row.exit_bar], [row.entry_price, row.exit_price]]);
  const targets = targetsOf(bracket).map((price) => [[bracket.from, bracket.to], [price, price]]);
  const exits = bracket.rows.map((row) => ({ row, x: row.open ? LAST_BAR : row.exit_bar, y: row.open ? coarseBars().c.at(-1) : row.exit_price }));
  return [
    lineTrace([stopSteps(bracket)], { ...line, shape: "hv" }, { opacity: 0.9 }),
    lineTrace(targets, { ...line, dash: "dash" }, { opacity: 0.9 }),
    lineTrace(ways, { ...line, width: 1.1, dash: "dot" }),
    {
      type: "scatter", mode: "markers", cliponaxis: false, x: exits.map((exit) => exit.x), y: exits.map((exit) => exit.y),
      hovertext: exits.map(({ row }) => `<b>${asLabel(names[bracket.policy])}</b> ${row.open ? "still open" : `out at ${priceText(row.exit_price)}, ${asLabel(row.reason)}`}<br>${rText(bracket[measure])} R${row.open ? "" : `<br>${stamp(row.exit_ms)}`}`),
      hovertemplate: "%{hovertext}<extra></extra>", customdata: exits.map(() => first && bracket.trade.index),
      marker: { symbol: SYMBOLS[bracket.policy], size: 12 + 2 * (names.length - bracket.policy), color: bracket.open ? colour("panel") : tint(bracket.policy), line: { width: 1.5, color: bracket.open ? tint(bracket.policy) : colour("mark-edge") } },
    },
  ];
}

function overlay(chosen, [from, to], range, height) {
  if (chosen) {
    const there = chosen.members.filter((bracket) => bracket !== null);
    const entry = there[0].rows[0].entry_price;
    return {
      traces: [lineTrace([[[chosen.from, chosen.to], [entry, entry]]], { color: colour("muted"), width: 1.2, dash: "dash" }), ...there.flatMap(memberTraces), entriesTrace([chosen], 15)],
      shapes: [],
      annotations: placedTags([{ price: entry, fill: "muted" }], range, height),
    };
  }
  const inView = trades.filter((trade) => trade.from >= from && trade.from <= to);
  const every = Math.max(1, Math.ceil(inView.length / MOST_ENTRIES));
  return { traces: [entriesTrace(inView.filter((trade) => trade.index % every === 0), every > 1 ? 7 : 10)], shapes: [], annotations: [] };
}

function drawLegends() {
  const sign = (css, words) => element("li", {}, element("span", { class: css, "aria-hidden": "true" }), words);
  const named = () => policies.map((policy) => sign(`swatch p${policy.index}`, policy.name));
  document.getElementById("equity-legend").replaceChildren(...named());
  document.getElementById("legend").replaceChildren(...named(), sign("dash", "stop"), sign("dash dashed", "target"));
}
