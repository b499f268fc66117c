// The network beside the same architecture of real values, and of few bits, on a logarithmic axis.
function twins() {
  const { twins: known, headline: head } = DATA;
  if (!known) return show("twins-lead", `This report holds no twins: ${DATA.absent.twins}.`);
  const what = known.firing_rate === null ? "this network" : "spiking";
  const all = { name: `${what}, ${head.convention}, every part`, pj: head.pj, own: true };
  const rows = [
    all,
    ...Object.entries(DATA.energy ?? {}).map(([name, e]) => ({
      name: `${what}, ${name}`,
      pj: e.compute_pj,
      own: true,
    })),
    { name: "ANN, same architecture", pj: known.ann_same_arch_pj },
    { name: `quantised twin, ${known.qnn_bits}-bit activations`, pj: known.qnn_pj },
  ].filter((row) => row.pj);
  show("twins-lead", twinsSaid(known));
  if (rows.length) responsive(at("twins"), () => logChart(rows, "Energy beside its twins"));
}

function twinsSaid(known) {
  const [low, high] = known.band;
  const verdict = Object.entries(known.verdicts).sort((a, b) => b[1] - a[1])[0];
  const said = [];
  if (known.spikes_per_synapse !== null) {
    said.push(`${digits(known.spikes_per_synapse, 2)} spikes a synapse and inference;`);
    said.push(`published comparisons turn between ${low} and ${high}.`);
  }
  if (known.break_even_rate >= 1) said.push("No firing rate would make it dearer than its ANN.");
  else if (known.break_even_rate !== null) {
    said.push(`It costs what its ANN does at a firing rate of ${percent(known.break_even_rate, 2)};`);
    said.push(`it fires at ${percent(known.firing_rate, 2)}.`);
  }
  if (verdict) said.push(`For ${verdict[1]} of ${DATA.n_samples} samples: ${verdict[0]}.`);
  said.push("Synapses alone on both sides, but in the first row.");
  if (known.qnn_ratio !== null) {
    said.push("The quantised twin is scaled from 32-bit figures, an assumption;");
    said.push(`in that arithmetic this network costs ${digits(known.qnn_ratio, 2)} times as much.`);
  }
  const unknown = new Set(Object.values(known.reasons));
  if (unknown.size) said.push(`Not known: ${[...unknown].join("; ")}.`);
  return said.join(" ");
}
