// Curves over time, drawn by hand: one line, three lines of a grid, and a reading under the pointer or the arrow keys.

import { make, say } from "./dom.js";
import { moment } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 34, BOTTOM = 14, TOP = 5, RIGHT = 4;
const MOST = 960; // points; beyond, two neighbours become one

function shape(tag, className, parent) {
  const element = document.createElementNS(SVG, tag);
  element.setAttribute("class", className);
  parent.append(element);
  return element;
}

function put(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

// The next of 1, 2, 5, 10, 20, 50, … that is not less.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

// Points of all curves: [seconds since 1970, value, value, …], of which some may be null. Each stands for `step` looks,
// the last one for `looks` so far.
export class Points {
  all = [];
  step = 1;
  looks = 1;

  replace({ points, step, looks }) {
    Object.assign(this, { all: points, step, looks });
  }

  add(point) {
    const last = this.all.at(-1);
    if (last && point[0] <= last[0]) return;
    if (last && this.looks < this.step) {
      this.all[this.all.length - 1] = mean(last, this.looks++, point, 1);
      return;
    }
    this.all.push(point);
    this.looks = 1;
    if (this.all.length <= MOST) return;
    this.all = this.all.flatMap((one, n) => (n % 2 ? [mean(this.all[n - 1], 1, one, 1)] : []));
    this.looks = this.step = 2 * this.step;
  }
}

function mean(one, weight, other, more) {
  const join = (a, b) => (a === null ? b : b === null ? a : (a * weight + b * more) / (weight + more));
  return other.map((value, n) => (n ? join(one[n], value) : value));
}

export class Curve {
  // `column` of the points, what it is called, and how a value is written: with its unit, and on the axis.
  constructor(points, column, title, { write, axis, className = "" }) {
    Object.assign(this, { points, column, title, write, axis });
    this.reading = make("b");
    const caption = make("figcaption", "", make("span", "", title), this.reading);
    this.svg = document.createElementNS(SVG, "svg");
    this.element = make("figure", className, caption, this.svg);
    put(this.svg, { tabindex: "0", role: "slider", "aria-label": `${title}, over time`, "aria-valuemin": "0" });
    this.grid = [0, 1, 2].map(() => [shape("line", "grid", this.svg), shape("text", "", this.svg)]);
    this.area = shape("path", "area", this.svg);
    this.line = shape("path", "line", this.svg);
    this.times = [shape("text", "", this.svg), shape("text", "", this.svg)];
    this.cross = shape("line", "cross", this.svg);
    this.dot = shape("circle", "dot", this.svg);
    this.at = null; // the time that is read, null: the last
    this.svg.addEventListener("pointermove", (event) => this.point(event.clientX - this.svg.getBoundingClientRect().left));
    this.svg.addEventListener("pointerleave", () => this.read(null));
    this.svg.addEventListener("blur", () => this.read(null));
    this.svg.addEventListener("keydown", (event) => this.step(event));
    new ResizeObserver(() => this.draw()).observe(this.svg);
  }

  read(time) {
    this.at = time;
    this.draw();
  }

  point(x) {
    const [first, last] = this.span();
    this.read(first + ((x - LEFT) / Math.max(this.width - LEFT - RIGHT, 1)) * (last - first));
  }

  step(event) {
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 30, PageDown: -30, Home: -1e9, End: 1e9 };
    if (!(event.key in moves) || !this.known.length) return;
    event.preventDefault();
    const index = Math.min(Math.max(this.index() + moves[event.key], 0), this.known.length - 1);
    this.read(index === this.known.length - 1 ? null : this.known[index][0]);
  }

  // From when to when all curves are drawn.
  span() {
    return [this.points.all[0]?.[0] ?? 0, this.points.all.at(-1)?.[0] ?? 1];
  }

  // Of the point that is read.
  index() {
    const last = this.known.length - 1;
    if (this.at === null) return last;
    const found = this.known.findIndex((point) => point[0] >= this.at);
    return found < 0 ? last : found;
  }

  draw() {
    this.known = this.points.all.filter((point) => typeof point[this.column] === "number");
    const { clientWidth: width, clientHeight: height } = this.svg;
    this.width = width;
    if (!width || !height) return;
    put(this.svg, { viewBox: `0 0 ${width} ${height}` });
    const [first, last] = this.span();
    const top = ceiling(this.known.reduce((most, point) => Math.max(most, point[this.column]), 0) || 1);
    const x = (time) => LEFT + ((time - first) / (last - first || 1)) * (width - LEFT - RIGHT);
    const y = (value) => TOP + (1 - value / top) * (height - TOP - BOTTOM);
    this.grid.forEach(([line, text], n) => {
      const level = y((top * n) / 2);
      put(line, { x1: LEFT, x2: width - RIGHT, y1: level, y2: level });
      put(text, { x: LEFT - 6, y: level + 3.5, "text-anchor": "end" });
      say(text, this.axis((top * n) / 2));
    });
    const path = this.known.map((point) => `${x(point[0]).toFixed(1)} ${y(point[this.column]).toFixed(1)}`).join("L");
    put(this.line, { d: path ? `M${path}` : "" });
    put(this.area, { d: path ? `M${x(this.known[0][0])} ${y(0)}L${path}L${x(this.known.at(-1)[0])} ${y(0)}Z` : "" });
    put(this.times[0], { x: LEFT, y: height - 2 });
    put(this.times[1], { x: width - RIGHT, y: height - 2, "text-anchor": "end" });
    this.times.forEach((text, n) => say(text, this.known.length > 1 ? moment([first, last][n]) : ""));
    this.show(this.known[this.index()], x, y, height);
  }

  show(point, x, y, height) {
    const text = point ? this.write(point[this.column]) : "–";
    const when = point && this.at !== null ? `${moment(point[0])}  ` : "";
    say(this.reading, when + text);
    put(this.svg, {
      "aria-valuemax": Math.max(this.known.length - 1, 0), "aria-valuenow": Math.max(this.index(), 0),
      "aria-valuetext": point ? `${text} at ${moment(point[0])}` : "nothing yet",
    });
    const hidden = point && this.at !== null ? "visible" : "hidden";
    put(this.cross, { visibility: hidden });
    put(this.dot, { visibility: hidden, r: 2.5 });
    if (!point) return;
    put(this.cross, { x1: x(point[0]), x2: x(point[0]), y1: TOP, y2: height - BOTTOM });
    put(this.dot, { cx: x(point[0]), cy: y(point[this.column]) });
  }
}
