// What nobody counted, and what the number leaves out.
function uncounted() {
  const left = DATA.coverage.uncounted;
  const base = DATA.energy?.[DATA.headline.convention];
  const notes = [
    ...Object.entries(base?.unpriced ?? {}).map(([part, why]) => `${PARTS[part] ?? part}: ${why}.`),
    ...Object.entries(base?.beside ?? {}).filter(([, pj]) => pj).map(([part, pj]) => `${part.replace("_pj", "")}: ${energy(pj)}, beside the total, not in it.`),
    DATA.layers.some((l) => l.assumed_dense) && "Layers marked * read values that are no spikes and are not recorded: each was counted as non-zero, an upper bound.",
    DATA.layers.some((l) => l.place === "cpu") && "The part behind the chip is counted as dense arithmetic.",
    "Idle power, encoding of the input and what a host does around the network.",
  ].filter(Boolean);
  const nodes = left.length
    ? table([{ key: "node", title: "Node" }, { key: "type", title: "Type" }, { key: "share", title: "Share of all outputs", number: true, text: (v) => percent(v) }], left, { caption: "Nodes that no rule counts" })
    : el("p", { class: "lead" }, "Every node of the network is counted.");
  show("uncounted", nodes, el("ul", { class: "plain" }, notes.map((note) => el("li", {}, note))));
}
