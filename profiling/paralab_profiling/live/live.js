// Draws what frames tell (live/frames.py): a timeline, a folded graph, or how far functions are.
// It keeps the whole run, so selecting asks no kernel, and works while a cell is blocked in get.
const WIDE = 760, LEFT = 128, RIGHT = 744, FAILURE = "#d5372b";
const INK = "var(--ink)", SOFT = "var(--soft)", IDLE = "var(--idle)";
const STYLE = `.pl-live,.pl-hover{--ink:var(--jp-ui-font-color1,currentColor);
--soft:var(--jp-ui-font-color2,#808890);--paper:var(--jp-layout-color0,Canvas);
--idle:var(--jp-layout-color2,#80808033)}
.pl-live text{font:12px system-ui,sans-serif;fill:var(--ink);font-variant-numeric:tabular-nums}
.pl-live .m{font-family:ui-monospace,monospace;font-size:11.5px}.pl-live .s{fill:var(--soft);
font-size:11px}.pl-live .h{font-size:15px;font-weight:650}.pl-live .e{text-anchor:end}
.pl-live .c{text-anchor:middle}.pl-live .on{fill:#fff;font-weight:700}`;
// As three_digits() and duration() of svg.py.
function threeDigits(number) {
  if (!number) return "0";
  // What lies in the middle goes to the even digit, as in Python; toPrecision() rounds it up.
  const tie = number.toExponential(60).match(/^(-?\d\.\d[02468])50*(e.*)$/);
  const rounded = Number(tie ? tie[1] + tie[2] : number.toPrecision(3));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(rounded))));
  if (digits < formats.length) return formats[digits].format(rounded);
  return rounded.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}
// To make one takes longer than to use it a hundred times.
const formats = [0, 1, 2, 3, 4, 5, 6].map((digits) => new Intl.NumberFormat("en-US",
  { minimumFractionDigits: digits, maximumFractionDigits: digits }));
function time(ms) {
  const seconds = ms / 1000, size = Math.abs(seconds);
  if (size >= 0.9995) return `${threeDigits(seconds)} s`;
  return size >= 0.9995e-3 ? `${threeDigits(seconds * 1e3)} ms` : `${threeDigits(seconds * 1e6)} µs`;
}
// As byte_count() of details.py; of whole numbers.
function bytes(count) {
  if (count < 1000) return `${count} B`;
  const unit = ["kB", "MB", "GB"].find(() => (count /= 1000) < 999.5);
  return unit ? `${threeDigits(count)} ${unit}` : `${threeDigits(count / 1000)} TB`;
}

// What is known: frames add to it, frame 0 begins it.
function whole() {
  const known = { n: -1, now: 0, more: 0, run: "", lanes: new Map(), tasks: new Map(), counts: new Map(),
    drivers: new Map(), errors: new Map(), prints: new Map(), sources: new Map() };
  const texts = ["drivers", "errors", "prints", "sources"];
  known.take = (frame) => {
    if (frame.svg !== undefined) return Object.assign(known, frame), true; // always the whole
    if (frame.n !== 0 && frame.n !== known.n + 1) return false;
    if (frame.n === 0) ["lanes", "tasks", "counts", ...texts].forEach((each) => known[each].clear());
    Object.assign(known, { n: frame.n, now: frame.now, more: frame.more, run: frame.run || known.run });
    frame.lanes.forEach(([id, name]) => known.lanes.set(id, name));
    frame.gone.forEach((id) => known.tasks.delete(id));
    frame.tasks.forEach((task) => known.tasks.set(task[0], task));
    frame.counts.forEach((count) => known.counts.set(count[0], count));
    texts.forEach((each) => frame[each]?.forEach(([of, text]) => known[each].set(of, text)));
    return true;
  };
  known.colour = (name) => known.counts.get(name)?.[1] || "#808890";
  known.sum = (at) => [...known.counts.values()].reduce((sum, count) => sum + count[at], 0);
  return known;
}

const many = (count) => formats[0].format(count);
function headline(svg, known, note) {
  const [done, failed, running, waiting] = [2, 3, 4, 5].map(known.sum);
  const total = done + failed + running + waiting;
  const title = `${many(done)} of ${many(total)} tasks done${failed ? `, ${many(failed)} failed ✕` : ""}, ${
    many(running)} running`;
  add(svg, "text", { x: 16, y: 26, class: "h" }, title);
  add(svg, "text", { x: 16, y: 44, class: "s" },
    `${time(known.now)} so far; ${note}${known.more ? `; + ${many(known.more)} more, not drawn` : ""}`);
  svg.setAttribute("aria-label", title);
}

function drawTimeline(svg, known) {
  headline(svg, known, "a bar is a task, from start to end");
  const lanes = [...known.lanes], scale = (RIGHT - LEFT) / (known.now || 1), marks = [];
  lanes.forEach(([, name], at) => {
    add(svg, "text", { x: LEFT - 8, y: 71 + 26 * at, class: "e" }, short(name, 18));
    add(svg, "rect", { x: LEFT, y: 56 + 26 * at, width: RIGHT - LEFT, height: 22, fill: IDLE, opacity: 0.5 });
  });
  const row = new Map(lanes.map(([id], at) => [id, at]));
  for (const task of known.tasks.values()) {
    const [id, name, lane, start, end, state] = task;
    if (lane === null || start === null || !row.has(lane) || state === "sent") continue;
    const failed = state === "failed", taken = (end ?? known.now) - start, call = task[7][5] || name;
    const ran = end === null ? taken : ranFor(task);
    marks.push({ ids: [id], x: LEFT + start * scale, y: 58 + 26 * row.get(lane), rx: 2, height: 18,
      width: Math.max(0.6, taken * scale), fill: failed ? FAILURE : known.colour(name), cross: failed,
      lines: [call], white: true, tip: () => `${call}: ${state === "running" ? "running for " : ""}${time(ran)}` });
  }
  const bottom = 60 + 26 * lanes.length;
  for (const part of [0, 0.5, 1])
    add(svg, "text", { x: LEFT + (RIGHT - LEFT) * part, y: bottom + 12,
      class: part === 1 ? "s e" : part ? "s c" : "s" }, part === 1 ? `now: ${time(known.now)}` : part ? time(known.now * part) : "0");
  return { high: bottom + 24, marks };
}

function drawProgress(svg, known) {
  headline(svg, known, "solid: done, red with ✕: failed, pale: it runs, outlined: it waits");
  let y = 58;
  for (const [name, colour, ...parts] of [...known.counts.values()].slice(0, 15)) {
    const total = parts.reduce((a, b) => a + b, 0) || 1;
    add(svg, "text", { x: LEFT + 14, y: y + 15, class: "m e" }, short(name, 19));
    let x = LEFT + 22;
    parts.forEach((part, at) => {
      const width = (380 * part) / total;
      if (part) add(svg, "rect", { x, y, width: Math.max(0.6, width), height: 20, rx: 2,
        fill: [colour, FAILURE, IDLE, "none"][at], stroke: at > 1 ? SOFT : "none",
        "stroke-dasharray": at > 2 ? "4 3" : "none" });
      if (at === 1 && width > 12)
        add(svg, "path", { d: `M${x + width / 2 - 4} ${y + 6}l8 8m-8 0l8 -8`, stroke: "#fff", "stroke-width": 2 });
      x += width;
    });
    add(svg, "text", { x: LEFT + 410, y: y + 15, class: "s" }, `${many(parts[0])} of ${many(total)}` +
      (parts[1] ? `, ${many(parts[1])} failed` : "") + (parts[2] ? `, ${many(parts[2])} running` : ""));
    y += 26;
  }
  return { high: y + 8 };
}

// What Python has drawn; the outer element stays, because it has the listeners.
function drawDrawn(svg, known) {
  const drawn = new DOMParser().parseFromString(known.svg, "image/svg+xml").documentElement;
  svg.replaceChildren(...[...drawn.childNodes].map((node) => document.importNode(node, true)));
  svg.setAttribute("aria-label", drawn.getAttribute("aria-label"));
  const [, , wide, high] = drawn.getAttribute("viewBox").split(" ").map(Number);
  return { high, wide };
}

// Draws at most so often, and a page that is slow at it less often: it has other things to do, and
// work runs beside it.  The last that was asked for is always drawn.
const IDLE_TIMES = 3;
function atMostEvery(ms, draw) {
  let next = -Infinity, waits = null;
  const now = () => {
    waits = null;
    const began = performance.now();
    draw();
    next = Math.max(began + ms, performance.now() * (1 + IDLE_TIMES) - began * IDLE_TIMES);
  };
  const ask = () => {
    const left = next - performance.now();
    if (left <= 0) now();
    else waits ??= setTimeout(now, left);
  };
  return { ask, forget: () => clearTimeout(waits) };
}

function render({ model, el }) {
  const kinds = { timeline: drawTimeline, graph: drawGraph, progress: drawProgress };
  const draw = kinds[model.get("kind")] || drawDrawn;
  const known = whole(), place = document.createElement("div");
  place.className = "pl-picture";
  const frame = place.appendChild(document.createElement("div"));
  frame.style.cssText = "max-height:440px;overflow:auto";
  const svg = add(frame, "svg", { viewBox: `0 0 ${WIDE} 60`, width: "100%", class: "pl pl-live" });
  const style = place.appendChild(document.createElement("style"));
  style.textContent = STYLE;
  el.append(place);
  const canvas = canvasOver(place, frame, svg);
  const data = { get run() { return known.run; }, get field() { return canvas.field; }, ...told(known),
    takes: new Proxy({}, { get: (_, id) => known.tasks.get(id)?.[6], ownKeys: () => [...known.tasks.keys()],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) }) };
  let usable = null;
  const show = () => {
    svg.replaceChildren();
    const { high, wide = WIDE, marks = [], links = [] } = draw(svg, known);
    const isMany = marks.length > MOST_IN_SVG;
    if (!isMany) paintSvg(svg, marks, links);
    usable ??= interact(place, data);
    usable.resize(wide, Math.round(high));
    canvas.show(isMany ? marks : [], links);
    usable.refresh();
  };
  // What grows is motion too: who wants less of it sees a new picture every two seconds.
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pace = atMostEvery(calm ? 2000 : 0, show);
  const update = () => {
    const news = model.get("frame");
    if (known.take(news)) pace.ask();
    else if (news.n !== known.n) model.send("whole");
  };
  model.on("change:frame", update);
  update();
  return () => {
    model.off("change:frame", update);
    pace.forget();
    canvas.forget();
    usable?.forget();
  };
}
export default { render };
