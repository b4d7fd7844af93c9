// What is told of a selected task, for interact(): made when it is asked for, from what frames told
// (live/telling.py), in the words of facts_of() of details.py.
const PARTS = ["pickle", "submit", "queue", "transfer", "unpickle", "run", "store", "fetch"];
const GONE = "no longer kept: of all tasks together, a live view keeps the newest 100 kB of ";
// How long a task ran, in ms; start and end are rounded to 1 µs.
const ranFor = (task) => task[7][8 + PARTS.indexOf("run")] / 1e6;

function factsOf(known, id) {
  const task = known.tasks.get(id);
  if (!task) return undefined;
  const [, name, lane, start, end, state, takes, rest] = task;
  const [by, submitted, bytesIn, inputs, attempt, call, total, bytesOut, ...parts] = rest;
  const process = (at) => known.drivers.get(at) || known.lanes.get(at) || `process ${at}`;
  const facts = { task: `${call || name} (${id})`, state };
  if (lane !== null) facts[end === null ? "at" : "ran on"] = process(lane);
  facts["submitted by"] = typeof by === "string" ? by : process(by);
  facts["submitted at"] = time(submitted);
  if (end !== null) {
    facts["started at"] = time(start);
    facts.total = time(total / 1e6);
    facts["of it"] = parts.flatMap((ns, at) => (ns ? `${PARTS[at]} ${time(ns / 1e6)}` : [])).join(", ");
    facts.result = bytes(bytesOut);
  } else if (start !== null) facts["sent at"] = time(start);
  facts.arguments = bytes(bytesIn);
  if (inputs) facts.takes = takes.slice(0, 8).join(", ") + (inputs > 8 ? ` + ${many(inputs - 8)} more` : "");
  if (attempt) facts.attempt = `${attempt + 1}`;
  const lines = known.prints.get(id), error = known.errors.get(id);
  if (lines !== undefined) facts["printed last"] = lines ?? `${GONE}printed lines`;
  if (error !== undefined) facts.error = error ?? `${GONE}errors`;
  else if (state === "failed") facts.error = "not heard of yet, or no longer known";
  // A method's source is that of its class.
  let defined = name;
  while (defined && !known.sources.has(defined)) defined = defined.slice(0, Math.max(0, defined.lastIndexOf(".")));
  if (known.sources.get(defined)) facts.source = defined;
  else if (defined) facts["its source"] = `${GONE}sources`;
  return facts;
}

// `facts` and `sources` of interact()'s data.
const told = (known) => ({
  facts: new Proxy({}, { get: (_, id) => (known.facts ? known.facts[id] : factsOf(known, id)) }),
  sources: new Proxy({}, { get(_, name) {
    const [file, line, text] = known.sources.get(name) || [];
    return file === undefined ? undefined : { file, line, text };
  } }),
});
