// The number, how far conventions move it, and what it is the mean of.
function headline() {
  const { header, headline: head } = DATA;
  const subject = [header.model, header.dataset && `on ${header.dataset}`, header.split && `${header.split} split`,
    header.target && `run by ${header.target}`].filter(Boolean).join(", ");
  document.title = `Energy of ${header.model ?? "a network"}`;
  show("subject", subject);
  show("title", micro(head.text), head.pj ? el("small", {}, " per sample") : "");
  show("claim", claim(head));
  if (DATA.refused) show("warning", el("p", { class: "warning" }, `No joules: ${DATA.refused}`));
  if (head.pj) responsive(at("range"), (width) => range(head, width));
  facts();
}

function claim(head) {
  if (!head.pj) return "Operations are counted; joules are refused, because something is not counted.";
  const spread = head.spread ? ` Conventions of the field put the same counts at ${micro(head.spread)}.` : "";
  return `Modelled from operations counted exactly, priced by ${DATA.cost_table.name}; not measured.${spread}`;
}

function facts() {
  const base = DATA.energy && DATA.energy[DATA.headline.convention];
  const list = [
    ["Samples", whole.format(DATA.n_samples)],
    ["Accuracy", percent(DATA.accuracy)],
    ["Steps", DATA.n_steps.join(", ")],
    ["Spikes a sample", count(DATA.means.spikes_out)],
    ["Synaptic operations a sample", count(DATA.means.sop_exact)],
    ["Energy of a correct answer", base ? energy(base.per_correct_pj, 2) : "–"],
    ["Latency, mean", DATA.latency_s ? seconds(DATA.latency_s.mean) : "–"],
  ];
  show("facts", list.filter(([, value]) => value !== "–").map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

// One line: every convention a tick, the headline's filled.
function range(head, width) {
  const entries = Object.entries(head.means).sort((a, b) => a[1].pj - b[1].pj);
  if (entries.length < 2) return [];
  const [left, right, y] = [8, width - 8, 40];
  const pad = (head.high_pj - head.low_pj) * 0.12;
  const x = (pj) => left + ((pj - head.low_pj + pad) / (head.high_pj - head.low_pj + 2 * pad)) * (right - left);
  const label = `Energy by convention: ${entries.map(([n, v]) => `${n} ${micro(v.text)}`).join(", ")}`;
  const marks = entries.map(([name, value], i) => {
    const place = x(value.pj) < width / 4 ? "start" : x(value.pj) > (3 * width) / 4 ? "end" : "middle";
    const mine = name === head.convention;
    return [
      svg("circle", { class: "mark", cx: x(value.pj), cy: y, r: mine ? 7 : 5, fill: mine ? "var(--accent)" : "var(--page)",
        stroke: mine ? "var(--accent)" : "var(--muted)", "stroke-width": 2 }),
      svg("text", { x: x(value.pj), y: i % 2 ? y - 18 : y + 26, "text-anchor": place }, `${name} ${micro(value.text)}`),
    ];
  });
  return svg("svg", { width, height: 76, role: "img", "aria-label": label },
    svg("line", { class: "axis", x1: left, x2: right, y1: y, y2: y }),
    svg("line", { x1: x(head.low_pj), x2: x(head.high_pj), y1: y, y2: y, stroke: "var(--muted)", "stroke-width": 2 }), marks.flat());
}
