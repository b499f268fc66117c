// Time: one position shared by skeleton, spikes and heat map; play, pause, step, scrub.
const clock = { timer: null, seen: null };

const closeSample = () => sampleShown() ?? DATA.samples[0] ?? null;
const stepsOf = (sample) => Math.max(1, ...(sample?.rasters ?? []).map((r) => r.steps));
const framesOf = (sample) => sample?.skeleton?.joints.length ?? 0;
const positions = (sample = closeSample()) => Math.max(stepsOf(sample), framesOf(sample));

// Position -> step of a run of that many steps, frame of that many frames.
const stepOf = (steps) => Math.min(steps - 1, Math.floor(((state.position + 0.5) * steps) / positions()));

function player() {
  if (!DATA.samples.length) {
    at("skeleton").parentElement.hidden = true;
    show(
      "one-lead",
      "No samples were kept for a closer look: energy-report --page-samples N keeps N of them.",
    );
    return;
  }
  const step = (by) => {
    pause();
    choose({ position: (state.position + by + positions()) % positions() });
  };
  const scrub = el("input", {
    type: "range",
    id: "scrub",
    min: 0,
    step: 1,
    "aria-label": "Time",
    oninput: (event) => {
      pause();
      choose({ position: Number(event.target.value) });
    },
  });
  show(
    "player",
    el("button", { type: "button", id: "play", onclick: toggle }, "Play"),
    el(
      "button",
      { type: "button", id: "back", "aria-label": "One step back", onclick: () => step(-1) },
      "‹",
    ),
    el("button", { type: "button", id: "forth", "aria-label": "One step on", onclick: () => step(1) }, "›"),
    scrub,
    el("output", { id: "when", for: "scrub" }),
    el(
      "label",
      {},
      "Population",
      el("select", { id: "population", onchange: (event) => choose({ population: event.target.value }) }),
    ),
  );
  at("one").addEventListener("keydown", (event) => {
    if (
      /^(INPUT|SELECT|BUTTON|SUMMARY)$/.test(event.target.tagName) ||
      event.altKey ||
      event.ctrlKey ||
      event.metaKey
    )
      return;
    if (event.key === "ArrowLeft") step(-1);
    else if (event.key === "ArrowRight") step(1);
    else if (event.key === " ") toggle();
    else return;
    event.preventDefault();
  });
  watch(["position"], playerTold);
  watch(["sample"], playerSample);
  watch(["population"], () => {
    at("population").value = state.population;
  });
  playerSample();
}

function playerSample() {
  const sample = closeSample();
  if (sample === clock.seen) return;
  clock.seen = sample;
  at("scrub").max = positions() - 1;
  const names = sample.rasters.map((r) => r.name);
  at("population").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  const marks = (r) => (r.spikes / r.neurons) * r.shown;
  const busiest = [...sample.rasters].sort((a, b) => marks(b) - marks(a))[0]?.name ?? null;
  const kept = names.includes(state.population) ? state.population : busiest;
  at("population").value = kept;
  const verdict =
    sample.correct === null
      ? ""
      : sample.correct
        ? ", answered rightly"
        : `, answered as ${className(sample.prediction)}`;
  const repeat = sample.skeleton?.repeat
    ? ` Every step sees the whole clip: it plays once while the ${stepsOf(sample)} steps pass.`
    : "";
  show(
    "one-lead",
    `Sample ${sample.sample_id}: ${className(sample.label)}${verdict}.${repeat} ` +
      `${DATA.samples.length} of ${whole.format(DATA.n_samples)} samples can be seen closely.`,
  );
  choose({ population: kept, position: 0 });
  playerTold();
}

function playerTold() {
  at("scrub").value = state.position;
  const sample = closeSample();
  const frame = framesOf(sample)
    ? `, frame ${Math.floor((state.position * framesOf(sample)) / positions()) + 1} of ${framesOf(sample)}`
    : "";
  at("when").value =
    `step ${stepOf(stepsOf(sample)) + 1} of ${stepsOf(sample)}${sample.skeleton?.repeat ? frame : ""}`;
  at("scrub").setAttribute("aria-valuetext", at("when").value);
}

function toggle() {
  if (clock.timer) return pause();
  at("play").textContent = "Pause";
  clock.timer = setInterval(() => choose({ position: (state.position + 1) % positions() }), 250);
}

function pause() {
  clearInterval(clock.timer);
  clock.timer = null;
  at("play").textContent = "Play";
}
