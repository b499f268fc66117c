// Numbers as people read them. Units go up to joules; nothing is printed with more than three digits.
const UNITS = [
  [1e12, "J"],
  [1e9, "mJ"],
  [1e6, "µJ"],
  [1e3, "nJ"],
  [1, "pJ"],
];

const unitOf = (pj) => UNITS.find(([size]) => Math.abs(pj) >= size) ?? UNITS[UNITS.length - 1];

function digits(value, most = 3) {
  if (!value) return "0";
  const rounded = Number(value.toPrecision(most));
  const places = most - 1 - Math.floor(Math.log10(Math.abs(rounded)));
  return rounded.toFixed(Math.min(Math.max(0, places), 6));
}

function energy(pj, most = 3) {
  if (pj === null || pj === undefined) return "–";
  const [size, name] = unitOf(pj);
  return `${digits(pj / size, most)} ${name}`;
}

const micro = (text) => text.replaceAll(" uJ", " µJ");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const count = (n) => {
  if (n === null || n === undefined) return "–";
  return n < 1000
    ? digits(n)
    : compact
        .format(n)
        .replace(/([KMBT])$/, "\u202f$1")
        .replace("K", "k");
};
const percent = (share, most = 3) => (share === null ? "–" : `${digits(100 * share, most)} %`);

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1) return `${digits(value)} s`;
  return value >= 1e-3 ? `${digits(value * 1e3)} ms` : `${digits(value * 1e6)} µs`;
}
