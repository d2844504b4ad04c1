// The live view, of `quipu open` alone: what asks the program, and a prompt to run.

const LIVE = JSON.parse(document.getElementById("live").textContent);

/** What was typed and chosen; it outlasts that the view is drawn anew. */
const trial = {changes: [], run: null, applying: null, root: null, before: null};

/** What the program answered; throws an Error with its words. */
async function answered(response) {
  const answer = await response.json().catch(() => ({error: `the program answered ${response.status}`}));
  if (!response.ok) throw new Error(answer.error || `the program answered ${response.status}`);
  return answer;
}

const posted = (path, body) => fetch(LIVE.base + path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});

/** Asks the program: get("sql", {trace, query}) → what it answers; throws an Error with its words. */
async function get(path, query) {
  const form = new URLSearchParams(query || {}).toString();
  // What is too long for an address goes as a body.
  return answered(await (form.length < 8000 ? fetch(LIVE.base + path + "?" + form)
    : posted(path, Object.fromEntries(Object.entries(query).map(([name, value]) => [name, String(value)])))));
}

/** Starts a run and calls `heard` with each line that is told of it. */
async function post(request, signal, heard) {
  const response = await fetch(LIVE.base + "run", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(request), signal,
  });
  if (!response.ok) throw Object.assign(new Error((await response.json()).error), {status: response.status});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    lines.forEach(line => heard(JSON.parse(line)));
  }
}

const openTrace = id => { location.href = LIVE.base + "?trace=" + id + "#live"; };
/** A word of a command line. */
const shell = word => /^[\w.\/:@%+=,-]+$/.test(word) ? word : "'" + word.replaceAll("'", "'\\''") + "'";
const labelled = (text, input) => el("label", {class: "field"}, el("span", {}, text), input);
/** An input; its value comes last, as bounds would cut it. */
const field = (id, type, value, attributes) => Object.assign(el("input", {id, type, ...attributes}), {value});
/** A field for a whole number from 0 to `most`. */
const wholeField = (id, value, most, change) =>
  field(id, "number", value, {min: 0, max: most, onchange: event => change(clamp(Math.floor(+event.target.value) || 0, 0, most))});

// The walk through the pass: where `quipu step` left it, the page goes on, and the other way round.

const WALKS = ["pass", "picture"];
const walk = {told: "0,0", waiting: 0};

document.addEventListener("moved", () => {
  const here = `${selection.step},${selection.seq}`;
  if (LIVE.current === null || !WALKS.includes(selection.view) || here === walk.told) return;
  walk.told = here;
  clearTimeout(walk.waiting);
  const body = {trace: String(LIVE.current), step: String(selection.step), seq: String(selection.seq)};
  walk.waiting = setTimeout(() => posted("position", body).catch(() => {}), 200);
});

async function takeUpWalk() {
  const {position} = LIVE.current === null ? {} : await get("position", {trace: LIVE.current}).catch(() => ({}));
  if (!position || walk.told === `${position.step},${position.seq}`) return;
  walk.told = `${position.step},${position.seq}`;
  Object.assign(selection, position);
  if (WALKS.includes(selection.view)) go({}, true);
}
// An address that names an operation leads there.
if (!location.hash.includes("seq=")) takeUpWalk();
addEventListener("focus", takeUpWalk);

selection.view = "live";

// The prompt is evaluated again for these, seconds for a long one: nobody waits for that who does not look at them.
if (LIVE.current !== null && LIVE.can_run) {
  pending = {
    said: "The prompt is evaluated again for this …",
    ask() {
      this.ask = () => {};
      get("replay", {trace: LIVE.current}).then(({notes, ...parts}) => {
        Object.assign(DATA, parts);
        DATA.notes.push(...notes);
        pending = null;
      }).catch(error => { pending.said = String(error.message); }).then(() => {
        if (["depth", "attribution"].includes(selection.view)) render();
      });
    },
  };
}

view({
  id: "live", title: "Try it",
  draw(root) {
    trial.root = trial.root || el("div", {class: "view"}, promptPanel(), LIVE.current === null ? null : [changePanel(), askPanel()], tracesPanel());
    root.append(trial.root);
  },
});

// A prompt

function promptPanel() {
  const prompt = el("textarea", {id: "prompt", rows: 2, "aria-label": "Prompt", maxlength: 20000});
  prompt.value = RUN.prompt || "";
  const shown = el("p", {class: "tokens", id: "typed", "aria-live": "off"}), said = el("p", {class: "tokens", id: "said", "aria-live": "polite"});
  const problem = el("p", {class: "warning", id: "problem", role: "alert"});
  const options = {
    generate: field("generate", "number", 8, {min: 1, max: 256}), temperature: field("temperature", "number", 0, {min: 0, max: 5, step: 0.1}),
    top_k: field("topk", "number", 40, {min: 0, max: 1000}), top_p: field("topp", "number", 0.95, {min: 0.01, max: 1, step: 0.01}),
    seed: field("seed", "number", 0, {min: 0}),
  };
  const start = el("button", {id: "run", class: "main", onclick: () => runPrompt()}, "Run"), stop = el("button", {id: "stop", hidden: true, onclick: () => trial.run?.abort()}, "Stop");
  const draw = el("div", {id: "draw"});

  let asked = 0;
  async function showTyped() {
    const mine = ++asked;
    if (!prompt.value) { shown.replaceChildren(); return; }
    const {ids, pieces} = await get("tokenize", {text: prompt.value}).catch(() => ({ids: [], pieces: []}));
    if (mine !== asked) return;
    shown.replaceChildren(...pieces.map((piece, i) => hover(el("span", {class: "token prompt"}, piece || "∅"), () => `position ${i} · token ${ids[i]}`)),
      el("span", {class: "muted"}, ` ${pieces.length} tokens`));
  }
  let waiting = 0;
  prompt.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(showTyped, 120); });
  prompt.addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) runPrompt(); });

  async function runPrompt() {
    if (trial.run || !LIVE.can_run) return;
    trial.run = new AbortController();
    start.disabled = true;
    stop.hidden = false;
    problem.textContent = "";
    said.replaceChildren(el("span", {class: "muted"}, "running …"));
    let isFirst = true;
    try {
      const request = {prompt: prompt.value};
      for (const [name, input] of Object.entries(options)) request[name] = +input.value;
      await post(request, trial.run.signal, line => {
        if (line.error) throw new Error(line.error);
        if (line.trace) openTrace(line.trace);
        for (const token of line.tokens || []) {
          if (isFirst) said.replaceChildren();
          isFirst = false;
          said.append(hover(el("span", {class: "token" + (token.source === "prompt" ? " prompt" : "")}, token.piece || "∅"),
            () => token.rivals.length ? token.rivals.map(r => `${quoted(r.piece)} ${percent(r.probability)}`).join("\n") : `position ${token.position}`));
        }
      });
    } catch (error) { problem.textContent = error.name === "AbortError" ? "Stopped." : String(error.message); }
    trial.run = null;
    start.disabled = !LIVE.can_run;
    stop.hidden = true;
  }

  const redraw = () => LIVE.current !== null && draw.replaceChildren(drawTable(+options.temperature.value, +options.top_k.value, +options.top_p.value));
  for (const input of [options.temperature, options.top_k, options.top_p]) input.addEventListener("input", redraw);
  redraw();
  queueMicrotask(showTyped);
  start.disabled = !LIVE.can_run;
  return panel("Type a prompt", LIVE.can_run ? null : note(LIVE.why_not ?? "The model of this trace is not where it was, so nothing can be run."),
    prompt, shown,
    el("div", {class: "toolbar"}, labelled("tokens to generate", options.generate), labelled("temperature", options.temperature),
      labelled("top-k", options.top_k), labelled("top-p", options.top_p), labelled("seed", options.seed), start, stop),
    problem, said, LIVE.current === null ? null : [el("h3", {}, "What the draw after this trace's prompt is made among"), draw],
    keyHint("Ctrl+Enter runs; the result becomes a trace with all views of this page"));
}

/** What the sampler keeps of the distribution and how it weighs it: top-k, top-p, min-p (0.05), then the temperature. */
function drawTable(temperature, topK, topP) {
  const l = DATA.passes[0].logits, count = l.token_id.length;
  let kept = range(count);
  if (temperature > 0) {
    if (topK > 0) kept = kept.slice(0, topK);
    let sum = 0;
    const all = kept.reduce((total, i) => total + l.probability[i], 0);
    kept = kept.filter(i => { const before = sum; sum += l.probability[i] / all; return before < topP; })
      .filter(i => l.logit[i] >= l.logit[0] + Math.log(0.05));
  } else kept = [0];
  const power = i => Math.exp((l.logit[i] - l.logit[0]) / (temperature || 1)), total = kept.reduce((sum, i) => sum + power(i), 0);
  const share = i => kept.includes(i) ? power(i) / total : 0;
  return el("div", {}, table(["token", "logit", "before", "in the draw"], range(Math.min(10, count)).map(i => [
    quoted(l.piece[i]), number(l.logit[i]), percent(l.probability[i]), el("span", {class: "share"}, percent(share(i)), bar(share(i))),
  ]), {class: "numbers draw"}), note(temperature > 0 ? `Among the ${count} most probable tokens, which are what the trace keeps.` : "Temperature 0 takes the most probable token."));
}
