// What is shown, from this file or from a server: the same rows either way.
const DAY = 86400;
const STATUSES = ['downloaded', 'uptodate', 'duplicate', 'refused', 'failed'];
const EMPTY = {text: '', spider: '', host: '', label: '', format: '', status: '', reason: '', side: 0, bytes: 0,
  since: 0, until: 0, gallery: 0, sort: ''};
const COMPARE = {newest: (a, b) => b.at - a.at, oldest: (a, b) => a.at - b.at, bytes: (a, b) => b.bytes - a.bytes,
  pixels: (a, b) => b.width * b.height - a.width * a.height};

function hostOf(url) {
  const start = url.indexOf('://') + 3;
  if (start < 3) return '';
  const end = url.slice(start).search(/[/?#\\]/);
  const authority = end < 0 ? url.slice(start) : url.slice(start, start + end);
  const host = authority.slice(authority.lastIndexOf('@') + 1).replace(/:\d*$/, '').toLowerCase();
  return host.replace(/^\[|\]$/g, '');
}

function unfold(column, count) {
  if (!column || !column.length) return new Array(count).fill('');
  let before = '';
  return column[1].map((rest, place) => (before = before.slice(0, column[0][place]) + rest));
}

// Columns as `imgcrawl.report.columns` writes them.
class Chunk {
  constructor(raw) {
    this.raw = raw;
    this.count = raw.count;
    this.galleries = raw.galleries.n.length;
    this.first = new Uint32Array(this.galleries + 1);
    this.owner = new Uint32Array(this.count);
    for (let g = 0, n = 0; g < this.galleries; g++) {
      this.first[g] = n;
      for (const end = n + raw.galleries.shown[g]; n < end; n++) this.owner[n] = g;
      this.first[g + 1] = n;
    }
    this.texts = {};
  }

  column(name) { const column = this.raw.images[name]; return column.length ? column : null; }

  long(name) {
    return this.texts[name] ??= name === 'gallery_url' ? unfold(this.raw.galleries.url, this.galleries)
      : unfold(this.raw.images[name], this.count);
  }

  gallery(g) {
    const {galleries, words} = this.raw;
    return {n: galleries.n[g], title: galleries.title[g], url: this.long('gallery_url')[g], at: galleries.at[g],
      spider: words.spider[galleries.spider[g]], error: words.error[galleries.error[g]], total: galleries.total[g],
      labels: galleries.labels[g].map((label) => words.label[label])};
  }

  image(i) {
    const {images, words} = this.raw;
    const number = (name) => images[name].length ? images[name][i] : 0;
    const text = (name) => images[name].length ? images[name][i] : '';
    const word = (name) => words[name][number(name)];
    return {n: number('n'), url: this.long('url')[i], path: this.long('path')[i], thumb: this.long('thumb')[i],
      status: word('status'), reason: word('reason'), format: word('format'), width: number('width'),
      height: number('height'), bytes: number('bytes'), at: number('at'), name: text('name'), page: text('page'),
      file: number('file'), gallery: this.gallery(this.owner[i])};
  }
}

// All of it is in this file.
class FileSource {
  constructor(head, chunk) {
    this.head = head;
    this.chunk = new Chunk(chunk);
    this.copies = new Map(head.thumbs.map((number, place) => [number, place]));
    this.groups = document.querySelectorAll('script.thumbs');
    this.lines = [];
    this.answers = new Map();
    this.lower = {};
  }

  async rows(kind, filter, start, count) {
    const found = this.answer(kind, filter);
    if (kind === 'galleries') {
      const rows = [];
      for (let k = start; k < Math.min(start + count, found.galleries.length); k++) {
        const [g, first, size] = found.galleries[k];
        const images = Array.from(found.images.subarray(first, first + Math.min(size, 12)), (i) => this.chunk.image(i));
        rows.push({gallery: this.chunk.gallery(g), matching: size, images});
      }
      return {found: found.galleries.length, rows};
    }
    const one = (i) => kind === 'failed_pages' ? {gallery: this.chunk.gallery(i)} : this.chunk.image(i);
    return {found: found.length, rows: Array.from(found.slice(start, start + count), one)};
  }

  answer(kind, filter) {
    const key = kind + JSON.stringify(filter);
    if (!this.answers.has(key)) {
      if (this.answers.size > 12) this.answers.clear();
      const ask = {images: () => this.images(filter), galleries: () => this.grouped(filter),
        failed_pages: () => this.failedPages(filter)};
      this.answers.set(key, ask[kind]());
    }
    return this.answers.get(key);
  }

  images(filter) {
    const {chunk} = this, {words} = chunk.raw;
    const found = new Uint32Array(chunk.count);
    const tests = [];
    for (const [name, column] of [['status', 'status'], ['reason', 'reason'], ['format', 'format']]) {
      const values = chunk.column(column), wanted = words[name].indexOf(filter[name]);
      if (filter[name]) tests.push((i) => (values ? values[i] : 0) === wanted);
    }
    if (filter.spider) {
      const wanted = words.spider.indexOf(filter.spider), spiders = chunk.raw.galleries.spider;
      tests.push((i) => spiders[chunk.owner[i]] === wanted);
    }
    if (filter.label) {
      const wanted = words.label.indexOf(filter.label), {labels} = chunk.raw.galleries;
      tests.push((i) => labels[chunk.owner[i]].includes(wanted));
    }
    if (filter.host) {
      const hosts = this.lower.hosts ??= chunk.long('url').map(hostOf);
      tests.push((i) => hosts[i] === filter.host);
    }
    const column = (name) => chunk.column(name) || new Array(chunk.count).fill(0);
    const [at, bytes, width, height] = ['at', 'bytes', 'width', 'height'].map(column);
    if (filter.since) tests.push((i) => at[i] >= filter.since * DAY);
    if (filter.until) tests.push((i) => at[i] < (filter.until + 1) * DAY);
    if (filter.bytes) tests.push((i) => bytes[i] >= filter.bytes);
    if (filter.side) tests.push((i) => Math.min(width[i], height[i]) >= filter.side);
    for (const word of filter.text.toLowerCase().split(/\s+/).filter(Boolean)) {
      const hits = this.galleryTexts().map((text) => text.includes(word)), texts = this.imageTexts();
      tests.push((i) => hits[chunk.owner[i]] || texts[i].includes(word));
    }
    const [first, end] = filter.gallery ? chunk.first.slice(filter.gallery - 1, filter.gallery + 1) : [0, chunk.count];
    let size = 0;
    for (let i = first; i < end; i++) if (tests.every((test) => test(i))) found[size++] = i;
    const numbers = found.slice(0, size);
    if (!filter.sort) return numbers;
    const keys = {newest: (i) => -at[i], oldest: (i) => at[i], bytes: (i) => -bytes[i],
      pixels: (i) => -width[i] * height[i]};
    const key = Float64Array.from({length: chunk.count}, (_, i) => keys[filter.sort](i));
    return numbers.sort((a, b) => key[a] - key[b] || a - b);
  }

  grouped(filter) {
    const images = this.answer('images', {...filter, sort: ''}), galleries = [];
    for (let place = 0; place < images.length;) {
      const g = this.chunk.owner[images[place]], first = place;
      while (place < images.length && images[place] < this.chunk.first[g + 1]) place++;
      galleries.push([g, first, place - first]);
    }
    return {images, galleries};
  }

  failedPages(filter) {
    const {galleries, words} = this.chunk.raw, found = [];
    const wanted = filter.text.toLowerCase().split(/\s+/).filter(Boolean);
    for (let g = 0; g < this.chunk.galleries; g++) {
      const error = words.error[galleries.error[g]];
      if (!error || (filter.reason && error !== filter.reason)) continue;
      if (filter.spider && words.spider[galleries.spider[g]] !== filter.spider) continue;
      if (wanted.every((word) => this.galleryTexts()[g].includes(word))) found.push(g);
    }
    return found;
  }

  async reasons(filter) {
    const asked = {...filter, status: '', reason: '', sort: ''}, counts = new Map();
    const {words, images} = this.chunk.raw;
    for (const i of this.answer('images', asked)) {
      const status = words.status[images.status.length ? images.status[i] : 0];
      if (status !== 'refused' && status !== 'failed') continue;
      const key = status + '\0' + words.reason[images.reason.length ? images.reason[i] : 0];
      counts.set(key, (counts.get(key) || 0) + 1);
    }
    for (const g of this.answer('failed_pages', asked)) {
      const key = 'page\0' + words.error[this.chunk.raw.galleries.error[g]];
      counts.set(key, (counts.get(key) || 0) + 1);
    }
    return [...counts].map(([key, count]) => [...key.split('\0'), count])
      .sort((a, b) => b[2] - a[2] || (a[1] < b[1] ? -1 : 1));
  }

  galleryTexts() {
    return this.lower.galleries ??= Array.from({length: this.chunk.galleries}, (_, g) => {
      const gallery = this.chunk.gallery(g);
      return [gallery.title, gallery.url, gallery.spider, ...gallery.labels].join('\n').toLowerCase();
    });
  }

  imageTexts() {
    if (!this.lower.images) {
      const urls = this.chunk.long('url'), paths = this.chunk.long('path');
      const {name, page} = this.chunk.raw.images;
      this.lower.images = urls.map((url, i) => `${url}\n${paths[i]}\n${name[i] ?? ''}\n${page[i] ?? ''}`.toLowerCase());
    }
    return this.lower.images;
  }

  small(image) {
    const place = this.copies.get(image.n);
    if (place !== undefined) {
      const group = Math.floor(place / this.head.per_group);
      this.lines[group] ??= this.groups[group].textContent.split('\n');
      const line = this.lines[group][place % this.head.per_group];
      return `data:image/${line[0] === 'p' ? 'png' : 'jpeg'};base64,${line.slice(1)}`;
    }
    return image.file ? this.head.store + encodePath(image.thumb || image.path) : '';
  }

  file(image) { return image.file ? this.head.store + encodePath(image.path) : ''; }

  async lookalikes() {
    const groups = this.head.groups;
    return groups ? {groups: groups.map((group) => group.map((n) => this.chunk.image(n)).sort(COMPARE.pixels))} : {};
  }
}

// A server has it.
class ServerSource {
  constructor(head, token) { this.head = head; this.token = token; }

  static async open(token) {
    const source = new ServerSource(null, token);
    source.head = await source.ask('report');
    return source;
  }

  async ask(what, given = {}, body) {
    const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value));
    const headers = {Authorization: `Bearer ${this.token}`};
    const options = body ? {method: 'POST', headers: {...headers, 'Content-Type': 'application/json'},
      body: JSON.stringify(body)} : {headers};
    const answer = await fetch(`api/${what}?${query}`, options);
    if (!answer.ok) throw new Error(answer.status === 401 ? 'open the address that scrapy report has printed'
      : `the server answered ${answer.status}`);
    return answer.json();
  }

  async rows(kind, filter, start, count) {
    const raw = await this.ask(kind, {...filter, start, count}), chunk = new Chunk(raw), rows = [];
    for (let g = 0; g < chunk.galleries; g++) {
      const images = [];
      for (let i = chunk.first[g]; i < chunk.first[g + 1]; i++) images.push(chunk.image(i));
      if (kind === 'galleries') rows.push({gallery: chunk.gallery(g), matching: raw.matching[g], images});
      else if (kind === 'failed_pages') rows.push({gallery: chunk.gallery(g)});
      else rows.push(...images);
    }
    return {found: raw.found, rows};
  }

  async reasons(filter) { return (await this.ask('reasons', filter)).reasons; }

  small(image) { return image.file ? `thumb/${this.head.files}/${image.n}` : ''; }

  file(image) { return image.file ? `file/${this.head.files}/${image.n}` : ''; }

  async lookalikes(filter) {
    const told = filter ? await this.ask('lookalikes', {}, filter) : await this.ask('lookalikes');
    if (!told.groups) return told;
    const chunk = new Chunk(told.rows), images = new Map();
    for (let i = 0; i < chunk.count; i++) { const image = chunk.image(i); images.set(image.n, image); }
    return {...told, groups: told.groups.map((group) => group.map((n) => images.get(n)))};
  }
}

function encodePath(path) { return path.split('/').map(encodeURIComponent).join('/'); }
