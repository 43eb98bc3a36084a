/* The price chart: candles on an axis of bar numbers, entries, stop and target lines, exits; one bracket may be chosen. */

const pricesChart = document.getElementById("prices-chart");
const LAST_BAR = data.bars.count - 1;
const WHOLE = [-0.5, LAST_BAR + 0.5];
const NARROWEST = 12;
const view = { range: [...WHOLE], selected: null, log: false, shown: null, drawing: false, again: false };

function clampRange([from, to]) {
  const widest = WHOLE[1] - WHOLE[0];
  const span = Math.min(widest, Math.max(Math.min(NARROWEST, widest), to - from));
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - span / 2, WHOLE[0]), WHOLE[1] - span);
  return [start, start + span];
}

function showRange(range) {
  view.range = clampRange(range);
  drawPrices();
}

function zoomBy(factor) {
  const [from, to] = view.range;
  const reach = ((to - from) * factor) / 2;
  showRange([(from + to) / 2 - reach, (from + to) / 2 + reach]);
}

function moveBy(share) {
  const [from, to] = view.range;
  showRange([from + (to - from) * share, to + (to - from) * share]);
}

/* The stop over time as a staircase: [bars, prices]. */
function stopSteps(bracket) {
  const start = bracket.rows[0].stop_price;
  const xs = [], ys = [];
  if (start !== null) { xs.push(bracket.from); ys.push(start); }
  for (let i = 0; i < bracket.stops.length; i += 2) { xs.push(bracket.stops[i]); ys.push(bracket.stops[i + 1]); }
  if (xs.length) { xs.push(Math.max(bracket.to, xs[xs.length - 1])); ys.push(ys[ys.length - 1]); }
  return [xs, ys];
}

/* Every target of a bracket: rows that scale out may differ. */
const targetsOf = (bracket) => [...new Set(bracket.rows.map((row) => row.target_price).filter((price) => price !== null))];

/* On a logarithmic axis a level at or below zero has no place (the target of a wide short may be one). */
const hasPlace = (price) => !view.log || price > 0;
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
  return `<b>${asLabel(row.id)}</b> ${row.side === 0 ? "bought" : "sold short"} ${quantity} at ${priceText(row.entry_price)}<br>${stamp(row.entry_ms)}`;
}

function exitWords(row) {
  if (row.open) return `<b>${asLabel(row.id)}</b> still open, marked at ${rText(row.r_multiple)} R`;
  return `<b>${asLabel(row.id)}</b> out at ${priceText(row.exit_price)}, ${asLabel(row.reason)}, ${rText(row.r_multiple)} R<br>${stamp(row.exit_ms)}`;
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

/* Lines of several brackets as one trace; nothing joins one to the next. */
function lineTrace(pieces, style, more = {}) {
  const x = [], y = [];
  for (const [xs, ys] of pieces) { x.push(...xs, null); y.push(...ys, null); }
  return { type: "scatter", mode: "lines", x, y, line: style, hoverinfo: "skip", ...more };
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

/* Price tags on the axis, pushed apart where they would cover each other. */
function priceTags(bracket, [low, high], height) {
  const stop = stopSteps(bracket)[1].slice(-1);
  const tags = [
    { price: bracket.rows[0].entry_price, fill: "accent" },
    ...stop.map((price) => ({ price, fill: "loss" })),
    ...targetsOf(bracket).map((price) => ({ price, fill: "gain" })),
  ].filter((tag) => hasPlace(tag.price));
  const scaled = (price) => (view.log ? Math.log10(price) : price);
  for (const tag of tags) tag.at = ((scaled(tag.price) - low) / (high - low)) * height;
  tags.sort((a, b) => a.at - b.at);
  let floor = -Infinity;
  for (const tag of tags) { tag.place = Math.max(tag.at, floor); floor = tag.place + 18; }
  return tags.map((tag) => ({
    xref: "paper", x: 1, xanchor: "left", yref: "y", y: scaled(tag.price), yshift: tag.place - tag.at, showarrow: false,
    text: priceText(tag.price), font: { size: 11.5, color: colour("panel") }, bgcolor: colour(tag.fill), borderpad: 2,
  }));
}

function priceRange(shown, [from, to], chosen) {
  let low = Infinity, high = -Infinity;
  const reach = shown.step / 2;
  shown.x.forEach((x, i) => {
    if (x + reach < from || x - reach > to) return;
    low = Math.min(low, shown.l[i]);
    high = Math.max(high, shown.h[i]);
  });
  if (chosen && chosen.to >= from && chosen.from <= to) {
    for (const price of levelsOf(chosen)) {
      low = Math.min(low, price);
      high = Math.max(high, price);
    }
  }
  const [bottom, top] = view.log ? [Math.log10(low), Math.log10(high)] : [low, high];
  const room = (top - bottom || Math.abs(top) * 0.01 || 1) * 0.05;
  return [bottom - room, top + room];
}

/* Room for the price axis: its widest number, or the widest price tag. */
function axisRoom(shown, chosen) {
  const words = [priceText(Number((shown.h[0] || 0).toFixed(data.precision)))];
  if (chosen) words.push(...levelsOf(chosen).map(priceText));
  return Math.max(54, 14 + 7.4 * Math.max(...words.map((text) => text.length)));
}

function drawPrices() {
  if (view.drawing) { view.again = true; return; }
  view.drawing = true;
  const [from, to] = view.range;
  const width = Math.max(240, pricesChart.clientWidth - 80);
  const margin = isTouch ? 0 : (to - from) / 2; /* what a drag may bring into view */
  const most = Math.round((width / 4) * ((to - from + 2 * margin) / (to - from)));
  let shown = candles(from - margin, to + margin, most);
  if (shown.coarser) shown = candles(from, to, Math.round(width / 4));
  view.shown = shown;
  const chosen = view.selected === null ? null : brackets[view.selected];
  const [seenFrom, seenTo] = [from - margin, to + margin];
  const { found, crowded } = marksInView(seenFrom, seenTo, shown.step, coarse.c[coarse.c.length - 1]);
  const inView = brackets.filter((bracket) => bracket.to >= seenFrom && bracket.from <= seenTo);
  const range = priceRange(shown, view.range, chosen);
  const seen = shown.x.map((x, i) => i).filter((i) => shown.x[i] >= from && shown.x[i] <= to);
  const ticks = axisTicks(seen.map((i) => shown.x[i]), seen.map((i) => shown.t[i]), Math.max(2, Math.floor(width / 85)), ((to - from) / width) * 62);
  const height = pricesChart.clientHeight - 12 - 44;
  const layout = chartLayout({
    dragmode: isTouch ? false : view.dragmode || "zoom",
    selectdirection: "h",
    margin: { l: 8, r: axisRoom(shown, chosen), t: 12, b: 44 },
    hovermode: "closest", hoverdistance: 24,
    xaxis: {
      range: [from, to], fixedrange: isTouch, rangeslider: { visible: false }, ...ticks, automargin: false, showgrid: true,
      showspikes: !isTouch, spikemode: "across", spikesnap: "cursor", spikethickness: 1, spikedash: "dot", spikecolor: colour("muted"),
    },
    yaxis: { range, type: view.log ? "log" : "linear", side: "right", automargin: false, nticks: view.log ? 12 : 8, tickformat: ",~f" },
    shapes: chosen ? zones(chosen) : [],
    annotations: chosen ? priceTags(chosen, range, height) : [],
  });
  const traces = [
    {
      type: "candlestick", x: shown.x, open: shown.o, high: shown.h, low: shown.l, close: shown.c, hoverinfo: "none", whiskerwidth: 0,
      increasing: { line: { color: colour("candle-up-line"), width: 1 }, fillcolor: colour("candle-up") },
      decreasing: { line: { color: colour("candle-down-line"), width: 1 }, fillcolor: colour("candle-down") },
    },
    ...bracketTraces(inView),
    ...markTraces(found, crowded),
  ];
  showReadout(null);
  showNote();
  moveWindow();
  Plotly.react(pricesChart, traces, layout, chartConfig("prices")).then(() => {
    view.drawing = false;
    if (view.again) { view.again = false; drawPrices(); }
  });
}

/* What is under the pointer, or else what is in view. */
function showReadout(i) {
  const readout = document.getElementById("readout");
  const shown = view.shown;
  const items = [];
  const say = (words, value) => items.push(element("span", {}, `${words} `, element("b", {}, value)));
  const each = shown.step === 1 ? "" : `, ${shown.step.toLocaleString("en-US")} bars a candle`;
  if (i === null) {
    const seen = shown.x.map((x, n) => n).filter((n) => shown.x[n] >= view.range[0] && shown.x[n] <= view.range[1]);
    if (seen.length) say("In view", `${stamp(shown.t[seen[0]])} ${DASH} ${stamp(shown.t[seen[seen.length - 1]])}${data.daily ? "" : " UTC"}${each}`);
  } else {
    say("", `${stamp(shown.t[i])}${data.daily ? "" : " UTC"}${each}`);
    for (const [words, name] of [["open", "o"], ["high", "h"], ["low", "l"], ["close", "c"]]) say(words, roughPrice(shown[name][i]));
  }
  readout.replaceChildren(...items);
}

function showNote() {
  const words = [];
  if (view.shown.coarser) words.push(`This stretch is kept in candles of ${view.shown.step.toLocaleString("en-US")} bars: single bars would make the page too large.`);
  if (data.notes.prices) words.push(data.notes.prices);
  document.getElementById("prices-note").textContent = words.join(" ");
}
