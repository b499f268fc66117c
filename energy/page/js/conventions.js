// Tornado: how far each choice of counting moves the headline, one at a time, the largest first.
function conventions() {
  const head = DATA.headline;
  if (!head.pj) return show("conventions-lead", "No joules, so no spread of them.");
  const means = Object.entries(head.means).filter(([name]) => name !== head.convention).map(([name, v]) => ({ name, values: [{ text: name, pj: v.pj }] }));
  const rows = [...(DATA.switches ?? []), ...means].map((row) => {
    const all = [head.pj, ...row.values.map((v) => v.pj)];
    return { ...row, low: Math.min(...all), high: Math.max(...all) };
  }).sort((a, b) => b.high - b.low - (a.high - a.low));
  show("conventions-lead", `${head.convention} is ${energy(head.pj, 2)}. Each bar changes one choice of counting and nothing else.`);
  if (!rows.length) return;
  responsive(at("tornado"), (width) => tornado(rows, head, width));
}

function tornado(rows, head, width) {
  const low = Math.min(head.pj, ...rows.map((r) => r.low));
  const high = Math.max(head.pj, ...rows.map((r) => r.high));
  const x = (pj) => (100 * (pj - low)) / (high - low || 1);
  const list = rows.map((r) => {
    const told = r.values.map((v) => `${v.text}: ${energy(v.pj, 2)}`).join(", ");
    return el("li", {}, el("span", { title: told }, r.name), svg("svg", { height: 22, "aria-hidden": "true" },
      svg("rect", { class: "mark", x: `${x(r.low)}%`, y: 5, height: 12, width: `${Math.max(x(r.high) - x(r.low), 0.3)}%`, fill: "var(--compute)" }, svg("title", {}, told)),
      svg("rect", { x: `${x(head.pj)}%`, y: 0, width: 2, height: 22, fill: "var(--accent)" })),
    el("span", { class: "value" }, el("b", {}, `${energy(r.low, 2)} – ${energy(r.high, 2)}`)));
  });
  return [el("ul", { class: "legend" }, el("li", {}, svg("svg", { width: 4, height: 14, "aria-hidden": "true" }, svg("rect", { width: 3, height: 14, fill: "var(--accent)" })), `headline: ${head.convention}`)),
    el("ol", { class: "rows", "aria-label": "Spread of the energy by convention" }, list),
    el("details", {}, el("summary", {}, "Conventions as a table"), table([{ key: "name", title: "Choice" }, { key: "low", title: "Lowest", number: true, text: (v) => energy(v) },
      { key: "high", title: "Highest", number: true, text: (v) => energy(v) }], rows, { caption: "Mean energy of a sample under each choice" }))];
}
