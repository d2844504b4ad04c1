// The pass as a picture: from words to logits, a layer at a time, each tensor drawn. It stands at the operation where the cord
// of "The pass" stands, and in the live page where `quipu step` stands.

view({
  id: "picture", title: "In pictures", keys: ["step", "seq"],
  draw(root) {
    const pass = passOf(selection.step);
    if (!detailed.length) { root.append(panel("In pictures", note(`No operations were recorded: the trace was written with --capture ${RUN.capture}.`))); return; }
    if (!pass.operations) { root.append(panel("In pictures", passChooser(), note("Of this pass only its result is kept."))); return; }
    const graph = DATA.graphs[pass.operations.graph];
    selection.seq = clamp(selection.seq, 0, graph.name.length - 1);
    const stage = stageOf(graph, selection.seq);
    root.append(el("section", {class: "panel"}, el("div", {class: "toolbar"}, passChooser(), stageStrip(graph, stage)), operationLine(pass, graph),
      el("div", {class: "stage"}, bandsOf(graph, stage).map(band => bandPicture(pass, graph, band))),
      keyHint("← → operation · ↑ ↓ layer · [ ] other passes · Enter: all about the operation")));
    queueMicrotask(() => root.querySelector(".card[aria-current]")?.scrollIntoView({block: "nearest", inline: "nearest"}));
  },
  key(event) {
    const pass = passOf(selection.step);
    if (!pass.operations) return false;
    const graph = DATA.graphs[pass.operations.graph], last = graph.name.length - 1;
    switch (event.key) {
      case "ArrowRight": case "n": go({seq: Math.min(last, selection.seq + 1)}); return true;
      case "ArrowLeft": case "p": go({seq: Math.max(0, selection.seq - 1)}); return true;
      case "ArrowDown": case "ArrowUp": {
        const stage = stageOf(graph, selection.seq) + (event.key === "ArrowDown" ? 1 : -1);
        const first = range(last + 1).find(i => stageOf(graph, i) === stage);
        if (first !== undefined) go({seq: first});
        return true;
      }
      case "[": case "]": return turnTo(pass, event.key === "]" ? 1 : -1);
      case "Enter": go({view: "pass"}); return true;
      default: return false;
    }
  },
});

/** −1: before the layers; a layer's index; n_layer: after them. */
function stageOf(graph, index) {
  if (graph.layer[index] !== null) return graph.layer[index];
  return graph.layer.slice(0, index).some(layer => layer !== null) ? MODEL.n_layer : -1;
}

const stageName = stage => stage < 0 ? "words" : stage >= MODEL.n_layer ? "next word" : String(stage);

function stageStrip(graph, chosen) {
  const first = new Map();
  range(graph.name.length).forEach(i => { const stage = stageOf(graph, i); if (!first.has(stage)) first.set(stage, i); });
  return el("div", {class: "strip", role: "group", "aria-label": "From words to the next word, by layers"},
    [...first].map(([stage, seq]) => el("button", {
      "aria-pressed": String(stage === chosen), "aria-label": stage >= 0 && stage < MODEL.n_layer ? `layer ${stage}` : null, onclick: () => go({seq}),
    }, stageName(stage))));
}

/** The chosen operation in a sentence. */
function operationLine(pass, graph) {
  const index = selection.seq, kind = kindOf(graph.kind[index]), from = valueSource(graph, index);
  return el("p", {class: "readout", id: "operation", "aria-live": "polite"},
    el("b", {}, addressOf(graph, index)), ` = ${graph.kind[index]}, ${shapeText(pass.operations.shape[index])} · ${index + 1} of ${graph.name.length}\n`,
    kind.summary, from === index ? "" : ` It names values of ${addressOf(graph, from)} anew.`, " ", link({view: "pass"}, "All about it"));
}

// Bands: what belongs together, one below the other

/** What the first word of a role says of where it belongs; the rest stands alone between the bands. */
const LANES = {query: "queries", key: "keys", value: "values", latent: "latent", gate: "gate", up: "up", router: "router", expert: "experts", shared: "shared"};
const laneOf = role => LANES[(role || "").match(/^[a-z]*/)[0]] ?? null;

/** Rows of cards of a stage, in order; operations of one lane that others interrupt (queries, keys, values) come together. */
function bandsOf(graph, stage) {
  const first = range(graph.name.length).find(i => stageOf(graph, i) === stage), stream = graph.inputs[first][0];
  // What comes in: of a layer, the residual stream that the one before left.
  const bands = stream >= 0 ? [{lane: "stream", indices: [stream]}, {lane: "", indices: []}] : [];
  let lanes = null;
  range(graph.name.length).filter(i => stageOf(graph, i) === stage && !isViewKind(graph.kind[i])).forEach(index => {
    const lane = laneOf(graph.role[index]);
    if (lane === null) {
      if (lanes || !bands.length || graph.role[index] === "pattern" || graph.role[index - 1] === "attention_residual") bands.push({lane: "", indices: []});
      bands[bands.length - 1].indices.push(index);
      lanes = null;
    } else {
      lanes = lanes || new Map();
      if (!lanes.has(lane)) { lanes.set(lane, {lane, indices: []}); bands.push(lanes.get(lane)); }
      lanes.get(lane).indices.push(index);
    }
  });
  return bands;
}

function bandPicture(pass, graph, band) {
  const cards = band.indices.flatMap((index, i) => [i ? el("span", {class: "then", "aria-hidden": "true"}, "→") : null, card(pass, graph, index)]);
  const pattern = band.indices.find(index => graph.role[index] === "pattern");
  return [el("div", {class: "band"}, el("span", {class: "lane"}, band.lane), el("div", {class: "cards"}, cards)),
    pattern === undefined ? null : groupPicture(pass, graph.layer[pattern]), band.lane === "experts" ? expertPicture(pass, graph.layer[band.indices[0]]) : null,
    band.indices.some(index => graph.role[index] === "embedding") ? wordsPicture(pass) : null, band.indices.some(index => graph.role[index] === "logits") ? rivalsPicture(pass) : null];
}

/** An operation: its values small, its name and shape. */
function card(pass, graph, index) {
  const shape = pass.operations.shape[index], role = graph.role[index], picture = pass.operations.pictures[index];
  const isCurrent = valueSource(graph, selection.seq) === index;
  return hover(el("button", {
    class: "card", "aria-current": isCurrent ? "true" : null, "data-seq": index, style: `--kind:${kindColor(graph.kind[index])}`, onclick: () => go({seq: index}),
    "aria-label": `${graph.name[index]}, ${graph.kind[index]}, ${shapeText(shape)}`,
  }, el("b", {}, graph.name[index]), picture ? thumbnail(picture, shape, headsOf(role)) : el("span", {class: "nothing"}, role === "pattern" ? "below" : "not kept"),
  el("span", {class: "shape"}, shapeText(shape)), el("span", {class: "kind"}, graph.kind[index])),
  () => `${kindOf(graph.kind[index]).formula}\n${kindOf(graph.kind[index]).summary}\nrms ${number(pass.operations.rms[index])}`);
}

/** The KV head that each head of a tensor belongs to, where it has a part for each: of query heads the one that they read. */
function headsOf(role) {
  const a = DATA.attention, kind = (role || "").match(/^[a-z]*/)[0];
  if (!a) return null;
  return ["query", "scores", "mix"].includes(kind) ? a.kv_head : ["key", "value"].includes(kind) ? range(Math.max(...a.kv_head) + 1) : null;
}

/** A picture of a tensor; a stripe in the colours of the KV heads, above if heads lie beside each other, else at the left. */
function thumbnail(picture, shape, groups) {
  const cells = pictureCells(picture), scale = suited(cells), width = 132, height = clamp(picture.rows * 5, 14, 70);
  const isAbove = groups && shape.length < 3 && shape[0] % groups.length === 0;
  // A row's head: heads lie between a row's elements and the tokens, or outside them.
  const headOfRow = groups && shape.length === 3 && picture.rows === picture.height
    ? shape[1] === groups.length ? r => r % shape[1] : shape[2] === groups.length ? r => Math.floor(r / shape[1]) : null : null;
  const left = headOfRow ? 5 : 0, top = isAbove ? 5 : 0;
  const canvas = el("canvas", {class: "thumb", width: width + left, height: height + top, "aria-hidden": "true"}), pen = canvas.getContext("2d");
  const edge = (share, size) => Math.round(share * size);
  if (isAbove) groups.forEach((kv, i) => { pen.fillStyle = groupColor(kv); pen.fillRect(edge(i / groups.length, width), 0, edge(1 / groups.length, width) - (groups.length > 1 ? 1 : 0), 4); });
  for (const r of range(picture.rows)) {
    const y = top + edge(r / picture.rows, height), rowHeight = Math.max(1, top + edge((r + 1) / picture.rows, height) - y);
    if (headOfRow) { pen.fillStyle = groupColor(groups[headOfRow(r)]); pen.fillRect(0, y, 4, rowHeight); }
    for (const c of range(picture.columns)) {
      const value = cells[r * picture.columns + c], x = edge(c / picture.columns, width);
      if (!Number.isFinite(value)) continue;
      pen.fillStyle = cssColor(scale.color(value));
      pen.fillRect(left + x, y, Math.max(1, edge((c + 1) / picture.columns, width) - x), rowHeight);
    }
  }
  return canvas;
}

// What a layer is known for

/** Each KV head with the patterns of the query heads that share it: what grouped-query attention shares. */
function groupPicture(pass, layer) {
  const a = DATA.attention;
  if (!a || !a.patterns.length) return null;
  const size = Math.min(a.size, Math.floor((pass.first_position + pass.n_tokens) * a.size / a.positions) || 1), side = clamp(Math.floor(240 / a.size) * a.size, 48, 72);
  const pattern = head => {
    const canvas = el("canvas", {width: side, height: side, "aria-hidden": "true"}), pen = canvas.getContext("2d"), scale = sizes(0, 1), cell = side / size;
    for (const r of range(size)) (patternRow(a, layer, head, r) || []).forEach((weight, c) => {
      if (weight === null) return;
      pen.fillStyle = cssColor(scale.color(weight));
      pen.fillRect(Math.floor(c * cell), Math.floor(r * cell), Math.ceil(cell), Math.ceil(cell));
    });
    return hover(el("button", {class: "head", "aria-label": `layer ${layer}, head ${head}`, onclick: () => go({view: "attention", layer, head, position: pass.first_position + pass.n_tokens - 1})},
      canvas, el("span", {}, String(head))), () => headTip(a, layer, head, pass.first_position + pass.n_tokens - 1));
  };
  return el("div", {class: "groups"}, range(Math.max(...a.kv_head) + 1).map(kv => el("div", {class: "group", style: `--group:${groupColor(kv)}`},
    el("span", {class: "muted"}, `keys and values of KV head ${kv}`), el("div", {class: "cards"}, a.kv_head.flatMap((own, head) => own === kv ? [pattern(head)] : [])))));
}

/** The experts of a layer, a token per row; those that it went through are lit. */
function expertPicture(pass, layer) {
  const x = DATA.experts, at = x ? x.layers.layer.indexOf(layer) : -1;
  if (at < 0) return null;
  const count = x.layers.n_experts[at], lit = new Map();
  range(x.layer.length).forEach(i => {
    const position = x.position[i];
    if (x.layer[i] !== layer || position < pass.first_position || position >= pass.first_position + pass.n_tokens) return;
    lit.set(position, (lit.get(position) || new Map()).set(x.expert[i], x.weight[i]));
  });
  return el("div", {class: "experts", role: "img", "aria-label": `which of ${count} experts each token went through`}, [...lit].map(([position, chosen]) =>
    el("div", {}, el("span", {class: "who"}, pieceAt(position)), range(count).map(expert => hover(el("i", {
      class: chosen.has(expert) ? "lit" : null, style: `--weight:${chosen.get(expert) ?? 0}`,
    }), () => chosen.has(expert) ? `expert ${expert}, weight ${number(chosen.get(expert))}` : `expert ${expert}: not for ${pieceAt(position)}`)))));
}

const wordsPicture = pass => el("p", {class: "tokens"}, range(pass.n_tokens).map(i => pass.first_position + i).map(position =>
  hover(el("span", {class: "token prompt"}, TOKENS.piece[position] ?? "?"), () => `position ${position} · a row of the picture`)));

function rivalsPicture(pass) {
  const l = pass.logits;
  return l ? el("div", {class: "rivals"}, range(Math.min(5, l.token_id.length)).map(i =>
    el("div", {}, el("span", {}, quoted(l.piece[i])), bar(l.probability[i], "var(--warm)"), el("span", {}, percent(l.probability[i]))))) : null;
}
