// A table of samples: filtered, sorted, and the way to a closer look at those that have one.
const PAGE_ROWS = 25;
const samplesView = {
  order: { key: "pj", down: true },
  label: "",
  verdict: "",
  search: "",
  shown: PAGE_ROWS,
};

function samples() {
  const close = new Set(DATA.samples.map((s) => s.sample_id));
  samplesView.rows = DATA.rows.map((row) => ({
    ...row,
    name: className(row.label),
    answer: row.prediction === null ? "–" : className(row.prediction),
    close: close.has(row.sample_id),
  }));
  for (const s of DATA.samples)
    if (!DATA.rows.some((row) => row.sample_id === s.sample_id))
      samplesView.rows.push({
        ...s,
        name: className(s.label),
        answer: s.prediction === null ? "–" : className(s.prediction),
        close: true,
      });
  samplesControls();
  watch(["convention", "sample"], samplesTable);
  samplesTable();
}

function samplesControls() {
  const change = (key) => (event) => {
    samplesView[key] = event.target.value;
    samplesView.shown = PAGE_ROWS;
    samplesTable();
  };
  const names = [...new Set(samplesView.rows.map((row) => row.name))].sort();
  show(
    "samples-controls",
    el(
      "label",
      {},
      "Class",
      el(
        "select",
        { id: "by-class", onchange: change("label") },
        el("option", { value: "" }, "all classes"),
        names.map((name) => el("option", { value: name }, name)),
      ),
    ),
    el(
      "label",
      {},
      "Answer",
      el(
        "select",
        { id: "by-answer", onchange: change("verdict") },
        [
          ["", "right or wrong"],
          ["right", "right"],
          ["wrong", "wrong"],
        ].map(([value, text]) => el("option", { value }, text)),
      ),
    ),
    el(
      "label",
      {},
      "Search",
      el("input", {
        id: "by-name",
        type: "search",
        placeholder: "sample id",
        autocomplete: "off",
        oninput: change("search"),
      }),
    ),
  );
}

function samplesTable() {
  const { order, label, verdict, search } = samplesView;
  const rows = samplesView.rows
    .map((row) => ({ ...row, pj: row.pj?.[state.convention] ?? null }))
    .filter(
      (row) =>
        (!label || row.name === label) &&
        (!verdict || row.correct === (verdict === "right")) &&
        String(row.sample_id).toLowerCase().includes(search.toLowerCase()),
    );
  const columns = [
    {
      key: "sample_id",
      title: "Sample",
      of: (row) =>
        row.close
          ? el(
              "button",
              {
                type: "button",
                class: "name",
                "data-sample": row.sample_id,
                onclick: () => choose({ sample: String(row.sample_id) }),
              },
              row.sample_id,
            )
          : row.sample_id,
    },
    { key: "name", title: "Class" },
    {
      key: "answer",
      title: "Answer",
      of: (row) =>
        row.correct === false ? `✗ ${row.answer}` : row.correct ? `✓ ${row.answer}` : row.answer,
    },
    { key: "pj", title: "Energy", number: true, text: (v) => energy(v) },
    { key: "spikes_out", title: "Spikes", number: true, text: count },
    { key: "sop_exact", title: "Synaptic operations", number: true, text: count },
    { key: "latency_s", title: "Latency", number: true, text: seconds },
  ];
  const every =
    DATA.every > 1 ? ` One sample in ${DATA.every} is listed, and those that can be seen closely.` : "";
  const caption =
    `${rows.length} of ${samplesView.rows.length} samples.${every} ` +
    "Those underlined can be seen closely.";
  const focus = document.activeElement?.dataset?.sort;
  const sort = (key) => {
    samplesView.order = {
      key,
      down: order.key === key ? !order.down : columns.find((c) => c.key === key).number === true,
    };
    samplesTable();
  };
  show(
    "samples-table",
    table(columns, sorted(rows, order).slice(0, samplesView.shown), {
      caption,
      order,
      sort,
      current: (row) => String(row.sample_id) === state.sample,
    }),
    rows.length > samplesView.shown &&
      el(
        "p",
        { class: "more" },
        el(
          "button",
          {
            type: "button",
            onclick: () => {
              samplesView.shown += 100;
              samplesTable();
            },
          },
          `Show more of ${rows.length}`,
        ),
      ),
  );
  if (focus) at("samples-table").querySelector(`[data-sort="${focus}"]`)?.focus();
}
