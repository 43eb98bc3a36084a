/* Entries and what each policy made of them. A bracket's id in the page is its policy's place, a colon, the entry's id. */

const names = data.names;
const policies = names.map((name, index) => ({ index, name }));
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "star", "hexagon", "triangle-down"];
const tint = (policy) => colour(`p${policy}`);

const trades = data.entries.map((id, index) => ({ id, index, members: names.map(() => null), from: 0, to: 0 }));
const tradeOf = new Map(trades.map((trade) => [trade.id, trade]));
for (const bracket of brackets) {
  const cut = bracket.id.indexOf(":");
  bracket.policy = Number(bracket.id.slice(0, cut));
  bracket.reference_r = data.reference_r[bracket.index];
  const known = bracket.rows.filter((row) => row.r_multiple !== null);
  bracket.own_r = bracket.open || !known.length ? null : known.reduce((sum, row) => sum + row.r_multiple * row.weight, 0);
  const trade = tradeOf.get(bracket.id.slice(cut + 1));
  trade.members[bracket.policy] = bracket;
  bracket.trade = trade;
}
for (const trade of trades) {
  const there = trade.members.filter((bracket) => bracket !== null);
  [trade.first] = there;
  trade.from = trade.first.from;
  trade.to = Math.max(...there.map((bracket) => bracket.to));
}

let measure = "reference_r";
const inR = (bracket) => (bracket === null ? null : bracket[measure]);

/* How far the policies disagree about a trade; nothing where fewer than two closed it. */
function spread(trade) {
  const known = trade.members.map(inR).filter((r) => r !== null);
  return known.length < 2 ? null : Math.max(...known) - Math.min(...known);
}

const lastRow = (bracket) => bracket.rows[bracket.rows.length - 1];
const reasonsOf = (bracket) => [...new Set(bracket.rows.map((row) => row.reason))].join(", ");
