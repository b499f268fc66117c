// Model, data, tool, table: everything that identifies the figures.
function provenance() {
  const { header, cost_table: prices } = DATA;
  const facts = { ...header };
  delete facts.class_names;
  const rows = Object.entries(facts)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => [key.replaceAll("_", " "), plainly(value)]);
  rows.push(
    ["cost table", `${prices.name}: ${prices.title}. ${prices.scope}`],
    ["prices, pJ", plainly(prices.pj)],
    ["table sources", prices.source.join("; ")],
    ["table confidence", prices.confidence],
    ["options of counting", plainly(DATA.options)],
  );
  if (prices.sha256) rows.push(["table fingerprint", prices.sha256]);
  show(
    "provenance",
    el(
      "dl",
      { class: "origin" },
      rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]).flat(),
    ),
  );
}

function plainly(value) {
  if (Array.isArray(value))
    return value.length > 12 ? `${value.length} numbers` : value.map(plainly).join(", ");
  if (value !== null && typeof value === "object")
    return Object.entries(value)
      .map(([k, v]) => `${k} ${plainly(v)}`)
      .join(", ");
  return String(value);
}
