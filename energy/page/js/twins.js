// The network beside the same architecture of real values, and of few bits, on a logarithmic axis.
function twins() {
  const { twins: known, headline: head } = DATA;
  if (!known) return show("twins-lead", "This report holds no twins.");
  const rows = [
    ...Object.entries(head.means ?? {}).map(([name, v]) => ({
      name: `spiking, ${name}`,
      pj: v.pj,
      own: true,
    })),
    { name: "ANN, same architecture", pj: known.ann_same_arch_pj },
    { name: `quantised twin, ${known.qnn_bits}-bit activations`, pj: known.qnn_pj },
  ].filter((row) => row.pj);
  show("twins-lead", twinsSaid(known));
  if (rows.length) responsive(at("twins"), () => logChart(rows, "Energy beside its twins"));
}

function twinsSaid(known) {
  const verdict = Object.entries(known.verdicts).sort((a, b) => b[1] - a[1])[0];
  const [low, high] = known.band;
  const spikes =
    known.spikes_per_synapse === null
      ? ""
      : `${digits(known.spikes_per_synapse, 2)} spikes a synapse and inference; published comparisons turn between ${low} and ${high}. `;
  const even =
    known.break_even_rate === null
      ? ""
      : known.break_even_rate >= 1
        ? "No firing rate would make it dearer than its ANN. "
        : `It costs what its ANN does at a firing rate of ${percent(known.break_even_rate, 2)}; it fires at ${percent(known.firing_rate, 2)}. `;
  const most = verdict ? `For ${verdict[1]} of ${DATA.n_samples} samples: ${verdict[0]}. ` : "";
  return (
    `${spikes}${even}${most}Compute alone. The quantised twin is scaled from 32-bit figures, an assumption, and in that ` +
    `arithmetic the spiking network costs ${digits(known.qnn_ratio, 2)} times as much.`
  );
}

function logChart(rows, label) {
  const low = Math.floor(Math.log10(Math.min(...rows.map((r) => r.pj))) - 0.1);
  const high = Math.ceil(Math.log10(Math.max(...rows.map((r) => r.pj))) + 0.1);
  const x = (pj) => (100 * (Math.log10(pj) - low)) / (high - low);
  const grid = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const lines = () =>
    grid.map((p) =>
      svg("line", { class: "axis", x1: `${x(10 ** p)}%`, x2: `${x(10 ** p)}%`, y1: 0, y2: 22 }),
    );
  const list = rows.map((r) =>
    el(
      "li",
      {},
      el("span", {}, r.name),
      svg("svg", { height: 22, "aria-hidden": "true" }, lines(), twinMark(r, x(r.pj))),
      el("span", { class: "value" }, el("b", {}, energy(r.pj, 2))),
    ),
  );
  const anchor = (p) => (p === low ? "start" : p === high ? "end" : "middle");
  const axis = svg(
    "svg",
    { height: 18 },
    grid.map((p) =>
      svg("text", { x: `${x(10 ** p)}%`, y: 13, "text-anchor": anchor(p) }, energy(10 ** p, 1)),
    ),
  );
  return el(
    "ol",
    { class: "rows", "aria-label": label },
    list,
    el("li", { "aria-hidden": "true" }, el("span", {}), axis, el("span", { class: "value" }, "log scale")),
  );
}

// Spiking networks are discs, others squares: shape says it beside colour.
function twinMark(row, x) {
  const title = svg("title", {}, energy(row.pj));
  if (row.own)
    return svg("circle", { class: "mark", cx: `${x}%`, cy: 11, r: 6, fill: "var(--accent)" }, title);
  return svg(
    "svg",
    { x: `${x}%`, overflow: "visible" },
    svg(
      "rect",
      {
        class: "mark",
        x: -5,
        y: 6,
        width: 10,
        height: 10,
        fill: "var(--page)",
        stroke: "var(--ink)",
        "stroke-width": 2,
      },
      title,
    ),
  );
}
