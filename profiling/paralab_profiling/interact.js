// Makes a picture usable where scripts run: in a notebook, saved or live, without a kernel.
//
// `place` holds the picture (an <img> of an SVG, or the SVG) and its table.  `data` says of the
// tasks: {run, facts: {id: {name: text}}, sources: {name: {file, line, text}}, takes: {id: [ids]},
// trace (gzip, base64)}.  Marks carry data-task, one id or several with spaces between; arrows
// data-from and data-to.  What is selected is told to all pictures of the run by an event on the document; they
// outline it, and the one where it was selected tells the facts.
// `data.field`, if there is one, tells of marks on a canvas: {ids(), areas(id), at(event), look(),
// drawing()}, see live/marks.js.
// `zoomable` is that of profilers/zoom.js if the picture is of frames: a click zooms into one, too.
// All text becomes text nodes, never markup.  Nothing moves, so no motion has to be reduced.
function interact(place, data, zoomable) {
  if (place.dataset.usable) return null;
  place.dataset.usable = "yes";
  const make = (tag, text = "", more = {}) =>
    Object.assign(document.createElement(tag), { textContent: text }, more);
  const draw = (tag, more, into) => {
    const mark = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(more)) mark.setAttribute(name, value);
    return into.appendChild(mark);
  };

  // The image's own SVG in its place takes the page's theme and can be pointed at.
  const image = place.querySelector("img");
  let svg = place.querySelector("svg"), text = "";
  if (image) {
    const bytes = Uint8Array.from(atob(image.src.split(",")[1]), (c) => c.charCodeAt(0));
    text = new TextDecoder().decode(bytes);
    const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    svg = document.importNode(parsed, true);
    image.replaceWith(svg);
  }
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("role", "group");
  svg.setAttribute("data-lm-suppress-shortcuts", "true");
  place.append(make("style", `
.pl-picture{position:relative;max-width:760px}.pl-picture [data-task]{cursor:pointer}
.pl-picture svg:focus-visible{outline:2px solid #3b78e0;outline-offset:-2px}
.pl-picture .pl .pl-near{display:inline;stroke:var(--ink);stroke-width:2}
.pl-tell{max-height:300px;overflow:auto;font-size:12px;margin:4px 16px}
.pl-picture .pl-tell table{margin:0;width:auto}
.pl-picture .pl-tell tr td{padding:1px 12px 1px 0;text-align:left;vertical-align:top;
white-space:pre-wrap;max-width:none}.pl-picture .pl-tell tr td:first-child{white-space:nowrap}
.pl-tell pre{font-size:11.5px;margin:4px 0;white-space:pre-wrap}
.pl-menu{position:absolute;top:4px;right:4px;font-size:12px;text-align:right}
.pl-menu summary{list-style:none;cursor:pointer;padding:0 8px}
.pl-menu button{display:block;width:100%;font:inherit;text-align:left}`));
  const tell = make("div", "", { className: "pl-tell" });
  tell.setAttribute("role", "status");
  const table = place.querySelector("details");
  place.insertBefore(tell, table);

  const marks = () => [...svg.querySelectorAll("[data-task]")];
  const of = (task) => [...svg.querySelectorAll(`[data-task~="${CSS.escape(task)}"]`)];
  const arrows = () => [...svg.querySelectorAll("[data-from]")];
  const has = (task) => (data.field ? data.field.areas(task) : of(task)).length > 0;
  const both = (ids, found) => [...new Set([...ids, ...found])].filter(has);
  const before = (task) => both(data.takes[task] || [],
    arrows().filter((a) => a.dataset.to === task).map((a) => a.dataset.from));
  const after = (task) => both(
    Object.keys(data.takes).filter((id) => data.takes[id].includes(task)),
    arrows().filter((a) => a.dataset.from === task).map((a) => a.dataset.to));

  // Where a mark lies, in the drawing's own units, whatever groups it stands in.
  const area = (mark) => {
    const at = mark.getBBox(), to = svg.getScreenCTM().inverse().multiply(mark.getScreenCTM());
    const one = new DOMPoint(at.x, at.y).matrixTransform(to);
    const two = new DOMPoint(at.x + at.width, at.y + at.height).matrixTransform(to);
    return { x: one.x, y: one.y, right: two.x, bottom: two.y, middle: (one.y + two.y) / 2 };
  };
  const areas = (task) => data.field?.areas(task) || of(task).map(area);
  let selected = null, over = null, isHere = false;
  const link = (from, to) => {
    if (arrows().some((a) => a.dataset.from === from && a.dataset.to === to)) return;
    const [a] = areas(from), [b] = areas(to);
    const bend = Math.max(12, Math.abs(b.x - a.right) / 2);
    draw("path", { fill: "none", stroke: "var(--ink)", "stroke-width": 1.5, class: "pl-link",
      d: `M${a.right} ${a.middle}C${a.right + bend} ${a.middle} ${b.x - bend} ${b.middle} ${b.x} ${
        b.middle}` }, over);
    draw("circle", { cx: b.x, cy: b.middle, r: 2.5, fill: "var(--ink)" }, over);
  };
  const show = () => {
    over?.remove();
    arrows().forEach((arrow) => arrow.classList.toggle("pl-near",
      selected !== null && [arrow.dataset.from, arrow.dataset.to].includes(selected)));
    if (selected === null || !svg.getScreenCTM()) return;
    over = draw("g", { class: "pl-selected", "pointer-events": "none" }, svg);
    const rings = frames ? of(selected).filter((mark) => mark.tagName !== "rect") : [];
    for (const mark of rings) {
      const same = over.appendChild(mark.cloneNode());
      same.removeAttribute("data-task");
      same.setAttribute("style", "fill:none;stroke:var(--ink);stroke-width:4px");
    }
    for (const at of rings.length ? [] : areas(selected)) {
      draw("rect", { x: at.x - 3, y: at.y - 3, width: at.right - at.x + 6, rx: 4, fill: "none",
        height: at.bottom - at.y + 6, stroke: "var(--ink)", "stroke-width": 2 }, over);
    }
    if (!has(selected) || frames) return;
    before(selected).forEach((id) => link(id, selected));
    after(selected).forEach((id) => link(selected, id));
  };
  // A live picture asks for it ten times a second, while somebody reads or copies the text.
  let told = "";
  const explain = () => {
    const isTold = selected !== null && isHere, rows = make("table");
    const facts = isTold ? data.facts[selected] : null, source = facts && data.sources[facts.source];
    const all = JSON.stringify([isTold && selected, facts, source]);
    if (all === told) return;
    told = all;
    tell.replaceChildren();
    if (!isTold) return;
    if (!facts) {
      tell.append(`Task ${selected}: this picture keeps no details of it.`);
      return;
    }
    for (const [name, value] of Object.entries(facts)) {
      if (name === "source") continue;
      const row = rows.appendChild(make("tr"));
      row.append(make("td", name), make("td", value));
    }
    tell.append(rows);
    if (source) tell.append(`${source.file}:${source.line}`, make("pre", source.text));
  };
  const refresh = () => {
    show();
    explain();
  };
  const hear = (task, here) => {
    [selected, isHere] = [task, here];
    refresh();
  };
  const chosen = (window.paralabChosen ??= {});
  const choose = (task) => {
    chosen[data.run] = task;
    document.dispatchEvent(
      new CustomEvent("paralab-select", { detail: { run: data.run, task, place } }));
  };
  const heard = ({ detail }) => {
    if (detail.run === data.run) hear(detail.task, detail.place === place);
  };
  document.addEventListener("paralab-select", heard);

  // Zoom and pan by the viewBox; the picture never leaves its frame.
  let whole = svg.getAttribute("viewBox").split(" ").map(Number);
  let view = [...whole];
  const look = (x, y, width) => {
    width = Math.min(whole[2], Math.max(whole[2] / 50, width));
    const height = (width * whole[3]) / whole[2];
    const within = (at, least, most) => Math.min(Math.max(at, least), most);
    view = [within(x, whole[0], whole[0] + whole[2] - width),
      within(y, whole[1], whole[1] + whole[3] - height), width, height];
    svg.setAttribute("viewBox", view.map((n) => +n.toFixed(2)).join(" "));
    data.field?.look();
  };
  // A live picture draws itself anew: its frame grows, and what is looked at stays in view.
  const resize = (width, height) => {
    if (width === whole[2] && height === whole[3]) return;
    const isWhole = view[2] === whole[2];
    whole = [0, 0, width, height];
    look(view[0], view[1], isWhole ? width : view[2]);
  };
  const frames = data.zoom && zoomable?.(svg, data, draw, resize);
  const zoom = (factor, x = 0.5, y = 0.5) => {
    const width = Math.min(whole[2], view[2] * factor), less = 1 - width / view[2];
    look(view[0] + view[2] * less * x, view[1] + view[3] * less * y, width);
  };
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    zoom(Math.exp(event.deltaY / 300), (event.clientX - box.left) / box.width,
      (event.clientY - box.top) / box.height);
  }, { passive: false });
  // A live picture may have drawn its marks anew between press and release.
  let drag = null, moved = false, pressed;
  svg.addEventListener("pointerdown", (event) => {
    moved = false;
    pressed = event.target.closest("[data-task]")?.dataset.task ?? data.field?.at(event);
    if (event.button === 0 && event.pointerType !== "touch")
      drag = { x: event.clientX, y: event.clientY, view: [...view] };
  });
  svg.addEventListener("pointermove", (event) => {
    if (!drag || !(event.buttons & 1)) return;
    const scale = drag.view[2] / svg.getBoundingClientRect().width;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (Math.abs(x) + Math.abs(y) > 4) moved = true;
    if (moved) look(drag.view[0] - x * scale, drag.view[1] - y * scale, drag.view[2]);
  });
  svg.addEventListener("pointerup", () => {
    drag = null;
    if (pressed && !moved) {
      frames?.into(pressed);
      choose(pressed.split(" ")[0]);
      if (frames) of(pressed)[0]?.scrollIntoView({ block: "nearest" });
    }
    svg.focus({ preventScroll: true });
  });
  const reset = () => {
    frames?.back();
    look(...whole);
    refresh();
  };
  svg.addEventListener("dblclick", reset);

  // Left and right follow what a task took and what took it; up and down its neighbours drawn.
  const step = (by) => {
    const drawn = data.field?.ids() || marks().map((mark) => mark.dataset.task.split(" ")[0]);
    const ids = [...new Set(drawn)];
    return ids[Math.max(0, Math.min(ids.length - 1, ids.indexOf(selected) + by))];
  };
  const keys = {
    ArrowRight: () => (selected === null ? step(1) : after(selected)[0]),
    ArrowLeft: () => (selected === null ? step(1) : before(selected)[0]),
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
    Escape: () => frames?.back() ?? null,
    Enter: () => (frames && selected !== null ? frames.into(selected) ?? selected : undefined),
    "+": () => zoom(0.8),
    "-": () => zoom(1.25),
    0: reset,
  };
  svg.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const task = keys[event.key]();
    if (task === undefined) return;
    choose(task);
    const shown = task === null ? null : data.field ? over?.firstChild : of(task)[0];
    shown?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  const menu = make("details", "", { className: "pl-menu" });
  const entry = (label, act) => {
    const button = menu.appendChild(make("button", label, { type: "button" }));
    button.onclick = async () => {
      button.textContent = (await act()) || label;
    };
  };
  menu.append(make("summary", "⋯", { title: "what can be done with this picture" }));
  // What is seen: the drawing as it came, or what of it was zoomed to.
  const seen = () => {
    if (text && view[2] === whole[2] && (frames?.isWhole() ?? true)) return text;
    const copy = data.field?.drawing() || svg.cloneNode(true);
    copy.querySelector(".pl-selected")?.remove();
    ["tabindex", "data-lm-suppress-shortcuts"].forEach((name) => copy.removeAttribute(name));
    copy.setAttribute("role", "img");
    return new XMLSerializer().serializeToString(copy);
  };
  entry("copy as SVG", async () => navigator.clipboard.writeText(seen())
    .then(() => "copied", () => "not allowed here"));
  if (table) entry("as a table", () => void (table.open = !table.open));
  if (frames) entry("show all frames", reset);
  if (data.trace) entry("open in Perfetto", () => {
    const there = "https://ui.perfetto.dev", tab = window.open(there);
    const ask = setInterval(() => tab.closed ? clearInterval(ask) : tab.postMessage("PING", there), 50);
    addEventListener("message", function answer(event) {
      if (event.source !== tab || event.data !== "PONG") return;
      clearInterval(ask);
      removeEventListener("message", answer);
      // It is packed with gzip, which Perfetto opens as it is.
      const buffer = Uint8Array.from(atob(data.trace), (c) => c.charCodeAt(0)).buffer;
      tab.postMessage({ perfetto: { buffer, title: "paralab" } }, there);
    });
  });
  place.append(menu);
  if (data.run in chosen) hear(chosen[data.run], false);
  return { refresh, resize, forget: () => document.removeEventListener("paralab-select", heard) };
}
