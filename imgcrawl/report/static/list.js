// Elements made of text alone, and a list of any length of which only what is seen is in the page.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ''));
  return element;
}

// A link that leads to the web alone, tells nobody whence, and gives nobody this window.
function link(url, text, more = {}) {
  if (!/^https?:\/\//i.test(url)) return make('span', {class: 'text'}, text);
  return make('a', {href: url, rel: 'noopener noreferrer', target: '_blank', class: 'text', ...more}, text);
}

const PAGE = 48; // rows that are asked for together
const TALLEST = 6e6; // pixels of one part; browsers have an end somewhere behind
const KEPT = 30; // pages that are held

class Grid {
  // *cell*: least width and height in pixels; *load(start, count)* gives {found, rows}; *render(row, place)* an element
  // with one element of class `tile`; *open(place)* is called for Enter and clicks, *told(found)* once it is known.
  constructor({cell, load, render, told, label, empty}) {
    Object.assign(this, {cell, load, render, told, empty});
    this.pages = new Map();
    this.nodes = new Map();
    this.found = 0;
    this.part = 0;
    this.active = 0;
    this.box = make('div', {class: 'grid-box', role: 'list', 'aria-label': label, keydown: (event) => this.key(event)});
    this.parts = make('p', {class: 'parts', hidden: true});
    this.element = make('div', {class: 'grid-frame'}, this.parts, this.box);
    this.onScroll = () => this.wish();
    addEventListener('scroll', this.onScroll, {passive: true});
    this.observer = new ResizeObserver(() => this.layout());
    this.observer.observe(this.element);
    this.start();
  }

  async start() {
    const rows = await this.page(0);
    if (this.gone) return;
    this.told?.(this.found);
    if (!this.found) this.element.replaceChildren(make('p', {class: 'empty'}, this.empty || 'Nothing is like that.'));
    else this.layout();
    return rows;
  }

  close() {
    this.gone = true;
    removeEventListener('scroll', this.onScroll);
    this.observer.disconnect();
  }

  page(k) {
    if (!this.pages.has(k)) {
      if (this.pages.size >= KEPT) this.pages.delete(this.pages.keys().next().value);
      this.pages.set(k, this.load(k * PAGE, PAGE).then(({found, rows}) => { this.found = found; return rows; },
        (error) => { this.pages.delete(k); this.told?.(0, error); return []; }));
    }
    return this.pages.get(k);
  }

  async row(place) { return (await this.page(Math.floor(place / PAGE)))[place % PAGE]; }

  layout() {
    const width = this.element.clientWidth, {cell} = this;
    if (!width || !this.found) return;
    this.columns = Math.max(1, Math.floor(width / (cell.width || width)));
    this.wide = width / this.columns;
    this.perPart = Math.max(1, Math.floor(TALLEST / cell.height)) * this.columns;
    const parts = Math.ceil(this.found / this.perPart);
    this.part = Math.min(this.part, parts - 1);
    this.parts.hidden = parts < 2;
    this.parts.replaceChildren(make('button', {type: 'button', disabled: !this.part, click: () => this.turn(-1)}, 'Back'),
      ` part ${this.part + 1} of ${parts} `,
      make('button', {type: 'button', disabled: this.part + 1 >= parts, click: () => this.turn(1)}, 'On'));
    const held = Math.min(this.perPart, this.found - this.part * this.perPart);
    this.box.style.height = `${Math.ceil(held / this.columns) * cell.height}px`;
    for (const node of this.nodes.values()) node.remove();
    this.nodes.clear();
    this.show();
  }

  turn(by) {
    this.part += by;
    this.active = this.part * this.perPart;
    this.layout();
    this.element.scrollIntoView();
  }

  wish() {
    if (!this.wished) this.wished = requestAnimationFrame(() => { this.wished = 0; this.show(); });
  }

  show() {
    if (this.gone || !this.columns) return;
    const top = -this.box.getBoundingClientRect().top, {height} = this.cell;
    const first = Math.max(0, Math.floor(top / height) - 2), last = Math.ceil((top + innerHeight) / height) + 2;
    const start = this.part * this.perPart, end = Math.min(start + this.perPart, this.found);
    const seen = new Set();
    for (let place = start + first * this.columns; place < Math.min(start + last * this.columns, end); place++) {
      seen.add(place);
      if (!this.nodes.has(place)) this.put(place, place - start);
    }
    for (const [place, node] of this.nodes) {
      if (!seen.has(place) && !node.contains(document.activeElement)) { node.remove(); this.nodes.delete(place); }
    }
  }

  async put(place, inPart) {
    const node = make('div', {class: 'cell', role: 'listitem', 'aria-setsize': this.found, 'aria-posinset': place + 1});
    node.style.top = `${Math.floor(inPart / this.columns) * this.cell.height}px`;
    node.style.left = `${(inPart % this.columns) * this.wide}px`;
    node.style.width = `${this.wide}px`;
    node.style.height = `${this.cell.height}px`;
    this.nodes.set(place, node);
    this.insert(node, place);
    const row = await this.row(place);
    if (!row || this.nodes.get(place) !== node) return;
    node.replaceChildren(this.render(row, place));
    const tile = node.querySelector('.tile');
    if (tile) {
      tile.tabIndex = place === this.active ? 0 : -1;
      tile.addEventListener('focus', () => this.activate(place));
    }
    if (this.wanted === place) { this.wanted = null; tile?.focus({preventScroll: true}); }
  }

  // In the order in which they are read.
  insert(node, place) {
    let before = null, nearest = Infinity;
    for (const [other, element] of this.nodes) {
      if (other > place && other < nearest && element.parentNode === this.box) { nearest = other; before = element; }
    }
    this.box.insertBefore(node, before);
  }

  activate(place) {
    const old = this.nodes.get(this.active)?.querySelector('.tile');
    if (old) old.tabIndex = -1;
    this.active = place;
    const tile = this.nodes.get(place)?.querySelector('.tile');
    if (tile) tile.tabIndex = 0;
  }

  key(event) {
    const across = this.columns, down = Math.max(1, Math.floor(innerHeight / this.cell.height) - 1) * across;
    const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across, PageDown: down, PageUp: -down,
      Home: -Infinity, End: Infinity};
    if (!(event.key in steps) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (across === 1 && (event.key === 'ArrowRight' || event.key === 'ArrowLeft')) return;
    event.preventDefault();
    const start = this.part * this.perPart, end = Math.min(start + this.perPart, this.found) - 1;
    this.go(Math.max(start, Math.min(end, this.active + steps[event.key])));
  }

  go(place) {
    const {height} = this.cell, row = Math.floor((place - this.part * this.perPart) / this.columns);
    const top = this.box.getBoundingClientRect().top + row * height, room = 150;
    if (top < room) scrollBy(0, top - room);
    else if (top + height > innerHeight) scrollBy(0, top + height - innerHeight);
    this.show();
    const tile = this.nodes.get(place)?.querySelector('.tile');
    this.activate(place);
    if (tile) tile.focus({preventScroll: true});
    else this.wanted = place;
  }
}
