/* What the page carries, decoded. A page's files run inside one function, in the order its Python names them.

   Prices and times travel as differences in base64: five numbers of a bar take some ten bytes instead of sixty. Bars
   come twice: a coarse copy of the whole period, and blocks of single bars as far as the page's size allows. */

const data = JSON.parse(document.getElementById("data").textContent);
const SIGNED = { 1: Int8Array, 2: Int16Array, 4: Int32Array, 8: Float64Array };

function deltas(text, width) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) bytes[i] = raw.charCodeAt(i);
  return new SIGNED[width](bytes.buffer);
}

/* A column of whole numbers: the first, then differences, times a unit. */
function column({ first, unit, width, text }) {
  const steps = deltas(text, width);
  const values = new Float64Array(steps.length);
  let value = first;
  for (let i = 0; i < steps.length; i += 1) {
    value += steps[i];
    values[i] = value * unit;
  }
  return values;
}

/* A run of bars: the open relative to the close before it, the close to the open, high and low to the body. */
function decodeBars(packed, scale) {
  const [opens, closes, highs, lows] = ["o", "c", "h", "l"].map((name) => deltas(packed[name].text, packed[name].width));
  const run = { t: column(packed.t) };
  for (const name of ["o", "h", "l", "c"]) run[name] = new Float64Array(opens.length);
  let close = packed.close_before;
  for (let i = 0; i < opens.length; i += 1) {
    const open = close + opens[i];
    close = open + closes[i];
    run.o[i] = open / scale;
    run.c[i] = close / scale;
    run.h[i] = (Math.max(open, close) + highs[i]) / scale;
    run.l[i] = (Math.min(open, close) - lows[i]) / scale;
  }
  return run;
}

/* The symbol whose prices are shown. */
let market = data.markets[0];

function coarseBars() {
  if (!market.coarse) market.coarse = decodeBars(market.bars.coarse, market.bars.scale);
  return market.coarse;
}

function block(number) {
  if (!market.decoded) market.decoded = new Map();
  if (!market.decoded.has(number)) {
    const packed = market.bars.blocks[number];
    market.decoded.set(number, packed ? decodeBars(packed, market.bars.scale) : null);
  }
  return market.decoded.get(number);
}

/* True if every single bar from `from` to `to` is in the page. */
function isFine(from, to) {
  if (market.bars.coarse_step === 1) return true;
  const size = market.bars.block_size;
  for (let i = Math.floor(from / size); i <= Math.floor(to / size); i += 1) if (!market.bars.blocks[i]) return false;
  return true;
}

const STEPS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80];

function roundStep(step) {
  for (let tens = 1; ; tens *= 10) for (const nice of STEPS) if (nice * tens >= step) return nice * tens;
}

const MOST_SINGLE_BARS = 400000; /* more than that are too slow to put together while a window is dragged */

/* The candles of bars `from` to `to`, at most about `most` of them: each stands for `step` bars.

   `coarser` says that single bars would fit the screen but are not in the page. */
function candles(from, to, most) {
  const last = market.bars.count - 1;
  const first = Math.max(0, Math.min(last, Math.floor(from)));
  const end = Math.max(first, Math.min(last, Math.ceil(to)));
  const wanted = roundStep((end - first + 1) / most);
  const fine = market.bars.coarse_step > 1 && end - first < MOST_SINGLE_BARS && isFine(first, end);
  const unit = fine ? 1 : market.bars.coarse_step;
  const step = Math.ceil(wanted / unit) * unit;
  const out = { step, coarser: step > wanted && wanted < market.bars.coarse_step, x: [], t: [], o: [], h: [], l: [], c: [] };
  for (let start = Math.floor(first / step) * step; start <= end; start += step) {
    const stop = Math.min(start + step, market.bars.count);
    let open, close, high = -Infinity, low = Infinity, time;
    for (let bar = start; bar < stop; bar += unit) {
      const run = fine ? block(Math.floor(bar / market.bars.block_size)) : coarseBars();
      const i = fine ? bar % market.bars.block_size : bar / unit;
      /* a candle that begins left of the window may reach into a block that the page leaves out */
      if (!run) continue;
      if (open === undefined) { open = run.o[i]; time = run.t[i]; }
      high = Math.max(high, run.h[i]);
      low = Math.min(low, run.l[i]);
      close = run.c[i];
    }
    if (open === undefined) continue;
    out.x.push((start + stop - 1) / 2);
    out.t.push(time); out.o.push(open); out.h.push(high); out.l.push(low); out.c.push(close);
  }
  return out;
}

/* ---- rows and brackets ---- */

const rows = data.rows.bracket.map((bracket, index) => {
  const row = { index, bracket };
  for (const name of Object.keys(data.rows)) row[name] = data.rows[name][index];
  row.id = data.ids[bracket];
  row.market = data.markets[row.market];
  row.symbol = row.market.symbol;
  row.reason = data.reasons[row.reason];
  row.open = row.exit_ms === null;
  row.outcome = row.open ? "open" : row.pnl > 0 ? "won" : row.pnl < 0 ? "lost" : "even";
  return row;
});

/* One bracket has as many rows as it has exits. */
const brackets = data.ids.map((id, index) => ({ id, index, rows: [] }));
for (const row of rows) brackets[row.bracket].rows.push(row);
for (const bracket of brackets) {
  const first = bracket.rows[0];
  bracket.market = first.market;
  bracket.from = first.entry_bar;
  bracket.to = Math.max(...bracket.rows.map((row) => (row.open ? bracket.market.bars.count - 1 : row.exit_bar)));
  bracket.open = bracket.rows.some((row) => row.open);
  bracket.stops = data.stops[bracket.index] || [];
}

/* ---- words ---- */

const MINUS = "\u2212";
const DASH = "\u2013";
const signed = (text) => text.replace(/^-/, MINUS);
const isZero = (text) => /^-?[0.,]*$/.test(text);

/* As the symbol's file writes prices. */
function priceText(value, of = market) {
  if (value === null) return DASH;
  const text = String(value);
  const decimals = /e/.test(text) ? 8 : (text.split(".")[1] || "").length;
  return signed(value.toFixed(Math.min(8, Math.max(of.precision, decimals))));
}

/* A candle's price is a mid, or an average of many markers: it is rounded to one digit more than the file's. */
const roughPrice = (value) => signed(String(Number(value.toFixed(market.precision + 1))));

function plusMinus(text) {
  return isZero(text) ? text.replace("-", "") : text.startsWith("-") ? signed(text) : `+${text}`;
}
const TWO_DIGITS = new Intl.NumberFormat("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const rText = (value) => (value === null ? DASH : plusMinus(TWO_DIGITS.format(value)));

let widestPnl = 0;
for (const row of rows) if (row.pnl !== null) widestPnl = Math.max(widestPnl, Math.abs(row.pnl));
const PNL_DIGITS = widestPnl >= 10 ? 2 : widestPnl >= 0.1 ? 4 : 6;
const MONEY = new Intl.NumberFormat("en-US", { minimumFractionDigits: PNL_DIGITS, maximumFractionDigits: PNL_DIGITS });
const moneyText = (value) => (value === null ? DASH : plusMinus(MONEY.format(value)));

/* Times are UTC. Bars of a day or longer are labelled by date alone. */
function stamp(ms, of = market) {
  if (ms === null) return DASH;
  const text = new Date(ms).toISOString();
  if (of.daily) return text.slice(0, 10);
  const digits = ms % 1000 ? 23 : ms % 60000 || of.interval_ms < 60000 ? 19 : 16;
  return `${text.slice(0, 10)} ${text.slice(11, digits)}`;
}

const tone = (value) => (value > 0 ? "gain" : value < 0 ? "loss" : "");
const bySide = (side) => (side === 0 ? "buy" : "sell");

/* Plotly reads a little HTML in its labels; what comes from a file is shown as it is written. */
const asLabel = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/* An element with its text and attributes. Text never becomes markup. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}
