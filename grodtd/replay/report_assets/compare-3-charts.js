/* Intervals, equity and distributions, in the measure chosen. */

const chartOf = (name) => document.getElementById(`${name}-chart`);
const charts = () => data.charts[measure];
const shortName = (name) => asLabel(name.length > 18 ? `${name.slice(0, 17)}\u2026` : name);

/* A mean and its interval a line; the first policy on top. */
function drawForest(id, means, intervals, from) {
  const shown = policies.filter((policy) => policy.index >= from);
  const places = shown.map((policy, row) => shown.length - 1 - row);
  const traces = shown.map((policy, row) => {
    const mean = means[policy.index];
    const ends = intervals[policy.index];
    const far = (at, sign) => (ends && ends[at] !== null && mean !== null ? sign * (ends[at] - mean) : 0);
    const within = ends ? `, 95 %: ${ends[0] === null ? "" : rText(ends[0])} to ${ends[1] === null ? "no bound" : rText(ends[1])}` : ", too few trades for an interval";
    return {
      type: "scatter", mode: "markers", x: [mean], y: [places[row]],
      error_x: { type: "data", symmetric: false, array: [far(1, 1)], arrayminus: [far(0, -1)], thickness: 2.2, width: 6, color: tint(policy.index), visible: Boolean(ends) },
      marker: { symbol: SYMBOLS[policy.index], size: 11, color: tint(policy.index) },
      hovertext: [`<b>${asLabel(policy.name)}</b><br>${rText(mean)} R${within}`], hovertemplate: "%{hovertext}<extra></extra>",
    };
  });
  const chart = chartOf(id);
  chart.style.height = `${64 + 40 * shown.length}px`;
  Plotly.react(chart, traces, chartLayout({
    xaxis: { title: { text: "R a trade", standoff: 6 }, zeroline: true, zerolinecolor: colour("muted"), zerolinewidth: 1.5, tickformat: "~f", nticks: Math.max(4, Math.round(chart.clientWidth / 90)) },
    yaxis: { tickmode: "array", tickvals: places, ticktext: shown.map((policy) => shortName(policy.name)), range: [-0.6, shown.length - 0.4], showgrid: false },
    margin: { l: 20, r: 14, t: 8, b: 42 },
  }), chartConfig(id));
}

const DATE_FORMATS = [
  { dtickrange: [null, 60000], value: "%H:%M:%S\n%-d %b %Y" },
  { dtickrange: [60000, DAY], value: "%H:%M\n%-d %b %Y" },
  { dtickrange: [DAY, "M1"], value: "%-d %b\n%Y" },
  { dtickrange: ["M1", "M12"], value: "%b\n%Y" },
  { dtickrange: ["M12", null], value: "%Y" },
];
const DASHES = ["solid", "solid", "solid", "solid", "dash", "dash", "dot", "dot"];

function drawEquity() {
  const chart = chartOf("equity");
  const isNew = !chart.on;
  const begin = coarseBars().t[0];
  const end = coarseBars().t.at(-1);
  const traces = policies.map((policy) => {
    const curve = charts().equity[policy.index];
    const total = curve.r.length ? curve.r[curve.r.length - 1] : 0;
    return {
      type: "scatter", mode: "lines", name: asLabel(policy.name), x: [begin, ...curve.ms, end], y: [0, ...curve.r, total],
      line: { shape: "hv", width: policy.index ? 2 : 2.6, color: tint(policy.index), dash: DASHES[policy.index] },
      customdata: [null, ...curve.entry, null], hovertemplate: "%{y:+,.2f} R<extra>%{fullData.name}</extra>",
    };
  });
  Plotly.react(chart, traces, chartLayout({
    hovermode: isTouch ? "closest" : "x unified",
    annotations: traces.some((trace) => trace.x.length > 2) ? [] : emptyNote("No closed trade"),
    xaxis: { type: "date", hoverformat: market.daily ? "%Y-%m-%d" : "%Y-%m-%d %H:%M", tickformatstops: DATE_FORMATS, nticks: Math.max(3, Math.round(chart.clientWidth / 110)) },
    yaxis: { title: { text: "R", standoff: 6 }, zeroline: true, tickformat: ",~f" },
    margin: { l: 48, r: 14, t: 10, b: 36 },
  }), chartConfig("equity"));
  if (isNew) chart.on("plotly_click", ({ points }) => {
    const point = points.find((one) => one.customdata !== null && one.customdata !== undefined && one.customdata >= 0);
    if (point) select(point.customdata);
  });
}

/* One small chart a policy on common bins and a common scale: beside each other, on a phone below each other. */
function drawDistributions() {
  const chart = chartOf("distribution");
  const { width, centre, count, first_open, last_open } = charts().bins;
  const columns = Math.max(1, Math.min(policies.length, Math.floor(chart.clientWidth / 290)));
  const lines = Math.ceil(policies.length / columns);
  const height = lines * 170 + 52;
  chart.style.height = `${height}px`;
  const below = 52 / (height - 52); /* between two lines: an axis and a title */
  const most = Math.max(1, ...count.flat());
  const traces = [], shapes = [], annotations = [];
  const axes = {};
  const gap = columns > 1 ? 0.04 : 0;
  const reach = (1 - gap * (columns - 1)) / columns;
  policies.forEach((policy, at) => {
    const suffix = at ? String(at + 1) : "";
    const left = (at % columns) * (reach + gap);
    const line = Math.floor(at / columns);
    const tall = (1 - below * (lines - 1)) / lines;
    const bottom = 1 - (line + 1) * tall - line * below;
    const base = { gridcolor: colour("grid"), linecolor: colour("line"), fixedrange: true, tickfont: { size: 11.5 } };
    const mean = charts().mean[at];
    axes[`xaxis${suffix}`] = { ...base, domain: [left, left + reach], anchor: `y${suffix}`, tickformat: "~f", nticks: 7, zeroline: false, range: centre.length ? [centre[0] - width, centre[centre.length - 1] + width] : [-1, 1] };
    axes[`yaxis${suffix}`] = { ...base, domain: [Math.max(0, bottom), Math.min(1, bottom + tall)], anchor: `x${suffix}`, range: [0, most * 1.05], nticks: 5, tickformat: ",d", showticklabels: at % columns === 0 };
    traces.push({
      type: "bar", xaxis: `x${suffix}`, yaxis: `y${suffix}`, x: centre, y: count[at], width: centre.map(() => width * 0.88), marker: { color: tint(at) },
      hovertext: centre.map((value, i) => {
        const span = first_open && i === 0 ? `${rText(value + width / 2)} R or less` : last_open && i === centre.length - 1 ? `${rText(value - width / 2)} R or more` : `${rText(value - width / 2)} to ${rText(value + width / 2)} R`;
        return `<b>${(count[at][i] || 0).toLocaleString("en-US")}</b> of ${asLabel(policy.name)}<br>${span}`;
      }),
      hovertemplate: "%{hovertext}<extra></extra>",
    });
    annotations.push({ xref: "paper", yref: "paper", x: left, xanchor: "left", y: bottom + tall, yanchor: "bottom", yshift: 2, showarrow: false, font: { size: 12, color: colour("ink") }, text: `<b>${shortName(policy.name)}</b>  mean ${rText(mean)} R` });
    if (mean !== null) shapes.push({ type: "line", xref: `x${suffix}`, yref: `y${suffix} domain`, x0: mean, x1: mean, y0: 0, y1: 1, line: { color: colour("ink"), width: 1.2, dash: "dash" } });
  });
  const layout = chartLayout({ shapes, annotations, margin: { l: 40, r: 12, t: 22, b: 30 } });
  Plotly.react(chart, traces, { ...layout, xaxis: undefined, yaxis: undefined, ...axes }, chartConfig("distribution"));
}

function drawCharts() {
  drawForest("expectancy", charts().mean, charts().interval, 0);
  drawForest("difference", charts().difference, charts().difference_interval, 1);
  drawEquity();
  drawDistributions();
}
