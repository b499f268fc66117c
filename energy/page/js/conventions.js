// Tornado: how far each choice of counting moves the headline, one at a time, the largest first.
function conventions() {
  const head = DATA.headline;
  if (!head.pj) return show("conventions-lead", "No joules, so no spread of them.");
  const others = Object.entries(head.means)
    .filter(([name]) => name !== head.convention)
    .map(([name, v]) => ({ name: `all of ${name}`, values: [{ text: name, pj: v.pj }] }));
  const rows = [...others, ...DATA.switches]
    .map((row) => {
      const all = [head.pj, ...row.values.map((v) => v.pj)];
      return {
        ...row,
        low: Math.min(...all),
        high: Math.max(...all),
        said: row.values.map((v) => `${v.text} ${energy(v.pj, 2)}`).join(", "),
      };
    })
    .sort((a, b) => b.high - b.low - (a.high - a.low));
  const moved = rows.filter((row) => row.high - row.low > 5e-3 * head.pj);
  const still = rows.filter((row) => !moved.includes(row)).map((row) => row.name);
  show(
    "conventions-lead",
    `${head.convention} is ${micro(head.text)}. Each bar changes one choice of counting and nothing else.` +
      ` The prices are another matter: confidence ${DATA.cost_table.confidence}, a factor of two at least.` +
      (still.length ? ` Without effect here: ${still.join(", ")}.` : ""),
  );
  const columns = [
    { key: "name", title: "Choice" },
    { key: "said", title: "Values, and what they make of it" },
    { key: "low", title: "Lowest", number: true, text: (v) => energy(v, 2) },
    { key: "high", title: "Highest", number: true, text: (v) => energy(v, 2) },
  ];
  at("tornado").after(
    el(
      "details",
      {},
      el("summary", {}, "Conventions as a table"),
      table(columns, rows, { caption: "Mean energy of a sample under each choice" }),
    ),
  );
  if (moved.length) responsive(at("tornado"), () => tornado(moved, head));
}

function tornado(rows, head) {
  const low = Math.min(...rows.map((r) => r.low));
  const high = Math.max(...rows.map((r) => r.high));
  const place = scaled(low, high);
  const x = (pj) => 100 * place(pj);
  const list = rows.map((r) =>
    el(
      "li",
      {},
      el("span", {}, r.name),
      svg(
        "svg",
        { height: 22, "aria-hidden": "true" },
        svg(
          "rect",
          {
            class: "mark",
            x: `${x(r.low)}%`,
            y: 5,
            height: 12,
            width: `${x(r.high) - x(r.low)}%`,
            fill: "var(--compute)",
          },
          svg("title", {}, r.said),
        ),
        svg("rect", { x: `${x(head.pj)}%`, y: 0, width: 2, height: 22, fill: "var(--accent)" }),
      ),
      el("span", { class: "value" }, el("b", {}, `${energy(r.low, 2)} – ${energy(r.high, 2)}`)),
    ),
  );
  const key = el(
    "ul",
    { class: "legend" },
    el(
      "li",
      {},
      svg(
        "svg",
        { width: 4, height: 14, "aria-hidden": "true" },
        svg("rect", { width: 3, height: 14, fill: "var(--accent)" }),
      ),
      `headline, ${head.convention}${place.log ? "; log scale" : ""}`,
    ),
  );
  return [
    key,
    el("ol", { class: "rows", "aria-label": "Spread of the energy by choice of counting" }, list),
  ];
}
