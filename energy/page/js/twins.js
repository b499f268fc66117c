// The network beside the same architecture of real values, and of few bits, on a logarithmic axis.
function twins() {
  const rows = [...Object.entries(DATA.headline.means ?? {}).map(([name, v]) => ({ name: `spiking, ${name}`, pj: v.pj, own: true })),
    ...(DATA.twins ?? []).filter((t) => t.pj !== null)];
  if (!DATA.twins) return show("twins-lead", "This report holds no twins.");
  show("twins-lead", DATA.twins_said ?? "");
  responsive(at("twins"), (width) => logChart(rows, width, "Energy beside its twins"));
}

function logChart(rows, width, label) {
  const low = Math.floor(Math.log10(Math.min(...rows.map((r) => r.pj))) - 0.1);
  const high = Math.ceil(Math.log10(Math.max(...rows.map((r) => r.pj))) + 0.1);
  const x = (pj) => (100 * (Math.log10(pj) - low)) / (high - low);
  const grid = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const list = rows.map((r) => el("li", {}, el("span", { title: r.name }, r.name), svg("svg", { height: 22, "aria-hidden": "true" },
    grid.map((p) => svg("line", { class: "axis", x1: `${x(10 ** p)}%`, x2: `${x(10 ** p)}%`, y1: 0, y2: 22 })),
    svg("circle", { class: "mark", cx: `${x(r.pj)}%`, cy: 11, r: 6, fill: r.own ? "var(--accent)" : "var(--page)", stroke: r.own ? "var(--accent)" : "var(--ink)", "stroke-width": 2 },
      svg("title", {}, energy(r.pj)))), el("span", { class: "value" }, el("b", {}, energy(r.pj, 2)))));
  const axis = el("li", { "aria-hidden": "true" }, el("span", {}), svg("svg", { height: 18 }, grid.map((p) =>
    svg("text", { x: `${x(10 ** p)}%`, y: 13, "text-anchor": p === low ? "start" : p === high ? "end" : "middle" }, energy(10 ** p, 1)))), el("span", { class: "value" }, "log"));
  return el("ol", { class: "rows", "aria-label": label }, list, axis);
}
