// Puts marks on the page: as SVG, or, if they are too many for that, on a canvas.
//
// A mark is {ids, x, y, width, height, rx, fill, stroke, dashed, cross, lines, white, tip()} in the units
// of the drawing, a link {x, y, toX, toY, from, to}.  The canvas lies over the scrolled frame and
// shows the part of the drawing that is in view, at the screen's own resolution; it lets pointers
// through to the SVG under it, which keeps titles, axes and what is selected.  `field` tells
// interact() where marks are: {ids(), areas(id), at(point), look(), drawing()}.
const MOST_IN_SVG = 2000, NEAR = 3, LETTER = 7.1;
const NS = "http://www.w3.org/2000/svg";

function add(into, tag, more, text) {
  const mark = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(more)) mark.setAttribute(name, value);
  if (text !== undefined) mark.textContent = text;
  return into.appendChild(mark);
}
const short = (name, most) => (name.length > most ? `${name.slice(0, most - 1)}…` : name);
const base = (mark, at) => mark.y + mark.height / 2 + 4 + (at - (mark.lines.length - 1) / 2) * 16;

function paintSvg(svg, marks, links) {
  for (const { x, y, toX, toY, from, to } of links) {
    const half = (toX - x) / 2;
    add(svg, "path", { d: `M${x} ${y}C${x + half} ${y} ${toX - half} ${toY} ${toX} ${toY}`, fill: "none",
      stroke: "var(--soft)", "data-from": from, "data-to": to });
    add(svg, "path", { d: `M${toX} ${toY}l-7 -4v8z`, fill: "var(--soft)" });
  }
  for (const mark of marks) {
    const { x, y, width, height, rx, fill } = mark;
    const shape = add(svg, "rect", { x, y, width, height, rx, fill, "data-task": mark.ids.join(" "),
      ...(mark.stroke ? { stroke: mark.stroke } : {}), ...(mark.dashed ? { "stroke-dasharray": "4 3" } : {}) });
    add(shape, "title", {}, mark.tip());
    if (mark.cross && width > 12) {
      add(svg, "path", { d: `M${x + width / 2 - 4} ${y + height / 2 - 4}l8 8m-8 0l8 -8`, stroke: "#fff",
        "stroke-width": 2 });
      continue;
    }
    mark.lines.forEach((line, at) => {
      if (width > LETTER * line.length + 4) add(svg, "text", { x: x + width / 2, y: base(mark, at),
        class: `${mark.white ? "on " : ""}c${at ? "" : " m"}`, "pointer-events": "none" }, line);
    });
  }
}

function canvasOver(place, frame, svg) {
  let marks = [], links = [], byId = new Map(), asked = 0;
  const canvas = place.appendChild(document.createElement("canvas"));
  canvas.className = "pl-canvas";
  canvas.style.cssText = "position:absolute;left:0;top:0;pointer-events:none;display:none";
  const tip = place.appendChild(document.createElement("div"));
  tip.className = "pl-hover";
  tip.style.cssText = "position:absolute;pointer-events:none;display:none;font-size:11px;padding:2px 6px;" +
    "border:1px solid var(--ink);background:var(--paper);color:var(--ink);white-space:pre;z-index:1";
  const point = (event) => new DOMPoint(event.clientX, event.clientY)
    .matrixTransform(svg.getScreenCTM().inverse());

  const paint = () => {
    asked = 0;
    const to = svg.getScreenCTM(), wide = frame.clientWidth, high = frame.clientHeight;
    if (!marks.length || !to || !wide) return;
    const box = frame.getBoundingClientRect(), dots = window.devicePixelRatio || 1;
    canvas.style.left = `${frame.offsetLeft}px`;
    canvas.style.top = `${frame.offsetTop}px`;
    canvas.style.width = `${wide}px`;
    canvas.style.height = `${high}px`;
    canvas.width = Math.round(wide * dots);
    canvas.height = Math.round(high * dots);
    const scale = to.a, shiftX = to.e - box.left, shiftY = to.f - box.top;
    const draw = canvas.getContext("2d"), style = getComputedStyle(svg), known = {};
    const colour = (name) => name.startsWith("var(")
      ? (known[name] ??= style.getPropertyValue(name.slice(4, -1)).trim() || "#808890") : name;
    canvas.style.color = style.color;
    const isSeen = (x, right) => right * scale + shiftX > 0 && x * scale + shiftX < wide;
    draw.setTransform(dots * scale, 0, 0, dots * to.d, dots * shiftX, dots * shiftY);
    draw.strokeStyle = colour("var(--soft)");
    draw.lineWidth = 1 / scale;
    draw.beginPath();
    for (const { x, y, toX, toY } of links) {
      if (!isSeen(Math.min(x, toX), Math.max(x, toX))) continue;
      draw.moveTo(x, y);
      draw.bezierCurveTo((x + toX) / 2, y, (x + toX) / 2, toY, toX, toY);
    }
    draw.stroke();
    draw.textAlign = "center";
    for (const mark of marks) {
      const { x, y, height } = mark, width = Math.max(mark.width, 0.6 / scale);
      if (!isSeen(x, x + width)) continue;
      draw.fillStyle = colour(mark.fill);
      draw.fillRect(x, y, width, height);
      if (mark.stroke && width * scale > 3) {
        draw.strokeStyle = colour(mark.stroke);
        draw.setLineDash(mark.dashed ? [4 / scale, 3 / scale] : []);
        draw.strokeRect(x, y, width, height);
      }
      if (mark.cross && width * scale > 8) {
        draw.setLineDash([]);
        draw.strokeStyle = "#fff";
        draw.beginPath();
        draw.moveTo(x + width / 2 - 3, y + height / 2 - 3);
        draw.lineTo(x + width / 2 + 3, y + height / 2 + 3);
        draw.moveTo(x + width / 2 + 3, y + height / 2 - 3);
        draw.lineTo(x + width / 2 - 3, y + height / 2 + 3);
        draw.stroke();
        continue;
      }
      const room = Math.floor((width * scale - 4) / LETTER);
      if (room < 3 || height * scale < 12) continue;
      draw.fillStyle = mark.white ? "#fff" : colour("var(--ink)");
      mark.lines.forEach((line, at) => {
        draw.font = `${mark.white ? "bold " : ""}${11.5 / scale}px ${at ? "system-ui, sans-serif" : "ui-monospace, monospace"}`;
        draw.fillText(short(line, room), x + width / 2, base(mark, at));
      });
    }
  };
  const look = () => {
    asked ||= requestAnimationFrame(paint);
  };
  const at = (event) => {
    const { x, y } = point(event), far = NEAR / svg.getScreenCTM().a;
    let found = null, least = far;
    for (const mark of marks) { // the last one that is drawn lies on top
      if (y < mark.y || y > mark.y + mark.height) continue;
      const distance = Math.max(0, mark.x - x, x - mark.x - mark.width);
      if (distance <= least) [found, least] = [mark, distance];
    }
    return found;
  };
  const hover = (event) => {
    const mark = marks.length && !event.buttons ? at(event) : null;
    svg.style.cursor = mark ? "pointer" : "";
    tip.style.display = mark ? "block" : "none";
    if (!mark) return;
    tip.textContent = mark.tip();
    const box = place.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX - box.left + 12, box.width - tip.offsetWidth)}px`;
    tip.style.top = `${event.clientY - box.top + 16}px`;
  };
  const leave = () => (tip.style.display = "none");
  svg.addEventListener("pointermove", hover);
  svg.addEventListener("pointerleave", leave);
  frame.addEventListener("scroll", look);
  window.addEventListener("resize", look); // it is sent for another resolution, too
  const sizes = new ResizeObserver(look), theme = new MutationObserver(look);
  sizes.observe(frame);
  theme.observe(document.body, { attributes: true });
  const area = (mark) => ({ x: mark.x, y: mark.y, right: mark.x + mark.width, bottom: mark.y + mark.height,
    middle: mark.y + mark.height / 2 });
  const field = {
    ids: () => marks.map((mark) => mark.ids[0]),
    areas: (id) => (byId.has(id) ? [area(byId.get(id))] : []),
    at: (event) => at(event)?.ids.join(" "),
    look,
    // Everything as SVG, to be copied.
    drawing() {
      const copy = svg.cloneNode(true);
      paintSvg(copy, marks, links);
      return copy;
    },
  };
  return {
    get field() { return marks.length ? field : null; },
    show(newMarks, newLinks) {
      [marks, links] = [newMarks, newLinks];
      byId = new Map(marks.flatMap((mark) => mark.ids.map((id) => [id, mark])));
      canvas.style.display = marks.length ? "block" : "none";
      if (!marks.length) leave();
      look();
    },
    forget() {
      cancelAnimationFrame(asked);
      sizes.disconnect();
      theme.disconnect();
      window.removeEventListener("resize", look);
    },
  };
}
