// Values on a logarithmic axis, one a row: networks of very different energy in one picture.
// rows: {name, pj, own}; own: a disc in the accent colour, else a square. Shape says it beside colour.
function logChart(rows, label) {
  const low = Math.floor(Math.log10(Math.min(...rows.map((r) => r.pj))) - 0.1);
  const high = Math.ceil(Math.log10(Math.max(...rows.map((r) => r.pj))) + 0.1);
  const x = (pj) => (100 * (Math.log10(pj) - low)) / (high - low);
  const grid = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  const line = (p) =>
    svg("line", { class: "axis", x1: `${x(10 ** p)}%`, x2: `${x(10 ** p)}%`, y1: 0, y2: 22 });
  const list = rows.map((r) =>
    el(
      "li",
      {},
      named("span", r.name),
      svg("svg", { height: 22, "aria-hidden": "true" }, grid.map(line), logMark(r, x(r.pj))),
      el("span", { class: "value" }, el("b", {}, energy(r.pj, 2)), r.beside ?? ""),
    ),
  );
  const anchor = (p) => (p === low ? "start" : p === high ? "end" : "middle");
  const label10 = (p) =>
    svg("text", { x: `${x(10 ** p)}%`, y: 13, "text-anchor": anchor(p) }, energy(10 ** p, 1));
  const axis = el(
    "li",
    { "aria-hidden": "true" },
    el("span", {}),
    svg("svg", { height: 18 }, grid.map(label10)),
    el("span", { class: "value" }, "log scale"),
  );
  return el("ol", { class: "rows", "aria-label": label }, list, axis);
}

function logMark(row, x) {
  const title = svg("title", {}, energy(row.pj));
  if (row.own)
    return svg("circle", { class: "mark", cx: `${x}%`, cy: 11, r: 6, fill: "var(--accent)" }, title);
  const box = { x: -5, y: 6, width: 10, height: 10, fill: "var(--page)", stroke: "var(--ink)" };
  const mark = svg("rect", { class: "mark", ...box, "stroke-width": 2 }, title);
  return svg("svg", { x: `${x}%`, overflow: "visible" }, mark);
}
