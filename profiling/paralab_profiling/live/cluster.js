// What the cluster does, as a table that is kept up to date, and the store's use over time.
const STYLE = `.pl-cluster{font-size:12px;max-width:760px;font-variant-numeric:tabular-nums}
.pl-cluster table{width:100%;border-collapse:collapse}.pl-cluster td,.pl-cluster th{text-align:left;
padding:2px 8px;border-bottom:1px solid var(--jp-border-color2,#80808055)}
.pl-cluster td.n,.pl-cluster th.n{text-align:right}.pl-cluster code{font-size:11.5px}
.pl-cluster .h{font-size:15px;font-weight:650}.pl-cluster .s{font-size:11px;opacity:.75}
.pl-cluster .line{max-width:180px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.pl-cluster svg{width:100%;height:64px}.pl-cluster td:last-child{white-space:nowrap}
.pl-cluster button{font:inherit;color:inherit;background:none;border:1px solid #80808099;
border-radius:3px;padding:1px 8px;cursor:pointer}.pl-cluster button:hover{background:#80808033}
.pl-cluster button:focus-visible{outline:2px solid currentColor;outline-offset:1px}
.pl-cluster [aria-disabled=true]{opacity:.6;cursor:default}`;
const POINTS = 240, NS = "http://www.w3.org/2000/svg";
const make = (tag, text = "", more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);
const bytes = (count) => {
  let at = 0;
  for (; count >= 999.5 && at < 4; at++) count /= 1000;
  return `${at ? count.toPrecision(3) : Math.round(count)} ${["B", "kB", "MB", "GB", "TB"][at]}`;
};

function render({ model, el }) {
  const place = el.appendChild(make("div", "", { className: "pl-cluster" }));
  const title = make("div", "", { className: "h" }), note = make("div", "", { className: "s" });
  const table = make("table"), body = make("tbody"), resources = make("div", "", { className: "s" });
  const head = table.appendChild(make("thead")).appendChild(make("tr"));
  for (const [name, style] of [["process", ""], ["pid", "n"], ["runs", ""], ["CPU", "n"], ["memory", "n"],
    ["of the store", "n"], ["failed", "n"], ["last line", ""], ["", ""]])
    head.append(make("th", name, { className: style }));
  table.append(body);
  const chart = document.createElementNS(NS, "svg");
  chart.setAttribute("viewBox", "0 0 760 64");
  chart.setAttribute("preserveAspectRatio", "none");
  chart.setAttribute("role", "img");
  const label = make("div", "", { className: "s" });
  place.append(make("style", STYLE), title, note, table, resources, label, chart);

  const history = [], asked = new Set();
  const line = (at, most, dash) => {
    const path = document.createElementNS(NS, "path");
    const first = history[0].at, span = history.at(-1).at - first || 1;
    path.setAttribute("d", "M" + history.map((each) =>
      `${((each.at - first) / span) * 756 + 2} ${60 - (each[at] / most) * 54}`).join("L"));
    for (const [name, value] of Object.entries({ fill: "none", stroke: dash ? "#b07d2b" : "#268069",
      "stroke-width": 2, "stroke-dasharray": dash, "vector-effect": "non-scaling-stroke" }))
      path.setAttribute(name, value);
    chart.append(path);
  };
  const button = (does, of, text, name) => {
    const made = make("button", text, { type: "button" });
    made.setAttribute("aria-label", `${text}: ${name}`);
    made.dataset.press = `${does} ${of}`;
    return made;
  };
  const lookAt = (each, frame) => {
    const text = frame.looking === each.pid ? `looking, ${frame.seconds} s` : "profile";
    const look = button("profile", each.pid, text, each.name);
    // Not disabled, which would take the focus from it.
    look.setAttribute("aria-disabled", frame.looking !== 0);
    return look;
  };
  // One listener for all: rows are made anew while somebody presses.
  let pressed = null;
  body.addEventListener("pointerdown", (event) => (pressed = event.target.dataset.press || null));
  const act = (press) => {
    if (!press) return;
    const [does, of] = press.split(" ");
    if (does === "profile") model.send({ profile: Number(of) });
    else if (asked.delete(of)) model.send({ kill: of });
    else asked.add(of);
    update();
  };
  body.addEventListener("pointerup", () => {
    act(pressed);
    pressed = null;
  });
  body.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    act(event.target.dataset.press);
  });
  const update = () => {
    const frame = model.get("frame"), focused = document.activeElement?.dataset?.press;
    title.textContent = frame.title;
    note.textContent = frame.note;
    body.replaceChildren(...frame.processes.map((each) => {
      const row = make("tr"), cell = (text, style = "") => row.appendChild(make("td", text, { className: style }));
      cell(each.name);
      cell(each.pid, "n");
      cell("").append(each.runs ? make("code", each.runs) : "idle");
      cell(each.cpu_percent === null ? "–" : `${Math.round(each.cpu_percent)} %`, "n");
      cell(bytes(each.private), "n");
      cell(bytes(each.shared), "n");
      cell(each.errors ? `${each.errors} ✕` : "0", "n");
      cell(each.last_line, "line").title = each.last_line;
      const last = cell("");
      last.append(lookAt(each, frame));
      if (each.actor) last.append(" ", button("kill", each.actor, asked.has(each.actor) ? "end it now" : "kill", each.name));
      return row;
    }));
    if (focused) body.querySelector(`[data-press="${CSS.escape(focused)}"]`)?.focus();
    resources.textContent = Object.entries(frame.resources)
      .map(([name, [used, there]]) => `${name} ${/memory/.test(name) ? bytes(used) : used} of ${
        /memory/.test(name) ? bytes(there) : there}`).join(" · ");
    if (history.at(-1)?.at !== frame.at)
      history.push({ at: frame.at, used: frame.store_used, spilled: frame.spilled });
    if (history.length > POINTS) history.shift();
    const most = Math.max(1, ...history.map((each) => Math.max(each.used, each.spilled)));
    chart.replaceChildren();
    line("used", most, "");
    line("spilled", most, "5 4");
    const seconds = history.at(-1).at - history[0].at;
    label.textContent = `the last ${seconds.toPrecision(3)} s, 0 to ${bytes(most)}: solid green, in the store, ${
      bytes(frame.store_used)}; dashed, spilled to files, ${bytes(frame.spilled)}`;
    chart.setAttribute("aria-label", label.textContent);
  };
  model.on("change:frame", update);
  update();
  return () => model.off("change:frame", update);
}
export default { render };
