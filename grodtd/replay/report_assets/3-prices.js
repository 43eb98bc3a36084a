/* Over the candles of a replay: entries, stop and target lines, exits; one bracket may be chosen. */

const chosenItem = () => (view.selected === null ? null : brackets[view.selected]);
const levelsOf = (bracket) => [bracket.rows[0].entry_price, ...stopSteps(bracket)[1], ...targetsOf(bracket)].filter(hasPlace);

const MARKS = [
  { name: "buy", symbol: "triangle-up", size: 12, colour: "gain-mark", words: "bought" },
  { name: "sell", symbol: "triangle-down", size: 12, colour: "loss-mark", words: "sold short" },
  { name: "won", symbol: "circle", size: 9, colour: "gain-mark", words: "out with a gain" },
  { name: "lost", symbol: "x-thin", size: 9, colour: "loss-mark", words: "out with a loss", line: 2.5 },
  { name: "even", symbol: "circle", size: 9, colour: "neutral-mark", words: "out even" },
  { name: "open", symbol: "diamond", size: 10, colour: "neutral-mark", words: "still open at the end" },
];

function entryWords(row) {
  const quantity = asLabel(quantityOf(brackets[row.bracket]));
  return `<b>${asLabel(row.id)}</b> ${row.side === 0 ? "bought" : "sold short"} ${quantity} at ${priceText(row.entry_price, row.market)}<br>${stamp(row.entry_ms, row.market)}`;
}

function exitWords(row) {
  if (row.open) return `<b>${asLabel(row.id)}</b> still open, marked at ${rText(row.r_multiple)} R`;
  return `<b>${asLabel(row.id)}</b> out at ${priceText(row.exit_price, row.market)}, ${asLabel(row.reason)}, ${rText(row.r_multiple)} R<br>${stamp(row.exit_ms, row.market)}`;
}

/* Signs in view, by kind. Where they would lie on each other, one sign stands for all of its kind at a candle. */
function marksInView(from, to, step, lastClose) {
  const found = new Map(MARKS.map((mark) => [mark.name, []]));
  let count = 0;
  const add = (kind, x, y, row, words) => {
    if (x < from || x > to || y === null) return;
    found.get(kind).push({ x, y, row, words });
    count += 1;
  };
  for (const bracket of brackets) {
    if (bracket.market !== market) continue;
    const [first] = bracket.rows;
    add(bySide(first.side), first.entry_bar, first.entry_price, first, entryWords);
    for (const row of bracket.rows) {
      if (row.open) add("open", LAST_BAR, lastClose, row, exitWords);
      else add(row.outcome, row.exit_bar, row.exit_price, row, exitWords);
    }
  }
  const crowded = count > 240 && step > 1;
  if (crowded) for (const mark of MARKS) found.set(mark.name, gather(found.get(mark.name), step, mark.words));
  return { found, crowded };
}

function gather(list, step, words) {
  const cells = new Map();
  for (const mark of list) {
    const cell = mark.row.bracket === view.selected ? "chosen" : Math.floor(mark.x / step);
    if (!cells.has(cell)) cells.set(cell, []);
    cells.get(cell).push(mark);
  }
  return [...cells.values()].map((marks) => {
    marks.sort((a, b) => a.y - b.y);
    const middle = marks[Math.floor(marks.length / 2)];
    return marks.length === 1 ? middle : { ...middle, many: marks.length, words: () => `<b>${marks.length}</b> ${words}` };
  });
}

function bracketTraces(inView) {
  const traces = [];
  const chosen = view.selected;
  const joined = (outcome) => inView.flatMap((bracket) => bracket.rows
    .filter((row) => row.outcome === outcome)
    .map((row) => [[row.entry_bar, row.exit_bar], [row.entry_price, row.exit_price]]));
  if (inView.length <= 160) {
    const opacity = chosen === null ? 0.7 : 0.25;
    traces.push(lineTrace(joined("won"), { color: colour("gain-mark"), width: 1.2, dash: "dot" }, { opacity }));
    traces.push(lineTrace(joined("lost"), { color: colour("loss-mark"), width: 1.2, dash: "dot" }, { opacity }));
  }
  const withLevels = inView.filter((bracket) => bracket.index === chosen || (chosen === null && inView.length <= 24));
  const stops = withLevels.map(stopSteps);
  const targets = withLevels.flatMap((bracket) => targetsOf(bracket).map((price) => [[bracket.from, bracket.to], [price, price]]));
  const entries = withLevels.map((bracket) => [[bracket.from, bracket.to], Array(2).fill(bracket.rows[0].entry_price)]);
  const width = chosen === null ? 1.3 : 2;
  traces.push(lineTrace(entries, { color: colour("accent"), width: 1.2, dash: "dash" }));
  traces.push(lineTrace(stops, { color: colour("loss-mark"), width, shape: "hv" }));
  traces.push(lineTrace(targets, { color: colour("gain-mark"), width }));
  return traces;
}

function markTraces(found, crowded) {
  return MARKS.map((mark) => {
    const list = found.get(mark.name);
    const chosen = view.selected;
    const size = crowded ? 6 : mark.size;
    return {
      type: "scatter", mode: "markers",
      x: list.map((item) => item.x), y: list.map((item) => item.y),
      hovertext: list.map((item) => item.words(item.row)), hovertemplate: "%{hovertext}<extra></extra>",
      customdata: list.map((item) => [item.row.bracket, item.many || 1]),
      marker: {
        symbol: mark.symbol, color: colour(mark.colour),
        size: list.map((item) => (item.row.bracket === chosen ? size + 3 : size)),
        opacity: list.map((item) => (chosen === null ? (crowded ? 0.7 : 1) : item.row.bracket === chosen ? 1 : 0.3)),
        line: { width: crowded ? (mark.line ? 1.5 : 0.5) : mark.line || 1, color: colour(mark.line ? mark.colour : "mark-edge") },
      },
    };
  });
}

/* The zones of risk and reward of the chosen bracket, as on a trader's ruler. */
function zones(bracket) {
  const entry = bracket.rows[0].entry_price;
  const zone = (price, fill) => ({ type: "rect", layer: "below", line: { width: 0 }, fillcolor: colour(fill), x0: bracket.from, x1: Math.max(bracket.to, bracket.from + 1), y0: entry, y1: price });
  const found = targetsOf(bracket).map((price) => [price, "gain-zone"]);
  if (bracket.rows[0].stop_price !== null) found.push([bracket.rows[0].stop_price, "loss-zone"]);
  return found.filter(([price]) => hasPlace(price)).map(([price, fill]) => zone(price, fill));
}

function priceTags(bracket, range, height) {
  const stop = stopSteps(bracket)[1].slice(-1);
  return placedTags([
    { price: bracket.rows[0].entry_price, fill: "accent" },
    ...stop.map((price) => ({ price, fill: "loss" })),
    ...targetsOf(bracket).map((price) => ({ price, fill: "gain" })),
  ], range, height);
}

/* What lies over the candles: the brackets in view, and the chosen one with its zones and tags. */
function overlay(chosen, [from, to], range, height) {
  const { found, crowded } = marksInView(from, to, view.shown.step, coarseBars().c.at(-1));
  const inView = brackets.filter((bracket) => bracket.market === market && bracket.to >= from && bracket.from <= to);
  return {
    traces: [...bracketTraces(inView), ...markTraces(found, crowded)],
    shapes: chosen ? zones(chosen) : [],
    annotations: chosen ? priceTags(chosen, range, height) : [],
  };
}
