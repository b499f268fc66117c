// Reports side by side: ratios to the first, on a logarithmic axis, by part, and all figures.
const base = DATA.entries[0];
const shown = (e) => e.energy[state.convention];

function compareHead() {
  const last = DATA.entries[DATA.entries.length - 1];
  const ratio = shown(last).ratio;
  show("subject", `${DATA.entries.length} reports, priced by ${DATA.cost_table}`);
  show("title", ratio === null ? "–" : `${digits(ratio, 2)} ×`, el("small", {}, ` of ${base.name}`));
  const accuracy = (e) => (e.accuracy === null ? "" : ` at ${percent(e.accuracy)}`);
  show(
    "claim",
    `${last.name} takes ${energy(shown(last).pj, 2)} a sample${accuracy(last)}, ` +
      `${base.name} ${energy(shown(base).pj, 2)}${accuracy(base)}: ${state.convention}, modelled, ` +
      "not measured.",
  );
  show(
    "warnings",
    DATA.warnings.map((text) => el("p", { class: "warning" }, text)),
  );
}

function compareEnergy() {
  show(
    "energy-lead",
    `${state.convention}, mean of the samples of each report; ratios are to ${base.name}.`,
  );
  const rows = DATA.entries.map((e) => ({
    name: e.name,
    pj: shown(e).pj,
    own: e === base,
    beside: shown(e).ratio === null ? "" : ` ${digits(shown(e).ratio)} ×`,
  }));
  show(
    "energy-chart",
    logChart(
      rows.filter((r) => r.pj > 0),
      "Energy of each report",
    ),
  );
}

function compareParts() {
  const known = DATA.entries.filter((e) => shown(e).parts);
  const parts = [...new Set(known.flatMap((e) => Object.keys(grouped(shown(e).parts))))];
  const most = Math.max(...known.map((e) => shown(e).pj), 1e-12);
  show("parts-lead", known.length ? "On a linear axis." : "Published figures name no parts.");
  if (!known.length) return show("parts-chart");
  const list = known.map((e) => {
    const sums = grouped(shown(e).parts);
    let x = 0;
    const bars = parts
      .filter((part) => sums[part])
      .map((part) => {
        const place = { x: `${(100 * x) / most}%`, width: `${(100 * sums[part]) / most}%` };
        x += sums[part];
        const title = svg("title", {}, `${PARTS[part]}: ${energy(sums[part])}`);
        return svg("rect", { class: "mark", ...place, y: 2, height: 18, fill: paint(part) }, title);
      });
    const picture = svg("svg", { height: 22, "aria-hidden": "true" }, bars);
    return el("li", {}, named("span", e.name), picture, el("span", { class: "value" }, energy(x, 2)));
  });
  show("parts-chart", legend(parts), el("ol", { class: "rows", "aria-label": "Energy by part" }, list));
}

const comparison = { order: { key: "pj", down: false } };

function compareFigures() {
  const rows = DATA.entries.map((e) => ({ ...e, ...e.means, ...shown(e), data: e.about.dataset ?? null }));
  const columns = [
    { key: "name", title: "Report" },
    { key: "data", title: "Data", text: (v) => v ?? "–" },
    { key: "n_samples", title: "Samples", number: true, text: (v) => (v === null ? "–" : whole.format(v)) },
    { key: "accuracy", title: "Accuracy", number: true, text: (v) => percent(v) },
    { key: "pj", title: "Energy", number: true, text: (v) => energy(v) },
    { key: "ratio", title: "Ratio", number: true, text: (v) => (v === null ? "–" : digits(v)) },
    { key: "per_correct_pj", title: "A right answer", number: true, text: (v) => energy(v) },
    { key: "spikes_out", title: "Spikes", number: true, text: count },
    { key: "sop_exact", title: "SOP", number: true, text: count },
    { key: "mac", title: "MAC", number: true, text: count },
    { key: "ac", title: "AC", number: true, text: count },
    { key: "latency_s", title: "Latency", number: true, text: seconds },
  ];
  const sort = (key) => {
    const down = comparison.order.key === key ? !comparison.order.down : false;
    comparison.order = { key, down };
    compareFigures();
    at("figures-table").querySelector(`[data-sort="${key}"]`).focus();
  };
  const caption = `Means of a sample, ${state.convention}. The first report given is ${base.name}.`;
  show(
    "figures-table",
    table(columns, sorted(rows, comparison.order), { caption, order: comparison.order, sort }),
  );
}

function compareAll() {
  compareHead();
  compareEnergy();
  compareParts();
  compareFigures();
}

shell(DATA.conventions);
watch(["convention"], compareAll);
compareAll();
const paretoAgain = responsive(at("accuracy-chart"), (width) =>
  pareto(DATA.entries, width, state.convention),
);
watch(["convention"], paretoAgain);
show("footer", DATA.entries.map((e) => `${e.name}: ${e.source}`).join(" · "));
document.documentElement.dataset.ready = "true";
