// Firing rate of every population at every step. The rate is in the shade, and in figures beside it.
const HEAT_FEW = 32;
const heatView = { all: false };

function populations() {
  const sample = sampleShown();
  return DATA.layers
    .map((layer, row) => ({ layer, row }))
    .filter(({ layer }) => layer.spikes_by_step && layer.neurons)
    .map(({ layer, row }) => {
      const spikes = sample
        ? sample.spikes_by_step[row]
        : layer.spikes_by_step.map((n) => n / DATA.n_samples);
      const rates = (spikes ?? []).map((n) => n / layer.neurons);
      return {
        name: layer.name,
        neurons: layer.neurons,
        rates,
        mean: rates.reduce((a, b) => a + b, 0) / (rates.length || 1),
      };
    });
}

// Low rates are the common ones: the shade follows the root of the rate, and so does the legend.
const shade = (share) => Math.sqrt(share).toFixed(3);

function heat() {
  const update = () => {
    heatChart();
    heatTable();
  };
  watch(["sample", "filter"], update);
  watch(["population"], heatPressed);
  watch(["position"], heatCursor);
  update();
}

function heatChart() {
  const all = populations();
  const mine = all.filter(({ name }) => passes({ name, type: "" }));
  const few = heatView.all ? mine : mine.slice(0, HEAT_FEW);
  const most = Math.max(...all.flatMap((p) => p.rates), 1e-9);
  const sample = sampleShown();
  if (all.length === 0)
    return show("activity-lead", "No population of this network gives spikes step by step.");
  const whose = sample ? `sample ${sample.sample_id}` : "mean of all samples";
  show(
    "activity-lead",
    `Share of neurons that fire in a step, ${whose}: ${all.length} populations in network order, steps ` +
      "from left to right. Choose one to see its spikes below.",
  );
  const scale = el(
    "ul",
    { class: "legend" },
    [0, 0.25, 0.5, 0.75, 1].map((share) =>
      el(
        "li",
        {},
        svg(
          "svg",
          { width: 26, height: 12, "aria-hidden": "true" },
          svg("rect", { width: 26, height: 12, fill: "var(--soft)" }),
          svg("rect", { width: 26, height: 12, fill: "var(--heat)", "fill-opacity": shade(share) }),
        ),
        percent(share * most, 2),
      ),
    ),
  );
  show(
    "activity-chart",
    scale,
    el(
      "ol",
      { class: "rows heat", "aria-label": "Firing rate of each population" },
      few.map((p) => heatRow(p, most)),
    ),
    mine.length > HEAT_FEW &&
      el(
        "p",
        { class: "more" },
        el(
          "button",
          {
            type: "button",
            "aria-expanded": heatView.all,
            onclick: () => {
              heatView.all = !heatView.all;
              heatChart();
            },
          },
          heatView.all ? `Show the first ${HEAT_FEW}` : `Show ${mine.length - HEAT_FEW} more`,
        ),
      ),
    mine.length === 0 ? el("p", { class: "lead" }, "No population matches the filter.") : null,
  );
  heatPressed();
  heatCursor();
}

function heatRow(p, most) {
  const cells = p.rates.map((rate, step) =>
    svg(
      "rect",
      {
        class: "mark",
        x: step,
        y: 0,
        width: 1,
        height: 1,
        fill: "var(--heat)",
        "fill-opacity": shade(rate / most),
      },
      svg("title", {}, `${p.name}, step ${step + 1}: ${percent(rate)}`),
    ),
  );
  const now = svg("rect", { class: "now", y: 0, width: 1, height: 1, "data-steps": p.rates.length });
  return el(
    "li",
    {},
    named("button", p.name, {
      type: "button",
      "data-population": p.name,
      onclick: () => choose({ population: p.name }),
    }),
    el(
      "div",
      { class: "strip" },
      svg(
        "svg",
        {
          viewBox: `0 0 ${p.rates.length || 1} 1`,
          preserveAspectRatio: "none",
          "shape-rendering": "crispEdges",
          "aria-hidden": "true",
        },
        cells,
        now,
      ),
    ),
    el("span", { class: "value" }, el("b", {}, percent(p.mean, 2)), ` of ${whole.format(p.neurons)}`),
  );
}

function heatPressed() {
  for (const button of at("activity-chart").querySelectorAll("[data-population]"))
    button.setAttribute("aria-pressed", button.dataset.population === state.population);
}

function heatCursor() {
  for (const now of at("activity-chart").querySelectorAll(".now")) {
    const steps = Number(now.dataset.steps);
    now.setAttribute("x", stepOf(steps));
    now.setAttribute("visibility", steps > 1 && DATA.samples.length ? "visible" : "hidden");
  }
}

function heatTable() {
  behind("activity-table", "Firing rates as a table", () => {
    const rows = populations().filter(({ name }) => passes({ name, type: "" }));
    const steps = Math.max(...rows.map((r) => r.rates.length), 0);
    const each = Array.from({ length: steps }, (_, i) => ({
      key: i,
      title: `${i + 1}`,
      number: true,
      of: (r) => (i in r.rates ? percent(r.rates[i], 2) : ""),
    }));
    return table(
      [
        { key: "name", title: "Population" },
        { key: "mean", title: "Mean", number: true, of: (r) => percent(r.mean) },
        ...each,
      ],
      rows,
      { caption: "Share of neurons that fire, by step" },
    );
  });
}
