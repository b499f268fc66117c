// What the reader chose, and who must know when it changes.
const DATA = JSON.parse(at("data").textContent);
const state = { sample: null, convention: null, filter: "", population: null, position: 0 };
const watchers = [];

function watch(keys, react) {
  watchers.push([keys, react]);
}

function choose(changes) {
  const changed = Object.keys(changes).filter((key) => state[key] !== changes[key]);
  Object.assign(state, changes);
  for (const [keys, react] of watchers) if (keys.some((key) => changed.includes(key))) react();
}
