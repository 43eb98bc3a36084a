/* What every page of ours has in common: the tools of its price chart, its address, the window's size, paper. */

const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/* The address names the trade in view, so that it can be passed on. */
function remember(address) {
  try {
    history.replaceState(null, "", address);
  } catch (refused) {
    if (refused.name !== "SecurityError") throw refused; /* a viewer that shows the page inside another allows none */
  }
}

function listen(id, type, act) { document.getElementById(id).addEventListener(type, act); }

listen("whole", "click", () => { showRange(WHOLE); });
listen("closer", "click", () => zoomBy(0.5));
listen("wider", "click", () => zoomBy(2));
listen("back", "click", () => moveBy(-0.6));
listen("further", "click", () => moveBy(0.6));
function allowLog() {
  const below = Math.min(...coarseBars().l) <= 0; /* oil has been below zero */
  document.getElementById("log").disabled = below;
  if (below) view.log = false;
}
allowLog();
listen("log", "click", (event) => {
  view.log = !view.log;
  event.currentTarget.setAttribute("aria-pressed", String(view.log));
  drawNavigator();
  drawPrices();
});

/* Once the chart is drawn: dragging zooms, the pointer reads. */
function followPrices() {
  pricesChart.on("plotly_relayout", (change) => {
    if (change.dragmode) view.dragmode = change.dragmode;
    if (change["xaxis.range[0]"] !== undefined) showRange([change["xaxis.range[0]"], change["xaxis.range[1]"]]);
  });
  pricesChart.on("plotly_doubleclick", () => showRange(WHOLE));
  pricesChart.on("plotly_hover", ({ points }) => {
    const point = points.find((one) => one.data.type === "candlestick");
    if (point) showReadout(point.pointIndex === undefined ? point.pointNumber : point.pointIndex);
  });
  pricesChart.on("plotly_unhover", () => showReadout(null));
}

let resized = 0;
window.addEventListener("resize", () => {
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(() => { drawPrices(); });
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
/* On paper everything is light, and as wide as the sheet. */
function forPaper(on) {
  document.documentElement.classList.toggle("paper", on);
  drawAll();
}
window.addEventListener("beforeprint", () => forPaper(true));
window.addEventListener("afterprint", () => forPaper(false));
