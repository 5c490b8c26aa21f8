// The page of `scrapy watch`: what the server sends becomes what is seen, what is pressed becomes what all workers do.

import { Curve, Points } from "./curves.js";
import { byId, fill, link, make, row, say, sync } from "./dom.js";
import { brief, clock, count, megabytes, moment, plural, size, tenth } from "./words.js";

const KEPT = "imgcrawl token"; // in this tab only, for this address and port only
const STATES = {
  running: "running", paused: "paused", stopping: "stopping", ended: "ended", killed: "killed", none: "no crawl",
};
const OUTCOMES = ["downloaded", "uptodate", "duplicate", "refused", "failed"];
const MOST_ROWS = 100;

const crawl = {}; // the newest of everything
const points = new Points();
const curves = [
  new Curve(points, 1, "Images a second", { write: (value) => `${tenth(value)}/s`, axis: short }),
  new Curve(points, 2, "Data", { write: (value) => `${megabytes(value)}/s`, axis: (value) => short(value / 1e6) }),
  new Curve(points, 3, "Not kept", { write: (value) => `${tenth(value)} a minute`, axis: short, className: "bad" }),
  new Curve(points, 4, "Pages waiting", { write: count, axis: short }),
];
byId("curves").append(...curves.map((curve) => curve.element));

function short(value) {
  const [number, unit] = value >= 1e6 ? [value / 1e6, "M"] : value >= 1e3 ? [value / 1e3, "k"] : [value, ""];
  return `${Number(number.toPrecision(3))}${unit}`;
}

// ---- what is seen ------------------------------------------------------------------------------------------------

function take(change) {
  Object.assign(crawl, change);
  if (change.history) points.replace(change.history);
  else if (change.point) points.add(change.point);
  byId("view").hidden = false;
  byId("controls").hidden = false;
  showHead();
  showFigures();
  for (const curve of curves) curve.draw();
  curves[3].element.hidden = !crawl.queue;
  showPictures();
  showOutcomes();
  showFailures();
  showWorkers();
  showHosts();
  document.body.classList.toggle("stale", Boolean(crawl.problem));
  if (crawl.problem) notice(crawl.problem, true);
  else if (change.problem === "") notice("");
}

const isLive = () => ["running", "paused", "stopping"].includes(crawl.state);

function showHead() {
  const state = byId("state");
  say(byId("spider"), crawl.spider ?? "");
  say(state, STATES[crawl.state] ?? "");
  const name = `state ${crawl.state in STATES ? crawl.state : ""}`;
  if (state.className !== name) state.className = name;
  const told = crawl.state === "none" ? "as soon as one begins, it is shown here" : (crawl.told ?? "").replace(/^ended /, "");
  const words = [isLive() ? `since ${moment(crawl.started)}` : told];
  if (!isLive() && crawl.verdict) words.push(crawl.verdict);
  const slowed = crawl.control?.delay_factor;
  if (isLive() && slowed > 1) words.push(`slowed down ${Number(slowed.toPrecision(3))} times`);
  if (isLive() && crawl.control?.paused && crawl.state === "running") words.push("pausing");
  if (isLive() && crawl.waiting) words.push(`waiting for the hours of ${crawl.waiting}`);
  say(byId("when"), words.join("; "));
  document.title = isLive() ? `${tenth(crawl.rate)}/s ${crawl.spider}` : `${crawl.spider ?? ""} ${STATES[crawl.state] ?? ""}`;
  byId("pause").disabled = !isLive() || crawl.state === "stopping";
  say(byId("pause"), crawl.control?.paused ? "Resume" : "Pause");
  byId("slow").disabled = !isLive() || crawl.state === "stopping";
  say(byId("slow"), slowed > 1 ? "Change speed" : "Slow down");
  byId("stop").disabled = !isLive() || crawl.state === "stopping";
  byId("requeue").hidden = !crawl.queue?.dead;
}

function showFigures() {
  const images = crawl.images ?? {}, galleries = crawl.galleries ?? {};
  const kept = (images.downloaded ?? 0) + (images.uptodate ?? 0) + (images.duplicate ?? 0);
  const average = crawl.seconds > 0 ? `${megabytes(crawl.bytes / crawl.seconds)}/s on average` : "";
  const left = typeof crawl.remaining === "number" ? clock(crawl.remaining) : "–";
  const figures = [
    ["Images here", count(kept), `of ${count(images.found)} found`],
    ["Images a second", tenth(isLive() ? crawl.rate : 0), crawl.seconds > 0 ? `${tenth((images.downloaded ?? 0) / crawl.seconds)} on average` : ""],
    ["Data", size(crawl.bytes), average],
    ["Galleries", count(galleries.scraped), `of ${count(galleries.found)} found`],
    ["Failed", count(images.failed), galleries.failed ? `and ${plural(galleries.failed, "page")}` : "", images.failed || galleries.failed ? "bad" : ""],
    ["Refused", count(images.refused), "by us, for a reason"],
    ["Time", clock(crawl.seconds), plural(crawl.workers?.length ?? 0, "worker")],
    ["To go", isLive() ? left : "–", isLive() && left === "–" ? "not known" : ""],
  ];
  sync(byId("figures"), figures, ([name]) => name,
    ([name]) => make("div", "", make("dt", "", name), make("dd"), make("dd")),
    (element, [, value, note, name = ""]) => {
      say(element.children[1], value);
      say(element.children[2], note);
      element.className = name;
    });
}

function showPictures() {
  const pictures = crawl.pictures ?? [];
  byId("no-pictures").hidden = pictures.length > 0;
  sync(byId("pictures"), pictures, (picture) => picture.key, (picture) => {
    const text = String(picture.title || picture.url || "");
    const image = make("img");
    image.alt = "";
    image.width = image.height = 112;
    image.loading = "lazy";
    image.decoding = "async";
    image.src = `picture/${encodeURIComponent(picture.key)}`;
    const element = link(text, picture.page || picture.url);
    element.title = text;
    if (element.localName !== "a") return make("li", "", image, element);
    element.prepend(image);
    return make("li", "", element);
  });
}

function showOutcomes() {
  const images = crawl.images ?? {}, reasons = crawl.reasons ?? {}, rows = [];
  const add = (name, number, kind = "", meaning = "") => rows.push({ name, number, kind, meaning });
  const under = (kind, found) => {
    for (const [reason, number] of Object.entries(found ?? {}).sort((a, b) => b[1] - a[1])) {
      add(reason, number, `reason ${kind}`, crawl.meanings?.[reason] ?? "");
    }
  };
  for (const status of OUTCOMES) {
    add(status, images[status], status);
    under(status, reasons[status]);
  }
  const galleries = crawl.galleries ?? {};
  add("galleries failed", galleries.failed, "galleries");
  under("galleries", reasons.galleries);
  if (galleries.not_reached) add("galleries not reached", galleries.not_reached, "galleries", "the crawl has not come to them");
  sync(byId("outcomes"), rows, ({ name, kind }) => `${kind} ${name}`, ({ kind, name }) => {
    const element = row(["", "number", "muted"], kind.startsWith("reason") ? "reason" : "");
    if (OUTCOMES.includes(kind)) element.cells[0].append(make("i", kind));
    element.cells[0].append(make("bdi", "", name));
    return element;
  }, (element, { number, meaning }) => {
    say(element.cells[1], count(number));
    say(element.cells[2], meaning);
  });
  showShares(images);
}

function showShares(images) {
  const all = OUTCOMES.map((status) => [status, images[status] ?? 0]);
  const sum = all.reduce((before, [, number]) => before + number, 0);
  const shares = byId("shares");
  let from = 0;
  sync(shares, sum ? all : [], ([status]) => status,
    ([status]) => {
      const part = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      part.setAttribute("class", status);
      part.setAttribute("height", "100%");
      return part;
    },
    (part, [, number]) => {
      part.setAttribute("x", `${(from / sum) * 100}%`);
      part.setAttribute("width", `${(number / sum) * 100}%`);
      from += number;
    });
  const said = all.filter(([, number]) => number).map(([status, number]) => `${count(number)} ${status}`).join(", ");
  shares.setAttribute("aria-label", said || "no images yet");
}

function showFailures() {
  const failures = crawl.failures ?? [];
  byId("no-failures").hidden = failures.length > 0;
  sync(byId("failures"), failures, ({ at, url, reason }) => `${at} ${reason} ${url}`, ({ at, url, reason, page }) => {
    const meaning = crawl.meanings?.[reason];
    const small = make("small", "", `${moment(at)}${meaning ? `, ${meaning}` : ""}`);
    if (page && page !== url) small.append(", on ", link(brief(page), page));
    return make("li", "", make("b", "", String(reason ?? "")), " ", link(brief(url), url), make("br"), small);
  });
}

function showWorkers() {
  const workers = crawl.workers ?? [];
  const cells = ["", "", "number", "number", "number wide", "number wide", "number wide", "number"];
  sync(byId("workers"), workers.slice(0, MOST_ROWS), (worker) => worker.name, () => row(cells), (element, worker) => {
    fill(element, [
      String(worker.name ?? ""), String(worker.state ?? ""), tenth(worker.rate), count(worker.images),
      tenth(worker.bytes / 1e6), count(worker.leases), megabytes(worker.memory),
      typeof worker.age === "number" ? `${Math.round(worker.age)} s ago` : "",
    ]);
    element.cells[1].className = ["silent", "killed"].includes(worker.state) ? "bad" : "";
  });
  const more = workers.length - MOST_ROWS;
  say(byId("more-workers"), more > 0 ? `and ${count(more)} more` : "");
  const queue = Object.entries(crawl.queue ?? {}).map(([name, number]) => [name, count(number)]);
  sync(byId("queue"), queue, ([name]) => name, ([name]) => make("div", "", make("dt", "", name), make("dd")),
    (element, [, number]) => say(element.children[1], number));
}

function showHosts() {
  const cells = ["", "number", "number", "number wide", "number wide", ""];
  sync(byId("hosts"), crawl.hosts ?? [], ({ host }) => host, () => row(cells), (element, host) => {
    fill(element, [
      String(host.host ?? ""), `${count(host.active)} of ${count(host.limit)}`, `${Number((host.delay ?? 0).toFixed(2))} s`,
      count(host.waiting), tenth(host.rate), String(host.slowed ?? ""),
    ]);
  });
}

let noticed = 0; // a timer: what was done is said for a while

function notice(text, isBad = false, seconds = 0) {
  const element = byId("notice");
  if (!text && noticed) return;
  clearTimeout(noticed);
  noticed = seconds ? setTimeout(() => { noticed = 0; notice(""); }, seconds * 1000) : 0;
  say(element, text);
  element.classList.toggle("bad", isBad);
}

// ---- what is asked for ---------------------------------------------------------------------------------------------

const all = () => {
  const number = crawl.workers?.length ?? 0;
  return number > 1 ? `all ${count(number)} workers` : "the crawl";
};
const QUESTIONS = {
  pause: () => ["pause", `Pause ${all()}?`, "Nothing new is asked for until you resume. What is under way is done, and pages stay with their workers.", "Pause"],
  resume: () => ["resume", `Let ${all()} go on?`, "They ask for pages and images again, as politely as before.", "Resume"],
  slow: () => ["slow", `How fast may ${all()} be?`, "Every host is asked less often, for as long as this crawl runs. No host is ever asked faster than its own limits allow.", "Set speed"],
  requeue: () => ["requeue", `Put ${plural(crawl.queue?.dead ?? 0, "dead page")} back?`, "Pages that were given up are queued again, with all their tries.", "Put back"],
  stop: () => ["stop", `Stop ${all()}?`, "As Ctrl-C does: what is under way is done, the rest stays queued, and the same command goes on with it later.", "Stop"],
};

function ask(name) {
  const [action, title, text, yes] = QUESTIONS[name]();
  const dialog = byId("question");
  say(byId("question-title"), title);
  say(byId("question-text"), text);
  byId("question-factor").hidden = action !== "slow";
  say(byId("yes"), yes);
  byId("yes").className = action === "stop" ? "main danger" : "main";
  dialog.returnValue = "no";
  dialog.onclose = () => dialog.returnValue === "yes" && order(action);
  dialog.showModal();
  (action === "slow" ? byId("factor") : action === "stop" ? byId("no") : byId("yes")).focus();
}

async function order(action) {
  const wanted = action === "slow" ? { action, factor: Number(byId("factor").value) } : { action };
  try {
    const response = await fetch("control", {
      method: "POST", body: JSON.stringify(wanted), cache: "no-store", credentials: "omit",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    });
    const text = await response.text();
    const answer = response.headers.get("Content-Type")?.startsWith("application/json") ? JSON.parse(text) : { error: text };
    notice(answer.done ?? answer.error, !response.ok, 8);
  } catch {
    notice("It could not be passed on: the server of this page does not answer.", true, 8);
  }
}

for (const factor of [1, 2, 4, 8, 16, 32]) {
  const option = make("option", "", factor === 1 ? "as long as usual" : `${factor} times as long`);
  option.value = String(factor);
  option.defaultSelected = factor === 4;
  byId("factor").append(option);
}
byId("pause").addEventListener("click", () => ask(crawl.control?.paused ? "resume" : "pause"));
for (const name of ["slow", "requeue", "stop"]) byId(name).addEventListener("click", () => ask(name));

// ---- what the server sends -----------------------------------------------------------------------------------------

let token = "";
let listening = null; // an AbortController

function enter() {
  const given = location.hash.slice(1);
  if (given) {
    sessionStorage.setItem(KEPT, given);
    history.replaceState(null, "", location.pathname); // so that nobody reads it there
  }
  token = given || sessionStorage.getItem(KEPT) || "";
  byId("entry").hidden = Boolean(token);
  listening?.abort();
  if (token) listen();
  else byId("token").focus();
}

async function listen() {
  const control = (listening = new AbortController());
  for (let wait = 1; !control.signal.aborted; wait = Math.min(wait * 2, 15)) {
    try {
      await receive(control.signal, () => { wait = 1; });
    } catch (error) {
      if (control.signal.aborted) return;
      if (error.name === "Refused") return refuse();
    }
    document.body.classList.add("stale");
    notice("The server of this page does not answer; trying again.", true);
    await new Promise((done) => setTimeout(done, wait * 1000));
  }
}

function refuse() {
  sessionStorage.removeItem(KEPT);
  byId("view").hidden = byId("controls").hidden = true;
  notice("");
  enter();
}

async function receive(signal, onChange) {
  const headers = { Authorization: `Bearer ${token}`, Accept: "text/event-stream" };
  const response = await fetch("events", { headers, signal, cache: "no-store", credentials: "omit" });
  if (response.status === 401) throw Object.assign(new Error(), { name: "Refused" });
  if (!response.ok) throw new Error();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      onChange();
      if (event.startsWith("data: ")) take(JSON.parse(event.slice(6)));
    }
  }
}

byId("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEPT, byId("token").value.trim().replace(/^.*#/, ""));
  byId("token").value = "";
  enter();
});
addEventListener("hashchange", enter);
document.addEventListener("visibilitychange", () => {
  // A telephone in a pocket asks for nothing.
  if (document.hidden) listening?.abort();
  else enter();
});
enter();
