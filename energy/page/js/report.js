// The page: choices above, sections below, each from its own file.
function toolbar() {
  const mean = el("option", { value: "" }, `mean of all ${whole.format(DATA.n_samples)}`);
  const each = DATA.samples.map((s) =>
    el(
      "option",
      { value: s.sample_id },
      `${s.sample_id} – ${className(s.label)}${s.correct === false ? " ✗" : ""}`,
    ),
  );
  at("sample").append(mean, ...each);
  at("sample").addEventListener("change", (event) => choose({ sample: event.target.value || null }));
  at("filter").addEventListener("input", (event) => choose({ filter: event.target.value }));
  watch(["sample", "filter", "convention"], () => {
    at("sample").value = state.sample ?? "";
    const layers = DATA.layers.filter(passes).length;
    show("status", `${layers} of ${DATA.layers.length} layers`);
  });
}

function footer() {
  const size = (document.documentElement.outerHTML.length / 1e6).toFixed(1);
  const listed = DATA.rows.length < DATA.n_samples ? `, ${DATA.rows.length} listed` : "";
  show(
    "footer",
    `${whole.format(DATA.n_samples)} samples${listed}, ${DATA.samples.length} with spikes and skeleton; ` +
      `about ${size} MB in one file, which asks no network for anything. ` +
      "Exact figures of every sample are in samples.jsonl and samples.parquet beside it.",
  );
}

shell(Object.keys(DATA.energy ?? {}));
footer();
toolbar();
headline();
layers();
heat();
player();
skeleton();
raster();
classes();
samples();
conventions();
twins();
uncounted();
provenance();
document.documentElement.dataset.ready = "true";
