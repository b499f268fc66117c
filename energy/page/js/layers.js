// Energy of each layer, stacked by part: the mean of all samples, or one sample beside it.
const FEW = 16;
const layersView = { order: "energy", all: false };

function sampleShown() {
  return DATA.samples.find((sample) => String(sample.sample_id) === state.sample) ?? null;
}

function passes(layer) {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${layer.name} ${layer.type}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function layerRows() {
  const sample = sampleShown();
  return DATA.layers.map((layer, row) => {
    const mean = layer.energy?.[state.convention]?.total ?? 0;
    const pj = sample ? (sample.layer_pj[row]?.[state.convention] ?? 0) : mean;
    return { row, layer, mean, pj, name: layer.name, type: layer.type };
  });
}

function layers() {
  if (!DATA.energy) {
    show("layers-lead", "No joules are named for this network; its counts are below.");
    return layersTable();
  }
  layersControls();
  const redraw = responsive(at("layers-chart"), layersChart);
  const update = () => {
    layersControls();
    redraw();
    layersTable();
  };
  watch(["sample", "convention", "filter"], update);
  layersView.update = update;
  layersTable();
}

function layersControls() {
  const button = (order, text) =>
    el(
      "button",
      {
        type: "button",
        "aria-pressed": layersView.order === order,
        "data-order": order,
        onclick: () => {
          layersView.order = order;
          layersView.update();
          at("layers-controls").querySelector(`[data-order=${order}]`).focus();
        },
      },
      text,
    );
  show(
    "layers-controls",
    el(
      "div",
      { class: "group", role: "group", "aria-label": "Order of layers" },
      button("energy", "Largest first"),
      button("network", "In network order"),
    ),
  );
}

function layersChart() {
  const sample = sampleShown();
  const mine = layerRows().filter(({ layer, pj, mean }) => passes(layer) && (pj > 0 || mean > 0));
  const total = layerRows().reduce((sum, r) => sum + r.pj, 0);
  const most = Math.max(...mine.map((r) => Math.max(r.pj, r.mean)), 1e-12);
  const ordered = layersView.order === "energy" ? [...mine].sort((a, b) => b.pj - a.pj) : mine;
  const few = layersView.all ? ordered : ordered.slice(0, FEW);
  const share = few.reduce((sum, r) => sum + r.pj, 0) / (total || 1);
  show(
    "layers-lead",
    sample
      ? `Sample ${sample.sample_id}, ${state.convention}: ${energy(total, 2)}. ` +
          "The tick on a bar is the mean of all samples."
      : `Mean of ${whole.format(DATA.n_samples)} samples, ${state.convention}. ` +
          `The ${few.length} layers shown take ${percent(share, 2)} of the energy.`,
  );
  const parts = [...new Set(DATA.parts.map((part) => GROUPED[part] ?? part))];
  const list = el(
    "ol",
    { class: "rows", "aria-label": "Energy of each layer" },
    few.map((r) => layerRow(r, most, total, sample, parts)),
  );
  const rest = ordered.length - FEW;
  const more =
    rest > 0 &&
    el(
      "p",
      { class: "more" },
      el(
        "button",
        {
          type: "button",
          "aria-expanded": layersView.all,
          onclick: () => {
            layersView.all = !layersView.all;
            layersView.update();
          },
        },
        layersView.all ? `Show the first ${FEW}` : `Show ${rest} more`,
      ),
    );
  const empty =
    ordered.length === 0 && el("p", { class: "lead" }, "No layer with energy matches the filter.");
  return [!sample && legend(parts), list, more, empty].filter(Boolean);
}

function layerRow({ layer, pj, mean }, most, total, sample, parts) {
  const stacked = sample ? { plain: pj } : grouped(layer.energy[state.convention]);
  let x = 0;
  const bars = (sample ? ["plain"] : parts)
    .filter((part) => stacked[part])
    .map((part) => {
      const bar = svg(
        "rect",
        {
          class: "mark",
          x: `${(100 * x) / most}%`,
          y: 2,
          height: 12,
          width: `${(100 * stacked[part]) / most}%`,
          fill: sample ? "var(--ink)" : paint(part),
        },
        svg("title", {}, `${PARTS[part] ?? "this sample"}: ${energy(stacked[part])}`),
      );
      x += stacked[part];
      return bar;
    });
  const tick =
    sample &&
    svg("rect", { x: `${(100 * mean) / most}%`, y: -1, width: 2, height: 18, fill: "var(--accent)" });
  return el(
    "li",
    {},
    named("span", layer.name),
    svg("svg", { height: 16, "aria-hidden": "true" }, bars, tick || []),
    el("span", { class: "value" }, el("b", {}, energy(pj, 2)), ` ${percent(pj / (total || 1), 2)}`),
  );
}

function layersTable() {
  behind("layers-table", "All layers as a table", () => {
    const columns = [
      { key: "name", title: "Layer" },
      { key: "type", title: "Type" },
      {
        key: "operand",
        title: "Operand",
        of: (r) => Object.keys(r.layer.operand_classes).join(", ") || "–",
      },
      {
        key: "rate",
        title: "Input rate",
        number: true,
        of: (r) =>
          r.layer.firing_rate === null
            ? "–"
            : percent(r.layer.firing_rate) + (r.layer.assumed_dense ? " *" : ""),
      },
      {
        key: "sop",
        title: "Synaptic operations",
        number: true,
        of: (r) => count(r.layer.means.sop_exact ?? 0),
      },
      { key: "mac", title: "MAC", number: true, of: (r) => count(r.layer.means.mac ?? 0) },
      { key: "ac", title: "AC", number: true, of: (r) => count(r.layer.means.ac ?? 0) },
      { key: "pj", title: "Energy", number: true, of: (r) => energy(r.pj) },
    ];
    const note = DATA.layers.some((l) => l.assumed_dense)
      ? " * counted as if every value were non-zero."
      : "";
    return table(
      columns,
      layerRows().filter((r) => passes(r.layer)),
      { caption: `Layers, mean counts of a sample.${note}` },
    );
  });
}
