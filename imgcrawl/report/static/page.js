// The page itself: its views, its filters, and the address that says which of them is seen.
const VIEWS = {overview: 'Overview', galleries: 'Galleries', images: 'Images', failures: 'Failures',
  lookalikes: 'Look-alikes'};
const PLACES = {text: 'Search', spider: 'Site', host: 'Host', label: 'Label', format: 'Format', outcome: 'Outcome',
  side: 'Shorter side', bytes: 'Size', since: 'From', until: 'To', sort: 'Order'};
const byId = (id) => document.getElementById(id);
const main = byId('main'), form = byId('filters'), dialog = byId('detail');
let source, view = 'overview', filter = {...EMPTY}, grid = null, shownTitle = '';

function fromAddress() {
  const [name, query] = location.hash.slice(1).split('?');
  view = name in VIEWS ? name : 'overview';
  filter = {...EMPTY};
  for (const [key, value] of new URLSearchParams(query)) {
    if (key in EMPTY) filter[key] = typeof EMPTY[key] === 'number' ? Number(value) || 0 : value;
  }
}

function address(toView, asked) {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  return `#${toView}${query.size ? `?${query}` : ''}`;
}

function go(toView, change = {}, {replace = false, typed = false} = {}) {
  const hash = address(toView, {...filter, ...change});
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, '', hash);
  else history.pushState(null, '', hash);
  show({typed});
}

// *typed*: by the filters themselves; nothing is put into the field in which somebody writes.
function show({typed = false} = {}) {
  const before = view;
  fromAddress();
  grid?.close();
  grid = null;
  form.hidden = view === 'overview' || (view === 'lookalikes' && !source.head.served); // all of the file were compared
  for (const [name, value] of Object.entries(fields())) if (!typed || document.activeElement !== form.elements[name]) {
    form.elements[name].value = value;
  }
  form.elements.sort.parentElement.hidden = view === 'galleries'; // they stand as they were found
  byId('views').replaceChildren(...Object.entries(VIEWS).map(([name, title]) =>
    make('a', {href: address(name, name === 'overview' ? EMPTY : {...filter, gallery: 0}),
      'aria-current': name === view ? 'page' : null}, title)));
  document.title = `${VIEWS[view]} · ${shownTitle}`;
  ({overview: showOverview, galleries: showGalleries, images: showImages, failures: showFailures,
    lookalikes: showLookalikes})[view]();
  if (before !== view) scrollTo(0, 0);
}

// ---- filters ---------------------------------------------------------------------------------------------------

function fields() {
  const date = (day) => day ? dayText(day) : '';
  return {text: filter.text, spider: filter.spider, host: filter.host, label: filter.label, format: filter.format,
    outcome: filter.reason ? `r:${filter.reason}` : filter.status ? `s:${filter.status}` : '', side: filter.side || '',
    bytes: filter.bytes || '', since: date(filter.since), until: date(filter.until), sort: filter.sort};
}

function chosen() {
  const value = (name) => form.elements[name].value, outcome = value('outcome');
  const day = (name) => Math.floor(Date.parse(value(name)) / 1000 / DAY) || 0;
  return {text: value('text'), spider: value('spider'), host: value('host'), label: value('label'),
    format: value('format'), status: outcome.startsWith('s:') ? outcome.slice(2) : '',
    reason: outcome.startsWith('r:') ? outcome.slice(2) : '', side: Number(value('side')) || 0,
    bytes: Number(value('bytes')) || 0, since: day('since'), until: day('until'), sort: value('sort')};
}

function buildFilters() {
  const {facets} = source.head;
  const counted = ([name, count]) => [name, `${name} (${number.format(count)})`];
  const select = (name, any, options) => make('label', {}, make('span', {}, PLACES[name]), make('select', {name},
    make('option', {value: ''}, any), ...options.map(([value, text]) => make('option', {value}, text))));
  const date = (name) => make('label', {}, make('span', {}, PLACES[name]), make('input', {type: 'date', name}));
  const has = (name, any) => select(name, any, facets[name].map(counted));
  const outcomes = [...facets.status.map(([name, count]) => [`s:${name}`, `${name} (${number.format(count)})`]),
    ...facets.reason.map(([name, count]) => [`r:${name}`, `· ${name} (${number.format(count)})`])];
  const more = make('details', {class: 'more'}, make('summary', {}, 'Filters'), make('div', {class: 'fields'},
    has('spider', 'any'), has('host', 'any'), has('label', 'any'), has('format', 'any'), select('outcome', 'any', outcomes),
    select('side', 'any', [256, 512, 1024, 2048].map((side) => [side, `${side} pixels or more`])),
    select('bytes', 'any', [1e4, 1e5, 1e6, 1e7].map((size) => [size, `${sizeText(size)} or more`])),
    date('since'), date('until'),
    select('sort', 'as found', [['newest', 'newest first'], ['oldest', 'oldest first'], ['bytes', 'most bytes first'],
      ['pixels', 'most pixels first']])));
  const wide = matchMedia('(min-width: 700px)');
  const adapt = () => { more.open = wide.matches; };
  wide.addEventListener('change', adapt);
  adapt();
  form.append(make('div', {class: 'search'},
    make('label', {class: 'hidden', for: 'text'}, 'Search titles, addresses, names and labels'),
    make('input', {type: 'search', id: 'text', name: 'text', placeholder: 'Search titles, addresses, names, labels  ( / )',
      autocomplete: 'off', spellcheck: 'false'}),
    make('output', {id: 'found', 'aria-live': 'polite'}),
    make('button', {type: 'button', id: 'clear', click: () => go(view, EMPTY)}, 'Clear')), more);
  let timer;
  form.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => go(view, {...chosen(), gallery: 0}, {replace: true, typed: true}), 120);
  });
  form.addEventListener('submit', (event) => event.preventDefault());
}

function tellFound(found, what, error) {
  const some = JSON.stringify(filter) !== JSON.stringify(EMPTY);
  byId('found').textContent = error ? `not to be had: ${error.message}` : `${number.format(found)} ${what}`;
  byId('clear').hidden = !some;
}

// ---- images and galleries --------------------------------------------------------------------------------------

function facts(image) {
  return [image.width ? `${image.width}×${image.height}` : '', image.format, image.bytes ? sizeText(image.bytes) : '']
    .filter(Boolean).join(' · ');
}

// Of a reason that is known here. `constructor`, which a stranger's feed may have, is a name of every object.
function meaning(reason) {
  const {meanings} = source.head;
  return Object.hasOwn(meanings, reason) ? meanings[reason] : '';
}

function outcome(image) { return image.reason ? `${image.status}: ${image.reason}` : image.status; }

function picture(image) {
  const small = source.small(image);
  if (!small) return make('span', {class: 'none'}, image.reason || image.format || 'no file');
  const img = make('img', {src: small, alt: '', loading: 'lazy', decoding: 'async'});
  img.addEventListener('error', () => img.replaceWith(make('span', {class: 'none'}, image.format || 'no picture')));
  return img;
}

function tile(image, open) {
  const title = image.name || image.gallery.title || image.url;
  return make('button', {type: 'button', class: 'tile', click: open,
    'aria-label': `${title}, ${outcome(image)}${facts(image) ? `, ${facts(image)}` : ''}`},
  make('span', {class: 'frame'}, picture(image)),
  make('span', {class: 'caption'}, title),
  make('span', {class: 'facts'}, make('span', {class: `key ${image.status}`}),
    facts(image) || image.reason || image.status));
}

function showImages() {
  grid = new Grid({cell: {width: innerWidth < 500 ? 112 : 156, height: innerWidth < 500 ? 150 : 190}, label: 'Images',
    load: (start, count) => source.rows('images', filter, start, count),
    told: (found, error) => tellFound(found, found === 1 ? 'image' : 'images', error),
    render: (image, place) => tile(image, () => openImage(image, place)), empty: 'No image is like that.'});
  const back = filter.gallery ? [make('p', {class: 'note'}, 'Images of one gallery. ',
    make('a', {href: address('images', {...filter, gallery: 0})}, 'Show those of all'))] : [];
  main.replaceChildren(make('h2', {class: 'hidden'}, 'Images'), ...back, grid.element);
}

function showGalleries() {
  grid = new Grid({cell: {width: 0, height: innerWidth < 500 ? 236 : 246}, label: 'Galleries',
    load: (start, count) => source.rows('galleries', filter, start, count),
    told: (found, error) => tellFound(found, found === 1 ? 'gallery' : 'galleries', error),
    render: galleryRow, empty: 'No gallery is like that.'});
  main.replaceChildren(make('h2', {class: 'hidden'}, 'Galleries'), grid.element);
}

function galleryRow({gallery, matching, images}) {
  const all = () => go('images', {gallery: gallery.n + 1});
  const count = matching === gallery.total ? number.format(matching)
    : `${number.format(matching)} of ${number.format(gallery.total)}`;
  return make('article', {class: 'gallery'},
    make('h3', {}, link(gallery.url, gallery.title || gallery.url || 'without a title')),
    make('p', {class: 'facts'}, [gallery.spider, dayText(Math.floor(gallery.at / DAY))].filter(Boolean).join(' · '),
      ...gallery.labels.slice(0, 8).map((label) => make('button', {type: 'button', class: 'label',
        click: () => go('galleries', {label})}, label))),
    make('div', {class: 'strip'}, ...images.map((image) => {
      const shown = tile(image, () => openImage(image, null));
      shown.classList.remove('tile');
      shown.classList.add('small');
      if (!image.name) shown.querySelector('.caption').remove();
      return shown;
    })),
    make('p', {class: 'all'}, make('button', {type: 'button', class: 'tile plain', click: all}, `${count} ${gallery.total === 1 ? ONE.images : 'images'}`)));
}

async function openImage(image, place) {
  const shown = source.file(image), kind = /\.(jpe?g|jpe|jfif|png|apng|gif|webp|avif|bmp|ico)$/i;
  const large = shown && kind.test(image.path) ? make('img', {src: shown, alt: '', decoding: 'async'}) : picture(image);
  large.addEventListener?.('error', () => large.replaceWith(make('span', {class: 'none'}, 'no picture')), {once: true});
  const {gallery} = image;
  const row = (name, value) => value ? [make('dt', {}, name), make('dd', {}, value)] : [];
  const move = (by) => async () => {
    const next = await grid.row(place + by);
    if (next) { dialog.close(); grid.go(place + by); openImage(next, place + by); }
  };
  const step = (by, text, key) => place === null ? null : make('button', {type: 'button', class: 'step', click: move(by),
    disabled: place + by < 0 || place + by >= grid.found, 'data-key': key}, text);
  dialog.replaceChildren(make('div', {class: 'bar'}, step(-1, 'Before', 'ArrowLeft'), step(1, 'Next', 'ArrowRight'),
    make('button', {type: 'button', class: 'close', click: () => dialog.close()}, 'Close')),
  make('div', {class: 'large'}, large),
  make('h2', {id: 'detail-title'}, image.name || gallery.title || 'Image'),
  make('dl', {}, ...row('outcome', outcome(image)), ...row('', meaning(image.reason)), ...row('file', facts(image)),
    ...row('stored as', image.path && (shown ? make('a', {href: shown, target: '_blank', rel: 'noopener noreferrer'},
      image.path) : image.path)),
    ...row('address', link(image.url, image.url)), ...row('shown by', image.page && link(image.page, image.page)),
    ...row('gallery', link(gallery.url, gallery.title || gallery.url)), ...row('site', gallery.spider),
    ...row('labels', gallery.labels.join(', ')), ...row('time', `${timeText(image.at)} UTC`)),
  make('p', {}, make('button', {type: 'button', click: () => { dialog.close(); go('images', {...EMPTY,
    gallery: gallery.n + 1}); }}, `All ${number.format(gallery.total)} images of the gallery`)));
  if (!dialog.open) dialog.showModal();
}

dialog.addEventListener('keydown', (event) => dialog.querySelector(`[data-key="${CSS.escape(event.key)}"]`)?.click());
dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });

// ---- failures --------------------------------------------------------------------------------------------------

async function showFailures() {
  const asked = {...filter}, list = make('div', {class: 'rows'});
  const reasons = make('div', {class: 'reasons', role: 'group', 'aria-label': 'Reasons'});
  main.replaceChildren(make('h2', {class: 'hidden'}, 'Failures'), make('div', {class: 'columns'}, reasons, list));
  let found;
  try { found = await source.reasons(asked); } catch (error) { return tellFound(0, '', error); }
  if (view !== 'failures' || JSON.stringify(asked) !== JSON.stringify(filter)) return;
  if (!found.length) {
    tellFound(0, 'failures');
    return main.replaceChildren(make('p', {class: 'empty'}, 'Nothing failed, and nothing was refused.'));
  }
  const current = found.find(([status, reason]) => reason === filter.reason && (!filter.status || status === filter.status
    || status === 'page')) || found[0];
  const choose = (chosenOne) => {
    grid?.close();
    for (const button of reasons.children) button.setAttribute('aria-pressed', button.entry === chosenOne);
    const [status, reason] = chosenOne;
    const kind = status === 'page' ? 'failed_pages' : 'images';
    const wanted = {...asked, status: status === 'page' ? '' : status, reason};
    grid = new Grid({cell: {width: 0, height: innerWidth < 700 ? 84 : 60}, label: `${status}: ${reason}`,
      load: (start, count) => source.rows(kind, wanted, start, count), render: failureRow,
      told: (count, error) => tellFound(count, status === 'page' ? 'pages' : 'images', error)});
    list.replaceChildren(grid.element);
  };
  reasons.append(...found.map((entry) => {
    const [status, reason, count] = entry;
    const button = make('button', {type: 'button', click: () => choose(entry)},
      make('span', {class: `key ${status === 'page' ? 'failed' : status}`}), make('b', {}, reason || status),
      make('span', {class: 'count'}, number.format(count)),
      make('small', {}, `${status === 'page' ? 'pages of galleries' : `images ${status}`}${
        meaning(reason) ? `: ${meaning(reason)}` : ''}`));
    button.entry = entry;
    return button;
  }));
  choose(current);
}

function failureRow(row) {
  const image = row.url === undefined ? null : row, gallery = row.gallery;
  const address = image ? image.url : gallery.url;
  return make('div', {class: 'failure'}, link(address, address, {class: 'tile text'}),
    make('p', {class: 'facts'}, image ? 'on ' : '', link(image?.page || gallery.url, gallery.title || gallery.url),
      ` · ${timeText(image ? image.at : gallery.at)}`));
}

// ---- look-alikes -----------------------------------------------------------------------------------------------

async function showLookalikes() {
  const told = make('p', {class: 'note', role: 'status'}), list = make('div', {class: 'groups'});
  main.replaceChildren(make('h2', {class: 'hidden'}, 'Look-alikes'), told, list);
  const draw = ({groups, total, done, error}) => {
    tellFound(groups ? groups.length : 0, groups?.length === 1 ? 'group' : 'groups');
    if (error) told.textContent = error;
    else if (groups) {
      told.textContent = groups.length ? 'Pictures that look the same though their bytes differ, the largest first.'
        : 'No two pictures look the same.';
      list.replaceChildren(...groups.slice(0, 300).map((group) => make('div', {class: 'group'},
        ...group.map((image) => tile(image, () => openImage(image, null))))));
    } else if (total !== undefined) told.textContent = `${number.format(done)} of ${number.format(total)} compared …`;
    else if (source.head.served) {
      told.replaceChildren('Not sought yet. ', make('button', {type: 'button', click: () => follow(filter)},
        'Compare the images of this filter'), ' (at most 20,000 at a time)');
    } else told.textContent = 'Not sought: scrapy report --lookalikes does.';
  };
  const follow = async (asked) => {
    for (let state = await source.lookalikes(asked); view === 'lookalikes'; state = await source.lookalikes()) {
      draw(state);
      if (state.groups || state.error || state.total === undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  };
  follow();
}

// ---- overview --------------------------------------------------------------------------------------------------

function table(caption, names, rows, first = (value) => value) {
  if (!rows.length) return '';
  return make('figure', {class: 'table'}, make('figcaption', {}, caption), make('div', {class: 'scroll', tabindex: 0,
    role: 'region', 'aria-label': caption}, make('table', {},
    make('thead', {}, make('tr', {}, ...names.map((name) => make('th', {scope: 'col'}, name)))),
    make('tbody', {}, ...rows.map(([name, ...values]) => make('tr', {}, make('th', {scope: 'row'}, first(name)),
      ...values.map((value) => make('td', {}, value))))))));
}

function dayCharts(days, rows, distinct) {
  if (!days.length) return [];
  // Days at which nothing was done are shown, too, unless these are too many.
  const from = days.find((day) => day) ?? 0, to = days.at(-1);
  const all = to - from < 400 ? Array.from({length: to - from + 1}, (_, k) => from + k) : days;
  const known = new Map(days.map((day, k) => [day, rows[k]]));
  const column = (place) => all.map((day) => known.get(day)?.[place] ?? 0);
  const common = {places: all, placeText: dayText};
  return [new Chart({...common, title: 'Images a day', series: STATUSES.map((kind, place) => ({name: kind, kind,
    values: column(place)})), line: {name: 'different ones', kind: 'distinct', values: column(6), total: distinct}}).element,
  new Chart({...common, title: 'Bytes a day', valueText: sizeText, series: [{name: 'came', kind: 'downloaded',
    values: column(5)}]}).element];
}

function rateChart(title, rate) {
  if (!rate.from) return '';
  const places = rate.images.map((_, k) => rate.from + k * rate.step);
  const short = rate.step < DAY && places.at(-1) - places[0] < DAY;
  const perSecond = (values) => values.map((value) => value / rate.step);
  return new Chart({title: `${title} (a second, over ${rate.step >= 3600 ? `${rate.step / 3600} h` : `${rate.step} s`})`,
    places, placeText: (at) => short ? timeText(at).slice(11) : timeText(at), valueText: (value) => number.format(
      Math.round(value * 100) / 100),
    series: [{name: 'images', kind: 'downloaded', values: perSecond(rate.images)},
      {name: 'failed or refused', kind: 'failed', values: perSecond(rate.failed)}].map((each) => ({...each,
      total: each.values.reduce((a, b) => a + b, 0) / places.length}))}).element;
}

const ONE = {galleries: 'gallery', images: 'image', files: 'file'};

function showOverview() {
  const {counts, charts, logs} = source.head, sum = (row) => row.slice(0, 5).reduce((a, b) => a + b, 0);
  const visits = charts.total.reduce((all, row) => all + sum(row), 0); // of images, by all feeds
  const card = (value, name, href) => make('li', {}, make(href ? 'a' : 'span', {href}, make('b', {}, value),
    ` ${value === '1' ? ONE[name] || name.replace(' ones', ' one') : name}`));
  const cards = make('ul', {class: 'cards'}, card(number.format(counts.galleries), 'galleries', '#galleries'),
    card(number.format(counts.images), 'images', '#images'),
    card(number.format(charts.distinct), visits > counts.images ? `different ones at ${number.format(visits)} visits` : 'different ones'),
    card(number.format(counts.files), 'files'), card(sizeText(counts.bytes), 'stored'),
    card(number.format(counts.images - counts.stored + counts.pages_failed), 'not to be had', '#failures'));
  const area = make('div', {class: 'charts'});
  const choose = (host) => {
    const one = charts.hosts.find((each) => each.host === host);
    area.replaceChildren(...dayCharts(one ? one.days : charts.days,
      one ? one.rows : charts.total, (one || charts).distinct));
  };
  choose('');
  const hosts = make('label', {class: 'host'}, 'Days of ', make('select', {change: (event) => choose(event.target.value)},
    make('option', {value: ''}, 'all hosts'), ...charts.hosts.map(({host}) => make('option', {value: host}, host || '-'))));
  const hostRows = charts.hosts.map(({host, rows, days, distinct}) => {
    const total = rows.reduce((all, row) => all.map((value, k) => value + row[k]), [0, 0, 0, 0, 0, 0, 0]);
    return [host, number.format(sum(total)), number.format(distinct), ...total.slice(0, 5).map((n) => number.format(n)),
      sizeText(total[5]), dayText(days[0]), dayText(days.at(-1))];
  });
  const dayRows = charts.days.map((day, k) => [dayText(day), number.format(sum(charts.total[k])), number.format(
    charts.total[k][6]), ...charts.total[k].slice(0, 5).map((n) => number.format(n)), number.format(charts.pages_failed[k]),
  sizeText(charts.total[k][5])]).reverse();
  const runs = logs.runs.map((run) => [timeText(run.from), run.log, run.reason, number.format(run.found), ...STATUSES.map(
    (status) => number.format(run[status])), sizeText(run.bytes), `${number.format(run.to - run.from)} s`]).reverse();
  main.replaceChildren(make('h2', {class: 'hidden'}, 'Overview'), cards, charts.hosts.length > 1 ? hosts : '', area,
    make('div', {class: 'charts'}, rateChart('Images that came', charts.rate), rateChart('As the logs tell', logs.rate)),
    table('Days (UTC)', ['day', 'images', 'different', ...STATUSES, 'pages failed', 'bytes'], dayRows),
    table(`Hosts${charts.other_hosts ? `, the busiest of ${number.format(charts.hosts.length + charts.other_hosts)}` : ''}`,
      ['host', 'images', 'different', ...STATUSES, 'bytes', 'first', 'last'], hostRows,
      (host) => make('a', {href: address('images', {...EMPTY, host})}, host || '-')),
    table('Crawls, by their logs', ['begun', 'log', 'end', 'found', ...STATUSES, 'bytes', 'time'], runs),
    table('Answers a day, by logs of level DEBUG', ['day', 'answers', 'different addresses'],
      logs.days.map(([day, answers, addresses]) => [dayText(day), number.format(answers), number.format(addresses)])));
}

// ---- keys, and the start ---------------------------------------------------------------------------------------

addEventListener('keydown', (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  if (event.key === 'Escape' && typing) { main.focus({preventScroll: true}); return; }
  if (typing) return;
  if (event.key === '/') {
    event.preventDefault();
    if (form.hidden) go('galleries');
    form.elements.text.focus();
  } else if (/^[1-5]$/.test(event.key)) go(Object.keys(VIEWS)[event.key - 1]);
});
addEventListener('popstate', () => { dialog.close(); show(); });
addEventListener('hashchange', () => { if (address(view, filter) !== location.hash) show(); });

async function open() {
  const held = byId('report');
  if (held) source = new FileSource(JSON.parse(held.textContent), JSON.parse(byId('chunk').textContent));
  else {
    const given = /^#([\w.~+\/=-]{16,})$/.exec(location.hash);
    if (given) {
      sessionStorage.setItem('token', given[1]);
      history.replaceState(null, '', '#overview');
    }
    source = await ServerSource.open(sessionStorage.getItem('token') || '');
  }
  const {head} = source;
  shownTitle = head.title;
  byId('title').textContent = head.title;
  const from = head.sources.length > 4 ? `${head.sources.length} files` : head.sources.join(', ');
  byId('source').textContent = `${from} · made ${timeText(head.made)} UTC`;
  buildFilters();
  show();
}

open().catch((error) => main.replaceChildren(make('p', {class: 'empty', role: 'alert'},
  `This report cannot be shown: ${error.message}`)));
