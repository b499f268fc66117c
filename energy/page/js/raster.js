// Spikes of one population of one sample: a row a neuron, a column a step.
function fired(raster) {
  const bytes = Uint8Array.from(atob(raster.bits), (c) => c.charCodeAt(0));
  const out = [];
  for (let i = 0; i < raster.shown * raster.steps; i++)
    if (bytes[i >> 3] & (128 >> (i & 7))) out.push([i % raster.steps, Math.floor(i / raster.steps)]);
  return out;
}

function raster() {
  if (!DATA.samples.length) return;
  const update = () => {
    rasterDrawn();
    rasterTable();
  };
  watch(["sample", "population"], update);
  watch(["position"], rasterCursor);
  update();
}

const rasterShown = () => closeSample().rasters.find((r) => r.name === state.population) ?? null;

function rasterDrawn() {
  const data = rasterShown();
  if (!data)
    return show(
      "raster",
      el("figcaption", {}, "This population has no spikes to show: it is not among those recorded."),
    );
  const marks = fired(data);
  const rate = data.spikes / (data.steps * data.neurons);
  const path = marks.map(([step, neuron]) => `M${step + 0.12} ${neuron + 0.1}h.76v.8h-.76z`).join("");
  const some =
    data.shown < data.neurons
      ? `${data.shown} of ${whole.format(data.neurons)} neurons, evenly chosen`
      : `${data.neurons} neurons`;
  const height = Math.max(80, Math.min(340, 7 * data.shown));
  const label =
    `Spike raster of ${data.name}: ${data.spikes} spikes of ${data.neurons} neurons ` +
    `in ${data.steps} steps`;
  show(
    "raster",
    el(
      "figcaption",
      {},
      el("b", {}, data.name),
      ` – ${whole.format(data.spikes)} spikes, ${percent(rate)} of neurons a step. ` +
        `Rows: ${some}. Columns: steps.`,
    ),
    svg(
      "svg",
      {
        viewBox: `0 0 ${data.steps} ${data.shown}`,
        preserveAspectRatio: "none",
        width: "100%",
        height,
        role: "img",
        "aria-label": label,
      },
      svg("rect", { class: "cursor", y: 0, width: 1, height: data.shown }),
      Array.from({ length: data.steps + 1 }, (_, i) =>
        svg("line", {
          class: "axis",
          x1: i,
          x2: i,
          y1: 0,
          y2: data.shown,
          "vector-effect": "non-scaling-stroke",
        }),
      ),
      svg("path", { class: "spikes mark", d: path, "data-spikes": marks.length }),
    ),
    svg("svg", { width: "100%", height: 18, "aria-hidden": "true" }, stepTicks(data.steps)),
  );
  rasterCursor();
}

function stepTicks(steps) {
  const every = Math.ceil(steps / 16);
  return Array.from({ length: steps }, (_, i) => i)
    .filter((i) => i % every === 0)
    .map((i) => svg("text", { x: `${(100 * (i + 0.5)) / steps}%`, y: 14, "text-anchor": "middle" }, i + 1));
}

function rasterCursor() {
  const data = rasterShown();
  if (data) at("raster").querySelector(".cursor").setAttribute("x", stepOf(data.steps));
}

function rasterTable() {
  behind("raster-table", "Spikes of this population as a table", () => {
    const data = rasterShown();
    if (!data) return el("p", {}, "Nothing recorded.");
    const each = Array.from({ length: data.steps }, (_, step) => ({ step: step + 1, spikes: 0 }));
    for (const [step] of fired(data)) each[step].spikes += 1;
    return table(
      [
        { key: "step", title: "Step", text: String },
        { key: "spikes", title: `Spikes of ${data.shown} neurons`, number: true, text: String },
      ],
      each,
      { caption: `Spikes of ${data.name} by step` },
    );
  });
}
