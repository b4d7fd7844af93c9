// The live graph: tasks of one function at one depth are one box; a task's depth is one more than its
// inputs'.  The middle of a long run of equal boxes is one box, too, as in graph/folding.py.
const LONG_RUN = 8, RUN_HEAD = 3, RUN_TAIL = 2;

// Boxes by key, and of each pair that is linked (by "key\nkey") two tasks that are.
function boxesOf(known) {
  const depth = new Map(), boxes = new Map(), arrows = new Map(), box = new Map();
  // By when they were submitted: what a task takes may be heard of after it.
  const tasks = [...known.tasks.values()].sort((one, other) => one[7][1] - other[7][1]);
  for (const [id, name, , , , state, takes] of tasks) {
    const at = takes.reduce((most, need) => Math.max(most, (depth.get(need) ?? -1) + 1), 0);
    depth.set(id, at);
    const key = `${at} ${name}`;
    if (!boxes.has(key)) boxes.set(key, { at, name, ids: [], states: {}, steps: 1 });
    boxes.get(key).ids.push(id);
    boxes.get(key).states[state] = (boxes.get(key).states[state] || 0) + 1;
    box.set(id, key);
    for (const need of takes) if (box.has(need)) arrows.set(`${box.get(need)}\n${key}`, [need, id]);
  }
  return { boxes, arrows };
}

// What is equal: function, how many, and how far, if all are as far.  What waits is equal wherever.
function kindOf({ name, ids, states }, key) {
  const far = [...new Set(Object.keys(states).map((state) =>
    ["done", "failed", "running"].includes(state) ? state : "waits"))];
  return far.length === 1 ? `${ids.length} ${far[0]} ${name}` : `\n${key}`;
}

// Chains of boxes that are equal, each linked to the next, and to the same others.
function runsOf({ boxes, arrows }) {
  const kinds = new Map([...boxes].map(([key, each]) => [key, kindOf(each, key)]));
  const links = new Map([...boxes.keys()].map((key) => [key, { after: [], before: [], others: [] }]));
  for (const link of arrows.keys()) {
    const [from, to] = link.split("\n"), isSame = kinds.get(from) === kinds.get(to);
    links.get(from)[isSame ? "after" : "others"].push(isSame ? to : `> ${to}`);
    links.get(to)[isSame ? "before" : "others"].push(isSame ? from : `< ${from}`);
  }
  const following = new Map(), others = (key) => links.get(key).others.sort().join("\n");
  for (const [key, { after }] of links)
    if (after.length === 1 && links.get(after[0]).before.length === 1 && others(key) === others(after[0]))
      following.set(key, after[0]);
  const later = new Set(following.values()), runs = [];
  for (const start of following.keys()) {
    if (later.has(start)) continue;
    const run = [start];
    while (following.has(run.at(-1))) run.push(following.get(run.at(-1)));
    runs.push(run);
  }
  return runs;
}

// The same with the middle of each long run as one box.
function folded(graph) {
  const into = new Map();
  for (const run of runsOf(graph)) {
    if (run.length <= LONG_RUN) continue;
    const [first, ...rest] = run.slice(RUN_HEAD, -RUN_TAIL), box = graph.boxes.get(first);
    for (const key of rest) {
      const { ids, states } = graph.boxes.get(key);
      box.ids.push(...ids);
      for (const [state, count] of Object.entries(states)) box.states[state] = (box.states[state] || 0) + count;
      into.set(key, first);
      graph.boxes.delete(key);
    }
    box.steps = rest.length + 1;
  }
  const arrows = new Map();
  for (const [link, ends] of graph.arrows) {
    const [from, to] = link.split("\n").map((key) => into.get(key) ?? key);
    if (from !== to) arrows.set(`${from}\n${to}`, ends);
  }
  // Columns that have become empty go.
  const steps = [...new Set([...graph.boxes.values()].map(({ at }) => at))].sort((a, b) => a - b);
  const column = new Map(steps.map((at, number) => [at, number]));
  for (const box of graph.boxes.values()) box.at = column.get(box.at);
  return { boxes: graph.boxes, arrows, columns: Math.max(1, steps.length) };
}

function drawGraph(svg, known) {
  const { boxes, arrows, columns } = folded(boxesOf(known));
  const isFolded = [...boxes.values()].some(({ steps }) => steps > 1);
  headline(svg, known, `tasks of one function at one depth are one box${isFolded ? ", long runs too" : ""}`);
  const least = boxes.size > MOST_IN_SVG ? 64 : 170;
  const wide = Math.max(least, Math.min(400, (WIDE - 32) / columns)), rows = new Map();
  for (const each of boxes.values()) {
    const row = rows.get(each.at) || 0;
    rows.set(each.at, row + 1);
    Object.assign(each, { x: 16 + each.at * wide, y: 60 + row * 62 });
  }
  const width = Math.min(140, wide - 24), links = [];
  for (const [link, [from, to]] of arrows) {
    const [a, b] = link.split("\n").map((key) => boxes.get(key));
    links.push({ x: a.x + width, y: a.y + 22, toX: b.x, toY: b.y + 22, from, to });
  }
  const marks = [...boxes.values()].map(({ x, y, name, ids, states, steps }) => {
    const failed = states.failed || 0, done = (states.done || 0) + failed;
    const begun = done + (states.running || 0) > 0, run = steps > 1 ? `, ${many(steps)} steps one after the other` : "";
    return { ids, x, y, width, height: 44, rx: 4, stroke: begun ? INK : SOFT, dashed: !begun, white: begun,
      fill: failed ? FAILURE : begun ? known.colour(name) : "var(--paper)",
      lines: [short(`${name}${ids.length > 1 ? ` ×${many(ids.length)}` : ""}`, 18),
        failed ? `${many(failed)} failed ✕` : `${many(done)} of ${many(ids.length)} done`],
      tip: () => `${name}: ${Object.entries(states).map(([state, count]) => `${count} ${state}`).join(", ")}${run}` };
  });
  const whole = Math.max(WIDE, columns * wide + 32);
  svg.style.minWidth = whole > WIDE ? `${whole}px` : "";
  return { high: 76 + 62 * Math.max(1, ...rows.values()), wide: whole, marks, links };
}
