// The number, how far conventions move it, and what it is the mean of.
function headline() {
  const { header, headline: head } = DATA;
  const subject = [
    header.model,
    header.dataset && `on ${header.dataset}`,
    header.split && `${header.split} split`,
    header.target && `run by ${header.target}`,
  ]
    .filter(Boolean)
    .join(", ");
  document.title = `Energy of ${header.model ?? "a network"}`;
  show("subject", subject);
  show("title", micro(head.text), head.pj ? el("small", {}, " per sample") : "");
  show("claim", claim(head));
  const warnings = [DATA.incomplete, DATA.refused && `No joules: ${DATA.refused}`].filter(Boolean);
  show(
    "warnings",
    warnings.map((text) => el("p", { class: "warning" }, text)),
  );
  if (head.pj) responsive(at("range"), (width) => range(head, width));
  facts();
}

function claim(head) {
  if (!head.pj) return "Operations are counted; joules are refused, because something is not counted.";
  const beside = Object.entries(DATA.energy[head.convention].beside).filter(([, pj]) => pj > head.pj / 10);
  const told = beside.map(([part, pj]) => `${part.replace("_pj", "")} (${energy(pj, 1)})`).join(" and ");
  const more = told && ` Not in it, by the same table: ${told}.`;
  const spread = head.spread ? ` Other ways to count the same spikes give ${micro(head.spread)}.` : "";
  const priced = `priced by ${DATA.cost_table.name}; not measured.`;
  return `Modelled from operations counted exactly, ${priced}${spread}${more}`;
}

function facts() {
  const list = [
    ["Samples", whole.format(DATA.n_samples)],
    ["Accuracy", percent(DATA.accuracy)],
    ["Steps", DATA.n_steps.join(", ")],
    ["Spikes", count(DATA.means.spikes_out)],
    ["Synaptic operations", count(DATA.means.sop_exact)],
    ["Latency", DATA.latency_s ? seconds(DATA.latency_s.median) : "–"],
  ];
  show(
    "facts",
    list
      .filter(([, value]) => value !== "–")
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

// One line from the least to the greatest the switches allow; conventions are discs, the headline's filled.
function range(head, width) {
  const entries = Object.entries(head.means).sort((a, b) => a[1].pj - b[1].pj);
  if (head.high_pj <= head.low_pj) return [];
  const y = 34;
  const along = scaled(head.low_pj, head.high_pj);
  const x = (pj) => 8 + along(pj) * (width - 16);
  const each = entries.map(([name, value]) => `${name} ${micro(value.text)}`).join(", ");
  const ends = `with every switch ${micro(head.spread ?? "")}${along.log ? "; log scale" : ""}`;
  const label = `Energy by convention: ${each}; ${ends}`;
  const marks = entries.flatMap(([name, value], i) => {
    const place = x(value.pj) < width / 3 ? "start" : x(value.pj) > (2 * width) / 3 ? "end" : "middle";
    const mine = name === head.convention;
    return [
      svg("circle", {
        class: "mark",
        cx: x(value.pj),
        cy: y,
        r: mine ? 7 : 5,
        fill: mine ? "var(--accent)" : "var(--page)",
        stroke: mine ? "var(--accent)" : "var(--muted)",
        "stroke-width": 2,
      }),
      svg(
        "text",
        { x: x(value.pj), y: i % 2 ? y - 16 : y + 26, "text-anchor": place },
        `${name} ${micro(value.text)}`,
      ),
    ];
  });
  const variants = DATA.switches.flatMap((s) =>
    s.values.map((v) =>
      svg(
        "rect",
        { x: x(v.pj) - 0.5, y: y - 5, width: 1, height: 10, fill: "var(--muted)" },
        svg("title", {}, `${s.name} ${v.text}`),
      ),
    ),
  );
  return svg(
    "svg",
    { width, height: 64, role: "img", "aria-label": label },
    svg("line", {
      x1: x(head.low_pj),
      x2: x(head.high_pj),
      y1: y,
      y2: y,
      stroke: "var(--line)",
      "stroke-width": 3,
    }),
    variants,
    marks,
  );
}
