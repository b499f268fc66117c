// Elements, made without HTML in strings: text from the data can never become markup.
const SVG = "http://www.w3.org/2000/svg";

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value") node.value = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const el = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => filled(document.createElementNS(SVG, tag), attributes, children);
const at = (id) => document.getElementById(id);
const show = (id, ...children) => at(id).replaceChildren(...children.flat().filter(Boolean));

// A name that keeps its end when it is cut: layers differ at the end.
const named = (tag, text, attributes) =>
  el(tag, { class: "name", title: text, ...attributes }, el("bdi", {}, text));
