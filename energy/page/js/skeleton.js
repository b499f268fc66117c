// The skeleton as the model saw it, one frame at a time, turned about the vertical as the reader likes.
const pose = { yaw: 0 };

function skeleton() {
  if (!DATA.samples.length) return;
  watch(["sample", "position"], skeletonDrawn);
  skeletonDrawn();
}

function placed(joint, size) {
  if (joint.length < 3) return [joint[0], joint[1]];
  const turn = (pose.yaw * Math.PI) / 180;
  const [x, z] = [joint[0] - size[0] / 2, joint[2] - size[2] / 2];
  return [x * Math.cos(turn) + z * Math.sin(turn) + size[0] / 2, joint[1]];
}

function skeletonDrawn() {
  const sample = closeSample();
  const body = sample.skeleton;
  if (!body) return show("skeleton", el("figcaption", {}, "No skeleton is known for this sample."));
  const frame = Math.min(
    body.joints.length - 1,
    Math.floor((state.position * body.joints.length) / positions()),
  );
  const [wide, high] = [Math.max(body.size[0], body.size[2] ?? 0), body.size[1]];
  const left = body.size[0] / 2 - wide / 2;
  const points = body.joints[frame]
    .map((joint) => placed(joint, body.size))
    .map(([x, y]) => [x - left, high - y]);
  const bones = body.bones.map(([a, b]) =>
    svg("line", {
      class: "bone mark",
      x1: points[a][0],
      y1: points[a][1],
      x2: points[b][0],
      y2: points[b][1],
    }),
  );
  const joints = points.map(([x, y], i) =>
    svg(
      "circle",
      { class: "joint", cx: x, cy: y, r: body.names[i] === "head" ? 26 : 10 },
      svg("title", {}, body.names[i] ?? `joint ${i}`),
    ),
  );
  const picture = svg(
    "svg",
    {
      viewBox: `-40 -40 ${wide + 80} ${high + 80}`,
      width: "100%",
      height: 300,
      role: "img",
      "aria-label": `Skeleton of ${className(sample.label)}, frame ${frame + 1} of ${body.joints.length}`,
    },
    svg("line", { class: "floor", x1: -30, x2: wide + 30, y1: high + 20, y2: high + 20 }),
    bones,
    joints,
  );
  const kept = at("skeleton").querySelector("svg");
  if (kept) return kept.replaceWith(picture);
  const turn =
    body.size.length > 2 &&
    el(
      "label",
      {},
      "Turn",
      el("input", {
        type: "range",
        id: "yaw",
        min: -180,
        max: 180,
        step: 5,
        value: 0,
        oninput: (event) => {
          pose.yaw = Number(event.target.value);
          skeletonDrawn();
        },
      }),
    );
  show(
    "skeleton",
    el("figcaption", {}, el("b", {}, "Skeleton"), " as the model was shown it"),
    picture,
    turn,
  );
}
