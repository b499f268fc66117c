// What nobody counted, and what the number leaves out.
function uncounted() {
  const left = DATA.coverage.uncounted;
  const columns = [
    { key: "node", title: "Node" },
    { key: "type", title: "Type" },
    { key: "share", title: "Share of all outputs", number: true, text: (v) => percent(v) },
  ];
  const nodes = left.length
    ? table(columns, left, { caption: "Nodes that no rule counts" })
    : el("p", { class: "lead" }, "Every node of the network is counted.");
  show(
    "uncounted",
    nodes,
    el(
      "ul",
      { class: "plain" },
      leftOut().map((note) => el("li", {}, note)),
    ),
  );
}

function leftOut() {
  const base = DATA.energy?.[DATA.headline.convention];
  const short = (why) => (why.length > 160 ? `${why.slice(0, 160)}…` : why);
  const joules = DATA.measured?.joule_per_sample
    ? `Measured, apart from all above: ${energy(DATA.measured.joule_per_sample * 1e12)} a sample, ` +
      `${DATA.measured.what}.`
    : `Nothing is measured: ${DATA.measured?.reason ?? "nobody asked (--measure)"}.`;
  return [
    ...Object.entries(base?.unpriced ?? {}).map(
      ([part, why]) => `No figure for ${PARTS[part] ?? part}: ${short(why)}.`,
    ),
    ...Object.entries(base?.beside ?? {})
      .filter(([, pj]) => pj)
      .map(([part, pj]) => `Beside the total, not in it: ${part.replace("_pj", "")}, ${energy(pj)}.`),
    DATA.layers.some((l) => l.assumed_dense) &&
      "Layers marked * read values that are no spikes and not recorded: each counts as non-zero, a bound.",
    DATA.layers.some((l) => l.place === "cpu") &&
      "The part behind the chip is counted as dense arithmetic.",
    "Idle power, the encoding of the input, and what a host does around the network.",
    joules,
  ].filter(Boolean);
}
