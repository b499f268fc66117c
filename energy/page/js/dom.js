// Elements, made without HTML in strings: text from the data can never become markup.
const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined) continue;
    if (value === false && !key.startsWith("aria-")) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value") node.value = value;
    else node.setAttribute(key, value === true && !key.startsWith("aria-") ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const el = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);
const at = (id) => document.getElementById(id);
const show = (id, ...children) => at(id).replaceChildren(...children.flat().filter(Boolean));

// A long name with places to break it: layers have names like blocks.2.spatial.attention.query_spike.
const named = (tag, text, attributes) =>
  el(
    tag,
    { class: "name", ...attributes },
    text
      .replaceAll("->", " → ")
      .split(/(?<=[._])/)
      .flatMap((part) => [part, el("wbr")]),
  );
