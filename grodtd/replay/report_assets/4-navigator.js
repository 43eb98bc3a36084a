/* The whole period in small below the price chart, with a window to drag. */

const navigator_ = document.getElementById("navigator");
const SVG = "http://www.w3.org/2000/svg";
const toShare = (bar) => ((bar - WHOLE[0]) / (WHOLE[1] - WHOLE[0])) * 1000;

function drawNavigator() {
  navigator_.setAttribute("viewBox", "0 0 1000 100");
  const small = candles(0, LAST_BAR, 500);
  const scaled = view.log ? Math.log10 : (price) => price;
  const low = scaled(Math.min(...small.l)), high = scaled(Math.max(...small.h));
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("class", "price");
  line.setAttribute("points", small.x.map((x, i) => `${toShare(x).toFixed(1)},${(92 - ((scaled(small.c[i]) - low) / (high - low || 1)) * 84).toFixed(1)}`).join(" "));
  const window_ = document.createElementNS(SVG, "rect");
  window_.setAttribute("class", "window");
  window_.setAttribute("y", "1");
  window_.setAttribute("height", "98");
  navigator_.replaceChildren(line, window_);
  moveWindow();
}

function moveWindow() {
  const window_ = navigator_.querySelector(".window");
  if (!window_) return;
  const [from, to] = view.range.map(toShare);
  const width = Math.max(5, to - from);
  window_.setAttribute("x", Math.min(995, Math.max(0, (from + to - width) / 2)).toFixed(2));
  window_.setAttribute("width", width.toFixed(2));
}

let grip = null;

function barUnder(event) {
  const box = navigator_.getBoundingClientRect();
  return WHOLE[0] + ((event.clientX - box.left) / box.width) * (WHOLE[1] - WHOLE[0]);
}

navigator_.addEventListener("pointerdown", (event) => {
  const bar = barUnder(event);
  const [from, to] = view.range;
  grip = bar >= from && bar <= to ? bar - (from + to) / 2 : 0;
  navigator_.setPointerCapture(event.pointerId);
  dragTo(bar);
});
navigator_.addEventListener("pointermove", (event) => { if (grip !== null) dragTo(barUnder(event)); });
for (const end of ["pointerup", "pointercancel"]) navigator_.addEventListener(end, () => { grip = null; });

function dragTo(bar) {
  const reach = (view.range[1] - view.range[0]) / 2;
  showRange([bar - grip - reach, bar - grip + reach]);
}
