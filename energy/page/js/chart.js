// What charts share: legends, ticks, bars of one height whatever their width.
const PARTS = {
  compute: "synapses",
  neuron: "neuron updates",
  arithmetic: "biases, pools, sums, norms",
  host: "CPU part",
  memory: "memory",
  addressing: "addressing",
  routing: "routing",
};
const GROUPED = { bias: "arithmetic", pool: "arithmetic", residual: "arithmetic", scale: "arithmetic" };

// Parts differ by texture too, not by colour alone.
const TEXTURES = {
  neuron: "M-2 8 L8 -2 M4 14 L14 4",
  memory: "M6 0 V12",
  addressing: "M0 6 H12",
  routing: "M0 6 H12 M6 0 V12",
};

function textures() {
  const patterns = Object.entries(TEXTURES).map(([part, lines]) =>
    svg(
      "pattern",
      { id: `t-${part}`, width: 6, height: 6, patternUnits: "userSpaceOnUse", viewBox: "0 0 12 12" },
      svg("rect", { width: 12, height: 12, fill: `var(--${part})` }),
      svg("path", { d: lines, stroke: "var(--page)", "stroke-width": 1.6, opacity: 0.55, fill: "none" }),
    ),
  );
  document.body.prepend(
    svg(
      "svg",
      { width: 0, height: 0, "aria-hidden": "true", focusable: "false" },
      svg("defs", {}, patterns),
    ),
  );
}

const paint = (part) => (part in TEXTURES ? `url(#t-${part})` : `var(--${part})`);

function grouped(parts) {
  const sums = {};
  for (const [part, pj] of Object.entries(parts ?? {})) {
    if (part === "total") continue;
    const group = GROUPED[part] ?? part;
    sums[group] = (sums[group] ?? 0) + pj;
  }
  return sums;
}

function legend(parts) {
  return el(
    "ul",
    { class: "legend" },
    parts.map((part) =>
      el(
        "li",
        {},
        svg(
          "svg",
          { width: 16, height: 12, "aria-hidden": "true" },
          svg("rect", { width: 16, height: 12, fill: paint(part) }),
        ),
        PARTS[part],
      ),
    ),
  );
}

// Round numbers within low..high, about `wanted` of them.
function ticks(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const out = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) out.push(v);
  return out;
}

// Value -> 0 to 1 between low and high; logarithmic where they are far apart, and `log` says so.
function scaled(low, high) {
  const log = low > 0 && high / low > 20;
  const [from, to] = log ? [Math.log(low), Math.log(high)] : [low, high];
  const place = (value) => ((log ? Math.log(value) : value) - from) / (to - from || 1);
  return Object.assign(place, { log });
}

// A chart as wide as its place: drawn again when that changes.
function responsive(place, draw) {
  let width = 0;
  const redraw = () => {
    const now = Math.floor(place.clientWidth);
    if (now > 0) place.replaceChildren(...[draw(now)].flat());
    width = now;
  };
  new ResizeObserver(() => {
    if (Math.floor(place.clientWidth) !== width) redraw();
  }).observe(place);
  redraw();
  return redraw;
}
