/* Equity in R, the distribution of R, and MAE against MFE. */

function drawEquity() {
  const curve = data.equity;
  const at = curve.ms;
  const plain = { type: "scatter", mode: "lines", x: at };
  const down = curve.r.map((value, i) => value - curve.peak[i]);
  Plotly.react("equity-chart", [
    { ...plain, y: curve.peak, line: { width: 1, dash: "dot", shape: "hv", color: colour("neutral-mark") }, hoverinfo: "skip" },
    { ...plain, y: curve.r, line: { width: 0, shape: "hv" }, fill: "tonexty", fillcolor: colour("loss-zone"), hoverinfo: "skip" },
    {
      ...plain, y: curve.r, line: { width: 2, shape: "hv", color: colour("accent") }, customdata: curve.bracket,
      hovertext: curve.r.map((value, i) => `<b>${rText(value)} R</b>, ${rText(down[i])} R from the peak<br>${stamp(at[i])}${curve.bracket[i] === null ? "" : `<br>${exitWords(brackets[curve.bracket[i]].rows.at(-1))}`}`),
      hovertemplate: "%{hovertext}<extra></extra>",
    },
  ], chartLayout({
    hovermode: isTouch ? "closest" : "x",
    xaxis: { type: "date", hoverformat: " ", nticks: Math.max(3, Math.round(document.getElementById("equity-chart").clientWidth / 110)) },
    yaxis: { title: { text: "R", standoff: 6 }, zeroline: true, tickformat: "~f" },
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
  const mark = { type: "line", yref: "paper", y0: 0, y1: 1, x0: mean, x1: mean, line: { color: colour("accent"), width: 1.5, dash: "dash" } };
  const label = { yref: "paper", y: 1, yanchor: "bottom", x: mean, showarrow: false, text: `mean ${rText(mean)} R`, font: { color: colour("accent"), size: 12 } };
  Plotly.react("distribution-chart", [{
    type: "bar", x: centre, y: count, width: centre.map(() => width * 0.88), marker: { color: tint }, hovertext: words, hovertemplate: "%{hovertext}<extra></extra>",
  }], chartLayout({
    xaxis: { title: { text: "R of a bracket", standoff: 6 }, tickformat: "~f", nticks: 9 },
    yaxis: { tickformat: ",~d", rangemode: "tozero", nticks: 6 },
    shapes: mean === null ? [] : [mark],
    annotations: mean === null ? [] : [label],
    margin: { l: 40, r: 12, t: 24, b: 42 },
  }), chartConfig("distribution"));
}

const MOST_POINTS = 3000;

function drawExcursions() {
  const all = rows.filter((row) => !row.open && row.mae_r !== null && row.mfe_r !== null);
  const every = Math.ceil(all.length / MOST_POINTS);
  const points = all.filter((row, i) => i % every === 0);
  if (every > 1) document.getElementById("excursion-note").append(` Every ${every}th of ${all.length.toLocaleString("en-US")} exits is drawn.`);
  const dots = (outcome, tint, symbol, words) => {
    const list = points.filter((row) => row.outcome === outcome);
    return {
      type: "scatter", mode: "markers", name: words,
      x: list.map((row) => -row.mae_r), y: list.map((row) => row.mfe_r), customdata: list.map((row) => row.bracket),
      hovertext: list.map((row) => `${exitWords(row)}<br>MAE ${rText(row.mae_r)} R, MFE ${rText(row.mfe_r)} R`), hovertemplate: "%{hovertext}<extra></extra>",
      marker: { symbol, size: points.length > 600 ? 5 : 8, color: colour(tint), opacity: points.length > 600 ? 0.55 : 0.8, line: { width: symbol === "x-thin" ? 1.8 : 0, color: colour(tint) } },
    };
  };
  Plotly.react("excursion-chart", [
    dots("lost", "loss-mark", "x-thin", "out with a loss"),
    dots("won", "gain-mark", "circle", "out with a gain"),
    dots("even", "neutral-mark", "circle", "out even"),
  ], chartLayout({
    showlegend: true,
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { size: 12 }, itemclick: false, itemdoubleclick: false },
    xaxis: { title: { text: "MAE: against the entry, R", standoff: 6 }, rangemode: "tozero", zeroline: true, tickformat: "~f" },
    yaxis: { title: { text: "MFE: for the entry, R", standoff: 6 }, rangemode: "tozero", zeroline: true, tickformat: "~f" },
    margin: { l: 48, r: 12, t: 28, b: 42 },
  }), chartConfig("mae-mfe"));
}
