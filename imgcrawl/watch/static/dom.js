// Elements and texts. Whatever comes from a site becomes the text of a node, and nothing else.

export const byId = (id) => document.getElementById(id);

export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A link to where a site is: http and https only, told nothing of this page.
export function link(text, address) {
  let url = null;
  try {
    url = new URL(address);
  } catch { /* it is none */ }
  if (!url || !["http:", "https:"].includes(url.protocol)) return make("bdi", "", text);
  const element = make("a", "", make("bdi", "", text));
  element.href = url.href;
  element.target = "_blank";
  element.rel = "noopener noreferrer";
  element.referrerPolicy = "no-referrer";
  return element;
}

// Makes the children of `parent` those of `items`, in their order; what is there already stays, with its focus.
export function sync(parent, items, keyOf, create, update = () => {}) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  const used = new Set();
  for (const item of items) {
    let key = String(keyOf(item));
    while (used.has(key)) key += "+";
    used.add(key);
    let child = before.get(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
  for (const [key, child] of before) if (!used.has(key)) child.remove();
}

// A row of a table: the first cell is its head. `classes` are those of the cells.
export function row(classes, className = "") {
  const cells = classes.map((name, index) => make(index ? "td" : "th", name));
  cells[0].scope = "row";
  return make("tr", className, ...cells);
}

export function fill(tableRow, texts) {
  texts.forEach((text, index) => say(tableRow.cells[index], text));
}
