/* The price chart on an axis of bar numbers, its window, and what is under the pointer. What lies over the candles is
   each page's own: `chosenItem` (null, or from and to in bars), `levelsOf` it, and `overlay` (traces, shapes, annotations). */

const pricesChart = document.getElementById("prices-chart");
let LAST_BAR = market.bars.count - 1;
let WHOLE = [-0.5, LAST_BAR + 0.5];
const NARROWEST = 12;
const view = { range: [...WHOLE], selected: null, log: false, shown: null, drawing: false, again: false };

function clampRange([from, to]) {
  const widest = WHOLE[1] - WHOLE[0];
  const span = Math.min(widest, Math.max(Math.min(NARROWEST, widest), to - from));
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - span / 2, WHOLE[0]), WHOLE[1] - span);
  return [start, start + span];
}

/* Change to another symbol's prices, all of them in view; drawing is the caller's. */
function useMarket(wanted) {
  market = wanted;
  LAST_BAR = market.bars.count - 1;
  WHOLE = [-0.5, LAST_BAR + 0.5];
  view.range = [...WHOLE];
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

/* Lines of several brackets as one trace; nothing joins one to the next. */
function lineTrace(pieces, style, more = {}) {
  const x = [], y = [];
  for (const [xs, ys] of pieces) { x.push(...xs, null); y.push(...ys, null); }
  return { type: "scatter", mode: "lines", x, y, line: style, hoverinfo: "skip", ...more };
}

/* Price tags on the axis, pushed apart where they would cover each other. A tag: price and fill. */
function placedTags(wanted, [low, high], height) {
  const tags = wanted.filter((tag) => hasPlace(tag.price));
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
  const words = [priceText(Number((shown.h[0] || 0).toFixed(market.precision)))];
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
  const chosen = chosenItem();
  const [seenFrom, seenTo] = [from - margin, to + margin];
  const range = priceRange(shown, view.range, chosen);
  const seen = shown.x.map((x, i) => i).filter((i) => shown.x[i] >= from && shown.x[i] <= to);
  const ticks = axisTicks(seen.map((i) => shown.x[i]), seen.map((i) => shown.t[i]), Math.max(2, Math.floor(width / 85)), ((to - from) / width) * 76);
  const height = pricesChart.clientHeight - 12 - 44;
  const on = overlay(chosen, [seenFrom, seenTo], range, height);
  const layout = chartLayout({
    dragmode: isTouch ? false : view.dragmode || "zoom",
    selectdirection: "h",
    margin: { l: 8, r: axisRoom(shown, chosen), t: 12, b: 44 },
    hovermode: "closest", hoverdistance: 24,
    xaxis: {
      range: [from, to], fixedrange: isTouch, rangeslider: { visible: false }, ...ticks, tickangle: 0, automargin: false, showgrid: true,
      showspikes: !isTouch, spikemode: "across", spikesnap: "cursor", spikethickness: 1, spikedash: "dot", spikecolor: colour("muted"),
    },
    yaxis: { range, type: view.log ? "log" : "linear", side: "right", automargin: false, nticks: view.log ? 12 : 8, tickformat: ",~f" },
    shapes: on.shapes,
    annotations: on.annotations,
  });
  const traces = [
    {
      type: "candlestick", x: shown.x, open: shown.o, high: shown.h, low: shown.l, close: shown.c, hoverinfo: "none", whiskerwidth: 0,
      increasing: { line: { color: colour("candle-up-line"), width: 1 }, fillcolor: colour("candle-up") },
      decreasing: { line: { color: colour("candle-down-line"), width: 1 }, fillcolor: colour("candle-down") },
    },
    ...on.traces,
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
    if (seen.length) say("In view", `${stamp(shown.t[seen[0]])} ${DASH} ${stamp(shown.t[seen[seen.length - 1]])}${market.daily ? "" : " UTC"}${each}`);
  } else {
    say("", `${stamp(shown.t[i])}${market.daily ? "" : " UTC"}${each}`);
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
