/* Equity in R, the distribution of R, and MAE against MFE. */

const [equityChart, distributionChart, excursionChart] = ["equity", "distribution", "excursion"].map((name) => document.getElementById(`${name}-chart`));

/* The first drawing of a chart also lets its points be chosen. */
function drawChoosable(chart, traces, layout, config) {
  const isNew = !chart.on;
  Plotly.react(chart, traces, layout, config);
  if (isNew) chart.on("plotly_click", selectPoint);
}

const DATE_FORMATS = [
  { dtickrange: [null, 60000], value: "%H:%M:%S\n%-d %b %Y" },
  { dtickrange: [60000, DAY], value: "%H:%M\n%-d %b %Y" },
  { dtickrange: [DAY, "M1"], value: "%-d %b\n%Y" },
  { dtickrange: ["M1", "M12"], value: "%b\n%Y" },
  { dtickrange: ["M12", null], value: "%Y" },
];

function drawEquity() {
  const curve = data.equity;
  const at = curve.ms;
  const plain = { type: "scatter", mode: "lines", x: at };
  const down = curve.r.map((value, i) => value - curve.peak[i]);
  drawChoosable(equityChart, [
    { ...plain, y: curve.peak, line: { width: 1, dash: "dot", shape: "hv", color: colour("neutral-mark") }, hoverinfo: "skip" },
    { ...plain, y: curve.r, line: { width: 0, shape: "hv" }, fill: "tonexty", fillcolor: colour("loss-zone"), hoverinfo: "skip" },
    {
      ...plain, y: curve.r, line: { width: 2, shape: "hv", color: colour("accent") }, customdata: curve.bracket,
      hovertext: curve.r.map((value, i) => `<b>${rText(value)} R</b>, ${rText(down[i])} R from the peak<br>${stamp(at[i])}${curve.bracket[i] === null ? "" : `<br>${exitWords(brackets[curve.bracket[i]].rows.at(-1))}`}`),
      hovertemplate: "%{hovertext}<extra></extra>",
    },
  ], chartLayout({
    hovermode: isTouch ? "closest" : "x",
    annotations: curve.r.length > 2 ? [] : emptyNote("No closed bracket"),
    xaxis: { type: "date", range: [at[0], at[at.length - 1]], hoverformat: " ", tickformatstops: DATE_FORMATS, nticks: Math.max(3, Math.round(equityChart.clientWidth / 110)) },
    yaxis: { title: { text: "R", standoff: 6 }, zeroline: true, tickformat: ",~f" },
    margin: { l: 48, r: 14, t: 10, b: 36 },
  }), chartConfig("equity"));
}

function drawDistribution() {
  const { centre, count, width, mean, first_open, last_open } = data.distribution;
  const tint = centre.map((value) => colour(Math.abs(value) < width / 4 ? "neutral-mark" : value > 0 ? "gain-mark" : "loss-mark"));
  const words = centre.map((value, i) => {
    const span = first_open && i === 0 ? `${rText(value + width / 2)} R or less` : last_open && i === centre.length - 1 ? `${rText(value - width / 2)} R or more` : `${rText(value - width / 2)} to ${rText(value + width / 2)} R`;
    return `<b>${count[i].toLocaleString("en-US")}</b> bracket${count[i] === 1 ? "" : "s"}<br>${span}`;
  });
  const range = [Math.min(-1, centre[0] ?? 0) - width, Math.max(1, centre.at(-1) ?? 0) + width];
  const place = Math.min(1, Math.max(0, (mean - range[0]) / (range[1] - range[0])));
  const isInside = mean >= range[0] && mean <= range[1];
  const mark = { type: "line", yref: "paper", y0: 0, y1: 1, x0: mean, x1: mean, line: { color: colour("accent"), width: 1.5, dash: "dash" } };
  const label = {
    xref: "paper", x: place, xanchor: place < 0.25 ? "left" : place > 0.75 ? "right" : "center", yref: "paper", y: 1, yanchor: "bottom",
    showarrow: false, text: `mean ${rText(mean)} R${isInside ? "" : ", off the scale"}`, font: { color: colour("accent"), size: 12 },
  };
  Plotly.react(distributionChart, [{
    type: "bar", x: centre, y: count, width: centre.map(() => width * 0.88), marker: { color: tint }, hovertext: words, hovertemplate: "%{hovertext}<extra></extra>",
  }], chartLayout({
    xaxis: { title: { text: "R of a bracket", standoff: 6 }, tickformat: "~f", nticks: 9, range },
    yaxis: { tickformat: ",d", rangemode: "tozero", nticks: 6, dtick: Math.max(0, ...count) <= 6 ? 1 : undefined },
    shapes: mean !== null && isInside ? [mark] : [],
    annotations: mean === null ? emptyNote("No closed bracket") : [label],
    margin: { l: 40, r: 12, t: 24, b: 42 },
  }), chartConfig("distribution"));
}

const MOST_POINTS = 3000;

/* Where an axis ends: far enough for nearly all, so that one gap of 80 R does not push all others into a corner. */
function axisEnd(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return 1.08 * Math.max(1, sorted[sorted.length - 1 - Math.floor(sorted.length * 0.02)] ?? 1);
}

function drawExcursions() {
  const all = rows.filter((row) => !row.open && row.mae_r !== null && row.mfe_r !== null);
  const every = Math.max(1, Math.ceil(all.length / MOST_POINTS));
  const points = all.filter((row, i) => i % every === 0);
  const xEnd = axisEnd(points.map((row) => -row.mae_r));
  const yEnd = axisEnd(points.map((row) => row.mfe_r));
  const beyond = points.filter((row) => -row.mae_r > xEnd || row.mfe_r > yEnd).length;
  const words = ["How far each exit went against its entry, and how far for it, in R. Choose a point to see its bracket."];
  if (every > 1) words.push(`One in ${every} of ${all.length.toLocaleString("en-US")} exits is drawn.`);
  if (beyond) words.push(`Off the scale, drawn on its edge: ${beyond.toLocaleString("en-US")}.`);
  document.getElementById("excursion-note").textContent = words.join(" ");
  const dots = (outcome, tint, symbol, words) => {
    const list = points.filter((row) => row.outcome === outcome);
    return {
      type: "scatter", mode: "markers", name: words, cliponaxis: false,
      x: list.map((row) => Math.min(xEnd, -row.mae_r)), y: list.map((row) => Math.min(yEnd, row.mfe_r)), customdata: list.map((row) => row.bracket),
      hovertext: list.map((row) => `${exitWords(row)}<br>MAE ${rText(row.mae_r)} R, MFE ${rText(row.mfe_r)} R`), hovertemplate: "%{hovertext}<extra></extra>",
      marker: { symbol, size: points.length > 600 ? 5 : 8, color: colour(tint), opacity: points.length > 600 ? 0.55 : 0.8, line: { width: symbol === "x-thin" ? 1.8 : 0, color: colour(tint) } },
    };
  };
  drawChoosable(excursionChart, [
    dots("lost", "loss-mark", "x-thin", "out with a loss"),
    dots("won", "gain-mark", "circle", "out with a gain"),
    dots("even", "neutral-mark", "circle", "out even"),
  ], chartLayout({
    showlegend: true,
    annotations: all.length ? [] : emptyNote("No exit"),
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12 }, itemclick: false, itemdoubleclick: false },
    xaxis: { title: { text: "MAE: against the entry, R", standoff: 6 }, range: [0, xEnd], zeroline: true, tickformat: ",~f" },
    yaxis: { title: { text: "MFE: for the entry, R", standoff: 6 }, range: [0, yEnd], zeroline: true, tickformat: ",~f" },
    margin: { l: 48, r: 12, t: 28, b: 42 },
  }), chartConfig("mae-mfe"));
}
