// Tables: plain ones, ones that sort, and the table that stands behind every chart.
function cell(value, column, header) {
  const kind = column.number ? "number" : null;
  return el(
    header ? "th" : "td",
    { class: kind, scope: header ? "row" : null },
    column.text ? column.text(value) : value,
  );
}

// columns: {key, title, number, text, sorts}; options.order is kept by the caller between drawings.
function table(columns, rows, options = {}) {
  const order = options.order;
  const heads = columns.map((column) => {
    const mine = order && order.key === column.key;
    const sort = mine
      ? order.down
        ? "descending"
        : "ascending"
      : order && column.sorts !== false
        ? "none"
        : null;
    const mark = mine ? (order.down ? " ↓" : " ↑") : "";
    const title =
      order && column.sorts !== false
        ? el(
            "button",
            { type: "button", "data-sort": column.key, onclick: () => options.sort(column.key) },
            column.title + mark,
          )
        : column.title;
    return el("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": sort }, title);
  });
  const body = rows.map((row) =>
    el(
      "tr",
      { "aria-current": options.current?.(row) ? "true" : null },
      columns.map((column, i) =>
        cell(row[column.key], { ...column, text: column.of ? () => column.of(row) : column.text }, i === 0),
      ),
    ),
  );
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": options.caption },
    el(
      "table",
      {},
      el("caption", {}, options.caption),
      el("thead", {}, el("tr", {}, heads)),
      el("tbody", {}, body),
    ),
  );
}

function sorted(rows, order) {
  const value = (row) => row[order.key];
  const sign = order.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === y) return 0;
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return sign * (typeof x === "string" ? x.localeCompare(String(y), "en", { numeric: true }) : x - y);
  });
}

// The same figures for those who cannot see the chart, filled when it is opened.
function behind(place, title, make) {
  const open = at(place).querySelector("details")?.open ?? false;
  const body = el("div", {});
  const fill = () => {
    if (!body.firstChild) body.append(make());
  };
  const box = el(
    "details",
    { ontoggle: (event) => event.target.open && fill() },
    el("summary", {}, title),
    body,
  );
  if (open) {
    box.open = true;
    fill();
  }
  show(place, box);
}
