// Draws what is below one frame of a profile in the whole width, as icicle.py and sunburst.py draw
// the whole: so frames that were too small to be drawn can be seen.
//
// `zoom` is what zoom.py wrote; of a row [caller, start, width, look, label, share, is answer], start
// and width are shares of everything.  The first drawing is kept and comes back.
// `draw(tag, attributes, into)` makes a mark; all text becomes text nodes.
function zoomable(svg, { zoom, facts }, draw, resize) {
  const { rows, shape, fills, mono } = zoom, isRound = shape === "sunburst";
  const stage = svg.querySelector(".pl-frames"), below = svg.querySelector(".pl-below");
  const rest = svg.querySelector(".pl-rest"), first = [...stage.childNodes], told = rest?.textContent;
  const height = +svg.getAttribute("viewBox").split(" ")[3], paper = svg.querySelector(":scope > rect");
  let at = 0;

  const key = (number) => `frame${number}`;
  const tip = (number) => {
    const of = facts[key(number)];
    return `${rows[number][4]}  ${of?.where ?? ""}: ${of?.total ?? rows[number][5]}`;
  };
  const mark = (tag, number, more) => {
    const [, , , look, , , isAnswer] = rows[number];
    const [fill, outline] = more.fill ? [more.fill, more.stroke] : fills[look];
    const stroke = isAnswer ? "var(--ink)" : outline || (isRound ? "var(--paper)" : "none");
    const made = draw(tag, { ...more, fill, stroke, "stroke-width": isAnswer ? 2 : 1,
      "data-task": key(number) }, stage);
    draw("title", {}, made).textContent = tip(number);
  };
  const label = (x, y, text, style) =>
    draw("text", { x: x.toFixed(1), y: y.toFixed(1), class: style }, stage).textContent = text;

  // Which frames are drawn: [row, level, start, width], both as shares of what is drawn.
  const seen = (least, deepest) => {
    const found = [], level = { [at]: 0 }, [, from, whole] = rows[at];
    let hidden = 0;
    rows.forEach(([caller, start, width], number) => {
      if (number > at) {
        if (!(caller in level)) return;
        level[number] = level[caller] + 1;
      } else if (number < at) return;
      if (width / whole < least || level[number] > deepest) hidden += 1;
      else found.push([number, level[number], (start - from) / whole, width / whole]);
    });
    return [found, hidden];
  };
  const callers = () => {
    const found = [];
    for (let one = rows[at][0]; one >= 0; one = rows[one][0]) found.unshift(one);
    return found;
  };

  const box = (number, level, x, width, levels, isAbove) => {
    const { top, row, gap } = zoom, [, , , look, name, share] = rows[number];
    const y = top + (shape === "flame" ? levels - 1 - level : level) * row;
    const plain = isAbove || look === "all" ? { fill: "var(--idle)", stroke: "var(--line)" } : {};
    mark("rect", number, { x: x.toFixed(1), y, width: Math.max(width - 1.5, 0.6).toFixed(1),
      height: row - gap, rx: 2, ...plain });
    let room = Math.floor((width - 13.5) / mono), shown = name;
    const style = plain.fill ? "halo" : fills[look][2];
    if (room < 3) return;
    if (name.length > room) return label(x + 6, y + 16, `${name.slice(0, room - 1)}…`, `m ${style}`);
    if (room >= name.length + share.length + 2) {
      label(x + width - 7.5, y + 16, share, `e ${style}`);
      room -= share.length + 2;
    }
    const where = facts[key(number)]?.where;
    if (where && room >= name.length + where.length + 2) shown = `${name}  ${where}`;
    label(x + 6, y + 16, shown, `m ${style}`);
  };
  const boxes = () => {
    const { left, right } = zoom, above = callers(), wide = right - left;
    const [found, hidden] = seen(zoom.least / wide, zoom.deepest);
    const levels = Math.max(zoom.levels, above.length + 1 + Math.max(...found.map((one) => one[1])));
    above.forEach((number, level) => box(number, level, left, wide + 1.5, levels, true));
    for (const [number, level, start, width] of found)
      box(number, above.length + level, left + start * wide, width * wide, levels, false);
    return [hidden, (levels - zoom.levels) * zoom.row];
  };

  const point = (radius, turn) => `${(zoom.x + radius * Math.sin(turn)).toFixed(1)} ${
    (zoom.y - radius * Math.cos(turn)).toFixed(1)}`;
  const arc = (radius, from, to) => `A${radius.toFixed(1)} ${radius.toFixed(1)} 0 ${
    Math.abs(to - from) > Math.PI ? 1 : 0} ${to > from ? 1 : 0} ${point(radius, to)}`;
  const circle = (radius) => `M${point(radius, 0)}${arc(radius, 0, Math.PI)}${
    arc(radius, Math.PI, 2 * Math.PI)}Z`;
  const sector = (inner, outer, from, to) => to - from > 2 * Math.PI - 1e-3
    ? circle(outer) + circle(inner)
    : `M${point(inner, from)}L${point(outer, from)}${arc(outer, from, to)}L${point(inner, to)}${
      arc(inner, to, from)}Z`;
  const rings = () => {
    const whole = 2 * Math.PI, { core, outer, most, widest, least } = zoom;
    const [found, hidden] = seen(least / (whole * outer), most);
    const ring = Math.min(widest, (outer - core) / Math.max(1, ...found.map((one) => one[1])));
    const [, , , look, name] = rows[at], isAll = look === "all";
    mark("circle", at, { cx: zoom.x, cy: zoom.y, r: core - 1,
      ...(isAll ? { fill: "var(--idle)", stroke: "var(--line)" } : {}) });
    const style = isAll ? "halo" : fills[look][2], [line, amount] = name.split("  ");
    const room = Math.floor((2 * core - 12) / mono);
    const short = line.length > room ? `${line.slice(0, room - 1)}…` : line;
    label(zoom.x, zoom.y - 2, short, `m c ${style}`);
    label(zoom.x, zoom.y + 14, amount ?? rows[at][5], `c ${style}`);
    // The answer comes last, so that no neighbour covers its outline.
    const order = [...found].sort((one, other) => (rows[one[0]][6] ?? 0) - (rows[other[0]][6] ?? 0));
    for (const [number, level, start, width] of order) {
      if (number === at) continue;
      const [from, to] = [start * whole, (start + width) * whole];
      const inner = core + (level - 1) * ring;
      mark("path", number, { d: sector(inner, inner + ring - 1, from, to), "fill-rule": "evenodd" });
      curved(number, inner + ring / 2 - 0.5, from, to, ring);
    }
    return [hidden, 0];
  };
  const curved = (number, middle, from, to, ring) => {
    const [, , , look, name] = rows[number], room = Math.floor(((to - from) * middle - 8) / mono);
    if (room < 3 || ring < zoom.lowest) return;
    const text = name.length > room ? `${name.slice(0, room - 1)}…` : name;
    const turn = (from + to) / 2, isOver = Math.cos(turn) >= 0, id = `${zoom.id}-z${number}`;
    const half = Math.min((to - from) / 2, Math.PI - 0.01), radius = middle + (isOver ? -4 : 4);
    const [one, two] = isOver ? [turn - half, turn + half] : [turn + half, turn - half];
    draw("path", { id, d: `M${point(radius, one)}${arc(radius, one, two)}`, fill: "none" }, stage);
    const line = draw("text", { class: `m c ${fills[look][2]}` }, stage);
    draw("textPath", { href: `#${id}`, startOffset: "50%" }, line).textContent = text;
  };

  const back = () => {
    at = 0;
    stage.replaceChildren(...first);
    if (rest) rest.textContent = told;
    grow(0);
  };
  const grow = (more) => {
    below.setAttribute("transform", `translate(0 ${more})`);
    paper.setAttribute("height", height + more);
    resize(zoom.width, height + more);
  };
  // Into a frame; from the one that fills the picture already, out to what called it.
  const into = (task) => {
    const number = +task.slice(5);
    const to = number === at ? rows[at][0] : number;
    if (!(to > 0) || !rows[to][2]) return back();
    at = to;
    stage.replaceChildren();
    const [hidden, more] = isRound ? rings() : boxes();
    if (rest) rest.textContent = hidden ? `+ ${hidden.toLocaleString("en")} too small to be drawn` : "";
    grow(more);
  };
  return { into, back, isWhole: () => at === 0 };
}
