// How the energy of samples is spread, class by class, on one axis: height is number of samples.
const className = (label) => {
  if (label === null || label === undefined) return "unknown class";
  return DATA.header.class_names?.[label] ?? `class ${label}`;
};

function classes() {
  const redraw = responsive(at("classes-chart"), classesChart);
  const update = () => {
    redraw();
    classesTable();
  };
  watch(["convention"], update);
  classesTable();
}

function classRows() {
  const data = DATA.histograms[state.convention];
  if (!data) return [];
  const total = {
    name: "all samples",
    n: DATA.n_samples,
    counts: data.edges.slice(1).map((_, i) => data.classes.reduce((s, c) => s + c.counts[i], 0)),
    pj: DATA.energy[state.convention].total_pj,
    accuracy: DATA.accuracy,
  };
  const each = data.classes.map(({ label, counts }) => {
    const known = DATA.per_class.find((c) => c.label === label);
    return {
      name: className(label),
      n: counts.reduce((a, b) => a + b, 0),
      counts,
      pj: known?.energy?.[state.convention].total_pj ?? null,
      std: known?.energy?.[state.convention].std_pj ?? null,
      accuracy: known?.accuracy ?? null,
    };
  });
  return [total, ...(each.length > 1 ? each : [])];
}

function classesSaid(stats) {
  const [middle, low, high] = [stats.median_pj, stats.p5_pj, stats.p95_pj].map((pj) => energy(pj, 2));
  const [least, most] = stats.ci95_pj.map((pj) => energy(pj));
  const right = stats.per_correct_pj ? ` A right answer costs ${energy(stats.per_correct_pj, 2)}.` : "";
  return (
    `${state.convention}: half of the samples lie below ${middle}, nine in ten between ${low} and ${high}. ` +
    `Another draw of samples would move the mean within ${least} to ${most} (bootstrap, 95 %).${right} ` +
    "Bars count samples, each row on its own scale; the line is the mean."
  );
}

function classesChart(width) {
  const rows = classRows();
  if (!rows.length) return el("p", { class: "lead" }, "No joules, so nothing to spread.");
  if (DATA.n_samples < 2) return el("p", { class: "lead" }, "One sample: nothing to spread.");
  const edges = DATA.histograms[state.convention].edges;
  show("samples-lead", classesSaid(DATA.energy[state.convention]));
  const [low, high] = [edges[0], edges[edges.length - 1]];
  const narrow = width < 600;
  const list = el(
    "ol",
    { class: "rows", "aria-label": "Energy of samples by class" },
    rows.map((r, i) => classRow(r, i === 0, low, high)),
  );
  const [size, unit] = unitOf(high);
  const axis = el(
    "ol",
    { class: "rows", "aria-hidden": "true" },
    el(
      "li",
      {},
      el("span", {}),
      svg(
        "svg",
        { height: 18 },
        ticks(low, high, narrow ? 3 : 6).map((v) =>
          svg(
            "text",
            { x: `${(100 * (v - low)) / (high - low || 1)}%`, y: 13, "text-anchor": "middle" },
            digits(v / size, 3),
          ),
        ),
      ),
      el("span", { class: "value" }, unit),
    ),
  );
  return [list, axis];
}

function classRow(r, all, low, high) {
  const most = Math.max(...r.counts, 1);
  const height = all ? 54 : 24;
  const bars = r.counts.map((n, i) =>
    n
      ? svg(
          "rect",
          {
            class: "mark",
            x: `${(100 * i) / r.counts.length}%`,
            width: `${100 / r.counts.length - 0.5}%`,
            y: height - (n / most) * (height - 2),
            height: (n / most) * (height - 2),
            fill: all ? "var(--ink)" : "var(--compute)",
          },
          svg("title", {}, `${n} samples`),
        )
      : null,
  );
  const mean =
    r.pj !== null &&
    svg("rect", {
      x: `${(100 * (r.pj - low)) / (high - low || 1)}%`,
      y: 0,
      width: 2,
      height,
      fill: "var(--accent)",
    });
  return el(
    "li",
    {},
    el("span", { title: r.name }, r.name),
    svg("svg", { height, "aria-hidden": "true" }, bars, mean || []),
    el("span", { class: "value" }, el("b", {}, energy(r.pj)), ` · ${whole.format(r.n)}`),
  );
}

function classesTable() {
  behind("classes-table", "Classes as a table", () =>
    table(
      [
        { key: "name", title: "Class" },
        { key: "n", title: "Samples", number: true, text: (n) => whole.format(n) },
        { key: "accuracy", title: "Accuracy", number: true, text: (v) => percent(v ?? null) },
        { key: "pj", title: "Mean energy", number: true, text: (v) => energy(v) },
        { key: "std", title: "Standard deviation", number: true, text: (v) => energy(v) },
      ],
      classRows(),
      { caption: `Energy of a sample by class, ${state.convention}` },
    ),
  );
}
