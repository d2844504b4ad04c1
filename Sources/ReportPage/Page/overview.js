// The run at a glance.

view({
  id: "overview", title: "Overview", keys: ["position"],
  draw(root) {
    root.append(runText(), el("div", {class: "columns"}, candidates(), el("div", {}, modelCard(), runCard())),
      timeByKind(), layerStrip(), aboutPage());
  },
  key(event) {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step) return false;
    go({position: clamp(selection.position + step, 0, TOKENS.piece.length - 1)});
    return true;
  },
});

const probabilityAt = position => TOKENS.logprob[position] === null ? null : Math.exp(TOKENS.logprob[position]);

function runText() {
  const scale = sizes(0, 1);
  const chips = TOKENS.piece.map((piece, position) => {
    const probability = probabilityAt(position), isPrompt = TOKENS.source[position] === "prompt";
    const color = isPrompt || probability === null ? null : scale.color(probability);
    const chip = el("button", {
      class: "token" + (isPrompt ? " prompt" : ""), "aria-pressed": String(position === selection.position),
      "data-position": position, style: color ? `background:${cssColor(color)};color:${inkOn(color)}` : null,
      onclick: () => go({position}),
    }, piece.replace(/\n/g, "⏎") || "∅");
    return hover(chip, () => `position ${position} · token ${TOKENS.token_id[position]} ${quoted(piece)}\n` + (isPrompt
      ? "given in the prompt" : `probability ${percent(probability)} · rank ${TOKENS.rank[position]} (0 is the most probable)`));
  });
  return panel("The text", el("p", {class: "tokens"}, chips),
    el("div", {class: "legends"}, el("span", {class: "legend"}, el("span", {class: "token prompt"}, "prompt")),
      legend(scale, "probability of what was generated")));
}

/** The pass after which the token at a position was chosen. */
function passBefore(position) {
  return DATA.passes.find(pass => pass.first_position + pass.n_tokens === position);
}

function candidates() {
  const pass = passBefore(selection.position) || (selection.position === 0 ? null : DATA.passes.find(p =>
    p.first_position <= selection.position && selection.position < p.first_position + p.n_tokens));
  const shown = pass || DATA.passes[0], next = shown.first_position + shown.n_tokens, l = shown.logits;
  return panel(`What the model expected after ${pieceAt(next - 1)}`,
    table(["", "token", "piece", "logit", "probability"], l.token_id.slice(0, 10).map((token, rank) => [
      String(rank + 1), String(token),
      el("span", {class: token === TOKENS.token_id[next] ? "taken" : null}, quoted(l.piece[rank])),
      number(l.logit[rank]), el("span", {class: "share"}, percent(l.probability[rank]), bar(l.probability[rank])),
    ]), {class: "numbers candidates"}),
    note(TOKENS.token_id[next] === undefined ? "Nothing was generated after it. " : "Bold: what was taken. ",
      "Choose a token above, or step with ← and →. ",
      shown.operations ? link({view: "pass", step: shown.step}, "See the pass that computed this") : null));
}

function modelCard() {
  return panel("The model", facts([
    ["name", MODEL.name], ["file", MODEL.path.split("/").pop()], ["architecture", MODEL.architecture],
    ["type", `${MODEL.file_type || "–"}, ${number(MODEL.bpw)} bits per weight`],
    ["parameters", `${count(MODEL.n_params)}, ${bytes(MODEL.size_bytes)}`],
    ["layers", `${MODEL.n_layer} of width ${MODEL.n_embd}, feed-forward ${MODEL.n_ff}`],
    ["heads", el("span", {}, `${MODEL.n_head} query, ${MODEL.n_head_kv} KV, of ${MODEL.head_dim} `,
      link({view: "attention"}, "map"))],
    ["vocabulary", grouped(MODEL.n_vocab) + (MODEL.tied_embeddings ? ", embedding also used for the output" : "")],
    ["sha256", MODEL.sha256 ? el("span", {class: "hash", title: MODEL.sha256}, MODEL.sha256.slice(0, 16) + "…") : null],
  ]));
}

function runCard() {
  const prompt = DATA.passes[0], rest = DATA.passes.slice(1).filter(pass => pass.wall_ns);
  const decode = rest.reduce((sum, pass) => sum + pass.wall_ns, 0);
  return panel("The run", facts([
    ["recorded", `${RUN.created_at}, quipu ${RUN.engine_version}`],
    ["capture", `${RUN.capture}${RUN.complete ? "" : ", cut off before its end"}`],
    ["time", RUN.wall_ns ? `${duration(RUN.wall_ns)} with ${RUN.threads} threads, ${RUN.kernels} kernels` : null],
    ["prompt", prompt.wall_ns
      ? `${prompt.n_tokens} tokens, ${number(prompt.n_tokens / prompt.wall_ns * 1e9, 3)} tokens/s while recording` : null],
    ["generated", rest.length ? `${rest.length} passes, ${number(rest.length / decode * 1e9, 3)} tokens/s while recording` : null],
    ["trace", `${DATA.source.trace.split("/").pop()}, ${bytes(DATA.source.size_bytes)}`],
  ]));
}

/** Sums of a pass by kind of operation, the longest first. */
function sumsByKind(pass) {
  const o = pass.operations, graph = DATA.graphs[o.graph], sums = new Map();
  graph.kind.forEach((kind, i) => {
    const sum = sums.get(kind) || {kind, n: 0, ns: 0, flops: 0, bytes: 0};
    sum.n += 1; sum.ns += o.ns[i]; sum.flops += o.flops[i]; sum.bytes += o.bytes_read[i] + o.bytes_written[i];
    sums.set(kind, sum);
  });
  return [...sums.values()].sort((a, b) => b.ns - a.ns);
}

function timeByKind() {
  if (!detailed.length) return panel("Time and bytes", note(`No operations were recorded (capture ${RUN.capture}).`));
  const pass = passOf(selection.step).operations ? passOf(selection.step) : detailed[0], sums = sumsByKind(pass);
  const all = key => sums.reduce((sum, s) => sum + s[key], 0) || 1;
  return panel(`Where time and bytes went: pass ${passName(pass)}`,
    table(["operation", "number", "time", "", "bytes", "", "arithmetic"], sums.filter(s => !isViewKind(s.kind)).map(s => [
      hover(el("span", {class: "kind", style: `--kind:${kindColor(s.kind)}`}, s.kind), () => kindOf(s.kind).summary),
      String(s.n), duration(s.ns), el("span", {class: "share"}, percent(s.ns / all("ns")), bar(s.ns / all("ns"))),
      bytes(s.bytes), el("span", {class: "share"}, percent(s.bytes / all("bytes")), bar(s.bytes / all("bytes"))),
      flop(s.flops),
    ]), {class: "numbers"}),
    note("Views cost nothing. Bytes are read and written, weights as stored. ", link({view: "roofline"}, "What holds each back")));
}

function layerStrip() {
  if (!detailed.length) return null;
  const pass = passOf(selection.step).operations ? passOf(selection.step) : detailed[0], o = pass.operations;
  const graph = DATA.graphs[o.graph];
  const layers = range(MODEL.n_layer).map(layer => {
    const ops = range(graph.name.length).filter(i => graph.layer[i] === layer);
    const out = ops.find(i => graph.role[i] === "layer_output");
    return {layer, ns: ops.reduce((sum, i) => sum + o.ns[i], 0), rms: out === undefined ? null : o.rms[out], out};
  });
  const most = key => Math.max(...layers.map(l => l[key] || 0)) || 1;
  const least = Math.min(...layers.map(l => l.rms || Infinity)) / 2;
  // Sizes differ by orders of magnitude where a first token carries an outlier.
  const height = {ns: l => l.ns / most("ns"), rms: l => Math.log(l.rms / least) / Math.log(most("rms") / least)};
  const column = (l, key, text) => hover(el("button", {
    class: "stick", style: `--share:${(l[key] ? height[key](l) : 0) * 100}%`, "aria-label": text,
    onclick: () => go({view: "pass", step: pass.step, seq: l.out}),
  }), () => text);
  return panel("Layer by layer",
    el("h3", {}, `time, up to ${duration(most("ns"))}`),
    el("div", {class: "sticks"}, roving(layers.map(l => column(l, "ns", `layer ${l.layer}: ${duration(l.ns)}`)))),
    el("h3", {}, `size (rms) of the residual stream after the layer, logarithmic, ${number(least * 2)} to ${number(most("rms"))}`),
    el("div", {class: "sticks"}, roving(layers.map(l => column(l, "rms", `layer ${l.layer}: rms ${number(l.rms)}`)))),
    note(`Layers 0 to ${MODEL.n_layer - 1} from left to right; choose one to see its operations.`));
}

function aboutPage() {
  return panel("About this page", DATA.notes.length
    ? el("ul", {}, DATA.notes.map(text => el("li", {}, rich(text)))) : note("Nothing was left out of the trace."),
    note("Numbers are the trace's, rounded to four digits. The trace is SQLite: ",
      code(`quipu sql ${DATA.source.trace.split("/").pop()} "SELECT * FROM v_op"`)));
}
