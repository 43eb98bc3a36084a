/* Colours from the style sheet, and what every chart has in common. */

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const isTouch = window.matchMedia("(pointer: coarse)").matches;
const fileName = data.markets.map((each) => each.symbol).join("-").replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 60);

const chartConfig = (name) => ({
  responsive: true,
  displaylogo: false,
  displayModeBar: isTouch ? false : "hover",
  doubleClick: false,
  modeBarButtons: [name === "prices" ? ["toImage", "zoom2d", "pan2d"] : ["toImage"]],
  showTips: false,
  toImageButtonOptions: { format: "png", filename: `${fileName}-${name}`, scale: 2 },
});

function chartLayout(more) {
  const axis = {
    gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), zeroline: false,
    tickfont: { size: 12 }, automargin: true, fixedrange: true,
  };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("muted") },
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 12.5 }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("accent") },
    showlegend: false,
    dragmode: false,
    hovermode: "closest",
    autosize: true,
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

/* What an empty chart says. */
const emptyNote = (words) => [{ xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false, text: words, font: { size: 14, color: colour("muted") } }];

/* ---- a time axis by bar: nights, weekends and holidays take no room ---- */

const DAY = 86400000;
const UNITS = [
  ...[1, 2, 5, 10, 15, 30].map((s) => ({ span: s * 1000 })),
  ...[1, 2, 5, 10, 15, 30].map((m) => ({ span: m * 60000 })),
  ...[1, 2, 4, 6, 12].map((h) => ({ span: h * 3600000 })),
  { span: DAY }, { span: 2 * DAY }, { week: true },
  { months: 1 }, { months: 3 }, { months: 6 }, { months: 12 }, { months: 24 }, { months: 60 }, { months: 120 },
];

function calendarCell(ms, unit) {
  if (unit.span) return Math.floor(ms / unit.span);
  if (unit.week) return Math.floor((ms / DAY + 3) / 7); /* 1970-01-01 was a Thursday; weeks begin on Monday */
  const date = new Date(ms);
  return Math.floor((date.getUTCFullYear() * 12 + date.getUTCMonth()) / unit.months);
}

/* Where a new minute, hour, day, month or year begins among `times`: the finest unit whose marks have room.

   A night cuts hours short: a mark too near the begin of a day gives way to it. */
function calendarTicks(positions, times, most, gap) {
  const beginsDay = (i) => Math.floor(times[i] / DAY) !== Math.floor(times[i - 1] / DAY);
  for (const unit of UNITS) {
    if (market.daily && unit.span < DAY) continue;
    const hours = unit.span < DAY;
    const marks = [];
    let crowded = false;
    for (let i = 1; i < times.length && !crowded; i += 1) {
      if (calendarCell(times[i], unit) === calendarCell(times[i - 1], unit)) continue;
      const before = marks[marks.length - 1];
      if (before === undefined || positions[i] - positions[before] >= gap) marks.push(i);
      else if (hours && beginsDay(i) && !beginsDay(before)) marks[marks.length - 1] = i;
      else crowded = !hours || beginsDay(i) === beginsDay(before);
    }
    if (marks.length <= most && !crowded) return { unit, marks };
  }
  return { unit: UNITS[UNITS.length - 1], marks: [] };
}

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/* Two lines a label: the moment, and below it what it belongs to, where that changes. */
function axisTicks(positions, times, most, gap) {
  const { unit, marks } = calendarTicks(positions, times, most, gap);
  /* a label at the very left would be cut, and with it the day it names */
  const inside = marks.filter((i) => positions[i] >= positions[0] + gap * 0.6);
  const chosen = inside.length ? inside : marks.length ? marks : times.length ? [Math.floor(times.length / 2)] : [];
  const plain = unit.span && unit.span < DAY ? "time" : unit.months ? (unit.months >= 12 ? "year" : "month") : "day";
  let contextBefore = "";
  const labels = chosen.map((i) => {
    const date = new Date(times[i]);
    const year = String(date.getUTCFullYear());
    const day = `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
    const clock = date.toISOString().slice(11, unit.span < 60000 ? 19 : 16);
    const words = { time: [clock, `${day} ${year}`], day: [day, year], month: [MONTHS[date.getUTCMonth()], year], year: [year, ""] };
    const [moment, context] = words[plain];
    const shown = context === contextBefore ? moment : `${moment}<br>${context}`;
    contextBefore = context;
    return shown;
  });
  return { tickmode: "array", tickvals: chosen.map((i) => positions[i]), ticktext: labels };
}
