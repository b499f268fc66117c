// Accuracy against energy: the step line joins what nobody beats in both.
function pareto(entries, width, convention) {
  const points = entries
    .filter((e) => e.accuracy !== null && e.energy[convention].pj > 0)
    .map((e) => ({ name: e.name, pj: e.energy[convention].pj, accuracy: e.accuracy }))
    .sort((a, b) => a.pj - b.pj || b.accuracy - a.accuracy);
  if (points.length < 2) return el("p", { class: "lead" }, "Fewer than two reports know their accuracy.");
  const [left, right, top, bottom] = [52, width - 16, 14, 230];
  const low = Math.min(...points.map((p) => p.accuracy));
  const high = Math.max(...points.map((p) => p.accuracy));
  const pad = Math.max(0.01, (high - low) * 0.2);
  const x01 = (pj) => {
    const [from, to] = [points[0].pj / 1.5, points[points.length - 1].pj * 1.5].map(Math.log);
    return (Math.log(pj) - from) / (to - from);
  };
  const x = (pj) => left + x01(pj) * (right - left);
  const y = (share) => bottom - ((share - low + pad) / (high - low + 2 * pad)) * (bottom - top);
  const best = points.filter((p, i) => points.slice(0, i).every((q) => q.accuracy < p.accuracy));
  const steps = best
    .map((p, i) => `${i ? `H${x(p.pj)}` : `M${x(p.pj)}`} ${i ? "V" : ""}${y(p.accuracy)}`)
    .join("");
  const marks = points.map((p) => {
    const mine = best.includes(p);
    const fill = mine ? "var(--accent)" : "var(--page)";
    const end = x01(p.pj) > 0.6;
    return [
      svg(
        "circle",
        {
          class: "mark",
          cx: x(p.pj),
          cy: y(p.accuracy),
          r: 6,
          fill,
          stroke: "var(--accent)",
          "stroke-width": 2,
        },
        svg("title", {}, `${p.name}: ${energy(p.pj, 2)}, ${percent(p.accuracy)}`),
      ),
      svg(
        "text",
        { x: x(p.pj) + (end ? -11 : 11), y: y(p.accuracy) + 4, "text-anchor": end ? "end" : "start" },
        p.name,
      ),
    ];
  });
  const rule = ticks(low - pad, high + pad, 4).map((share) => [
    svg("line", { class: "axis", x1: left, x2: right, y1: y(share), y2: y(share) }),
    svg("text", { x: left - 8, y: y(share) + 4, "text-anchor": "end" }, percent(share, 3)),
  ]);
  const ends = [points[0], points[points.length - 1]].map((p, i) =>
    svg("text", { x: x(p.pj), y: bottom + 20, "text-anchor": i ? "end" : "start" }, energy(p.pj, 2)),
  );
  const each = points.map((p) => `${p.name} ${percent(p.accuracy)} at ${energy(p.pj, 2)}`);
  const label = `Accuracy against energy: ${each.join(", ")}`;
  return svg(
    "svg",
    { width, height: bottom + 28, role: "img", "aria-label": label },
    rule.flat(),
    svg("path", {
      d: steps,
      fill: "none",
      stroke: "var(--accent)",
      "stroke-width": 1.5,
      "stroke-dasharray": "4 3",
    }),
    marks.flat(),
    ends,
  );
}
