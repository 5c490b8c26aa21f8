// Charts, drawn by hand: bars a day, one above the other, and curves over time.
const SVG = 'http://www.w3.org/2000/svg';
const number = new Intl.NumberFormat('en');

function drawn(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function sizeText(bytes) {
  for (const [unit, one] of [['TB', 1e12], ['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) {
    if (bytes >= one) return `${(bytes / one).toFixed(bytes < 10 * one ? 1 : 0)} ${unit}`;
  }
  return `${bytes} B`;
}

function dayText(day) { return day ? new Date(day * DAY * 1000).toISOString().slice(0, 10) : 'no date'; }

function timeText(at) { return at ? new Date(at * 1000).toISOString().slice(0, 16).replace('T', ' ') : 'no date'; }

// 1, 2 or 5 times a power of ten: the steps of an axis up to *top*.
function ticks(top, most = 4) {
  if (!top) return [0];
  const raw = top / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= raw);
  return Array.from({length: Math.floor(top / step + 1e-9) + 1}, (_, k) => k * step);
}

// *series*: [{name, kind, values}], all as long as *places*, whose names *placeText* tells; *line*: one more, as a curve.
class Chart {
  constructor({title, places, placeText, series, line, valueText = (value) => number.format(value)}) {
    Object.assign(this, {title, places, placeText, series, line, valueText});
    this.legend = make('ul', {class: 'legend'});
    this.picture = make('div', {class: 'picture'});
    const all = [...series, ...(line ? [line] : [])];
    const sum = (values) => this.valueText(values.reduce((a, b) => a + b, 0));
    const told = all.filter((each) => each !== line).map((each) => `${each.name} ${sum(each.values)}`).join(', ');
    this.description = `${title}, from ${placeText(places[0])} to ${placeText(places.at(-1))}: ${told}`;
    this.element = make('figure', {class: 'chart'}, make('figcaption', {}, title), this.picture, this.legend);
    this.tell(-1);
    new ResizeObserver(() => this.draw()).observe(this.picture);
  }

  draw() {
    const width = this.picture.clientWidth, height = 150, left = 48, bottom = 20;
    if (!width || width === this.width) return;
    this.width = width;
    const {places, series, line} = this, step = (width - left) / places.length;
    const sums = places.map((_, k) => series.reduce((sum, each) => sum + each.values[k], 0));
    const top = Math.max(...sums, ...(line ? line.values : [0]), 0) || 1;
    const y = (value) => 6 + (height - bottom - 6) * (1 - value / top);
    const svg = drawn('svg', {width, height, role: 'img', 'aria-label': this.description});
    for (const tick of ticks(top)) {
      svg.append(drawn('line', {class: 'grid', x1: left, x2: width, y1: y(tick), y2: y(tick)}),
        drawn('text', {class: 'axis', x: left - 6, y: y(tick) + 4, 'text-anchor': 'end'}, this.valueText(tick)));
    }
    let free = 0; // from here on to the right no name stands
    places.forEach((place, k) => {
      const text = this.placeText(place), half = 3.5 * text.length;
      const x = Math.max(half, Math.min(left + (k + 0.5) * step, width - half));
      if (x - half < free) return;
      free = x + half + 12;
      svg.append(drawn('text', {class: 'axis', y: height - 5, x, 'text-anchor': 'middle'}, text));
    });
    for (const [kind, path] of this.bars(left, step, y)) svg.append(drawn('path', {class: `bar ${kind}`, d: path}));
    if (line) {
      const points = line.values.map((value, k) => `${(left + (k + 0.5) * step).toFixed(1)},${y(value).toFixed(1)}`);
      svg.append(drawn('polyline', {class: 'curve', points: points.join(' ')}));
      if (points.length < 40) {
        for (const point of points) {
          const [cx, cy] = point.split(',');
          svg.append(drawn('circle', {class: 'dot', cx, cy, r: 2.5}));
        }
      }
    }
    const mark = drawn('rect', {class: 'mark', x: -9 - step, y: 0, width: Math.max(step, 1), height: height - bottom});
    svg.append(mark);
    svg.addEventListener('pointermove', (event) => {
      const k = Math.floor((event.offsetX - left) / step), inside = k >= 0 && k < places.length;
      mark.setAttribute('x', inside ? left + k * step : -9 - step);
      this.tell(inside ? k : -1);
    });
    svg.addEventListener('pointerleave', () => { mark.setAttribute('x', -9 - step); this.tell(-1); });
    this.picture.replaceChildren(svg);
  }

  // One path for each series: thousands of elements would be slow.
  bars(left, step, y) {
    const base = this.places.map(() => 0), wide = Math.min(Math.max(step - (step > 4 ? 2 : 0), 0.7), 48);
    return this.series.map(({kind, values}) => {
      let path = '';
      values.forEach((value, k) => {
        if (!value) return;
        const x = (left + (k + 0.5) * step - wide / 2).toFixed(1), low = y(base[k]), high = y(base[k] += value);
        path += `M${x},${low.toFixed(1)}V${high.toFixed(1)}h${wide.toFixed(1)}V${low.toFixed(1)}z`;
      });
      return [kind, path];
    });
  }

  tell(k) {
    const all = [...this.series, ...(this.line ? [this.line] : [])];
    const value = (each) => k >= 0 ? each.values[k] : each.total ?? each.values.reduce((a, b) => a + b, 0);
    const entries = all.filter((each) => k >= 0 || value(each)).map((each) => make('li', {},
      make('span', {class: `key ${each.kind}`}), `${each.name} `, make('b', {}, this.valueText(value(each)))));
    this.legend.replaceChildren(make('li', {class: 'place'}, k >= 0 ? this.placeText(this.places[k]) : 'all'), ...entries);
  }
}
