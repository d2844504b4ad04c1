// Who looks at whom, and which heads share keys and values.

const SINK = 0.5;
let headMeasure = 0;
const HEAD_MEASURES = [
  ["sink", "weight on the first token", "sink_weight", () => sizes(0, 1)],
  ["entropy", "entropy in bits: how widely a head looks", "entropy_bits", values => sizes(0, Math.max(...values, 1), "bits")],
  ["top", "largest weight", "top_weight", () => sizes(0, 1)],
];

view({
  id: "attention", title: "Attention", keys: ["layer", "head", "position"],
  draw(root) {
    const a = DATA.attention;
    if (!a) { root.append(panel("Attention", note(`Nothing was recorded about attention (capture ${RUN.capture}).`))); return; }
    selection.layer = clamp(selection.layer, 0, a.layers - 1);
    selection.head = clamp(selection.head, 0, a.heads - 1);
    selection.position = clamp(selection.position, 0, a.positions - 1);
    root.append(el("div", {class: "split even"}, headGrid(a), el("div", {}, linkPanel(a), patternPanel(a))), gqaPanel(a));
  },
  key(event) {
    const a = DATA.attention;
    const change = a && {
      ArrowUp: {layer: selection.layer - 1}, ArrowDown: {layer: selection.layer + 1}, ArrowLeft: {head: selection.head - 1},
      ArrowRight: {head: selection.head + 1}, ",": {position: selection.position - 1}, ".": {position: selection.position + 1},
    }[event.key];
    if (!change) return false;
    go(change);
    return true;
  },
});

const groupColor = kvHead => GROUPS[kvHead % GROUPS.length];

/** A number of table attention_head; null where it is not kept. */
function headNumber(a, column, layer, head, position) {
  const at = a.kept.indexOf(position);
  return at < 0 ? null : a[column][(layer * a.heads + head) * a.kept.length + at];
}

/** The weights of a head from a position, over the keys of the pattern; null where not captured. */
function patternRow(a, layer, head, row) {
  if (!a.patterns.length) return null;
  const key = layer * a.heads + head;
  a.decoded = a.decoded || new Map();
  if (!a.decoded.has(key)) a.decoded.set(key, words(a.patterns[layer][head], 2));
  const values = a.decoded.get(key), start = row * (row + 1) / 2;
  return range(row + 1).map(c => values[start + c] === 65535 ? null : values[start + c] / 65534);
}

/** Whether a position lies before what another sees of a layer. */
const isCut = (a, layer, from, to) => a.windows[layer] !== null && from - to >= a.windows[layer];
const whyCut = (a, layer) => `lies before the window of ${a.windows[layer]} positions and is masked`;

function headTip(a, layer, head, position) {
  const at = column => headNumber(a, column, layer, head, position), top = at("top_position");
  return `layer ${layer}, head ${head} (KV head ${a.kv_head[head]}), from ${pieceAt(position)}\n`
    + `looks most at ${top === null ? "–" : pieceAt(top)}: ${percent(at("top_weight"))}\n`
    + `entropy ${number(at("entropy_bits"))} bits, first token ${percent(at("sink_weight"))}`;
}

function headGrid(a) {
  const [, title, column, makeScale] = HEAD_MEASURES[headMeasure];
  const value = (layer, head) => headNumber(a, column, layer, head, selection.position);
  const scale = makeScale(range(a.layers).flatMap(l => range(a.heads).map(h => value(l, h) ?? 0)));
  return panel("All heads",
    el("div", {class: "toolbar"}, chooser("Show", HEAD_MEASURES.map((m, i) => [i, m[1]]), headMeasure, i => { headMeasure = i; render(); })),
    heatMap({
      rows: a.layers, columns: a.heads, value, scale, fit: [460, 6, 42],
      cell: [0, clamp(Math.floor(520 / a.layers), 10, 26)], stripe: head => groupColor(a.kv_head[head]),
      title: `${title}, layer by head`, rowLabel: layer => String(layer), chosen: [selection.layer, selection.head],
      tip: (layer, head) => headTip(a, layer, head, selection.position), choose: (layer, head) => go({layer, head}),
      mark: (layer, head) => (headNumber(a, "sink_weight", layer, head, selection.position) ?? 0) > SINK,
    }), legend(scale, title),
    note(`Rows are layers, columns query heads; the stripe is the KV head they read. • marks a sink: more than ${SINK * 100} % `
      + "of the attention on the first token, where heads park what they do not need."),
    keyHint("↑ ↓ layer · ← → head · , . token"));
}

function linkPanel(a) {
  const row = clamp(Math.floor(selection.position * a.size / a.positions), 0, a.size - 1);
  const heads = showAllHeads ? range(a.heads) : [selection.head];
  const rows = heads.map(head => patternRow(a, selection.layer, head, row));
  const isExact = a.size === a.positions;
  const chips = range(a.positions).map(position => {
    const key = Math.floor(position * a.size / a.positions);
    const shares = rows.map(r => r && key <= row ? r[key] : null), strongest = Math.max(...shares.map(s => s ?? 0));
    const by = heads[shares.indexOf(strongest)] ?? selection.head, color = groupColor(a.kv_head[by]);
    return hover(el("button", {
      class: "token link" + (position === selection.position ? " from" : "") + (position > selection.position || isCut(a, selection.layer, selection.position, position) ? " later" : ""),
      "data-position": position, style: `--weight:${strongest};--group:${color}`,
      onclick: () => go({position}), onpointerenter: () => peek(a, position),
    }, TOKENS.piece[position] ?? "?"), () => position > selection.position
      ? `${pieceAt(position)} comes later and is masked`
      : isCut(a, selection.layer, selection.position, position) ? `${pieceAt(position)} ${whyCut(a, selection.layer)}` : `${pieceAt(selection.position)} → ${pieceAt(position)}: `
        + (shares[0] === null || shares[0] === undefined ? "not captured" : heads.map((head, i) =>
          `${heads.length > 1 ? `\nhead ${head}: ` : ""}${percent(shares[i])}`).join("")) + (isExact ? "" : " (largest of several positions)"));
  });
  return panel(`Layer ${selection.layer}, ${showAllHeads ? "all heads" : `head ${selection.head}`}: where ${pieceAt(selection.position)} looks`,
    el("div", {class: "toolbar"}, el("label", {}, el("input", {
      type: "checkbox", checked: showAllHeads, onchange: event => { showAllHeads = event.target.checked; render(); },
    }), " all heads of the layer"), el("span", {class: "muted"}, `head ${selection.head} reads KV head ${a.kv_head[selection.head]}`)),
    el("p", {class: "tokens links", id: "links", onpointerleave: () => peek(a, selection.position)}, chips),
    el("p", {class: "readout", id: "headreadout"}, headTip(a, selection.layer, selection.head, selection.position)),
    a.patterns.length ? null : note(`Patterns were not captured (capture ${RUN.capture}); only summaries are known.`));
}
let showAllHeads = false;

/** Shows where another token looks, without choosing it: while the pointer is on it. */
function peek(a, position) {
  const row = clamp(Math.floor(position * a.size / a.positions), 0, a.size - 1);
  const weights = patternRow(a, selection.layer, selection.head, row);
  if (!weights || showAllHeads) return;
  document.querySelectorAll("#links .token").forEach((chip, p) => {
    const key = Math.floor(p * a.size / a.positions);
    chip.style.setProperty("--peek", p <= position && key <= row ? weights[key] ?? 0 : 0);
    chip.classList.toggle("peeking", position !== selection.position);
  });
  document.getElementById("headreadout").textContent = headTip(a, selection.layer, selection.head, position);
}

function patternPanel(a) {
  if (!a.patterns.length) return null;
  const isExact = a.size === a.positions, cell = clamp(Math.floor(Math.min(420, innerWidth - 130) / a.size), 3, 22), scale = sizes(0, 1);
  const rows = range(a.size).map(r => patternRow(a, selection.layer, selection.head, r));
  const positions = index => range(a.positions).filter(p => Math.floor(p * a.size / a.positions) === index);
  const name = index => isExact ? pieceAt(index) : `positions ${span([positions(index)[0], positions(index).pop()])}`;
  const cut = (r, c) => isCut(a, selection.layer, positions(r)[0], positions(c).pop());
  const pass = DATA.passes.find(p => p.first_position <= selection.position && selection.position < p.first_position + p.n_tokens);
  const graph = pass && pass.operations ? DATA.graphs[pass.operations.graph] : null;
  const seq = graph ? indexOfRole(graph, "pattern", selection.layer) : -1;
  return panel("The pattern",
    heatMap({
      rows: a.size, columns: a.size, scale, cell: [cell, cell], title: `attention of layer ${selection.layer}, head ${selection.head}`,
      value: (r, c) => c <= r && !cut(r, c) ? rows[r][c] : null, chosen: [Math.floor(selection.position * a.size / a.positions), 0],
      rowLabel: isExact ? r => shortened(TOKENS.piece[r] ?? "", 9) : null,
      tip: (r, c) => c > r ? null : cut(r, c) ? `${name(c)} ${whyCut(a, selection.layer)}` : `${name(r)} → ${name(c)}: ${percent(rows[r][c])}`,
      choose: r => go({position: positions(r).pop()}),
    }), legend(scale, "weight"),
    note("A row is the token that looks, a column the token looked at. "
      + (a.windows[selection.layer] === null ? "" : `It sees ${a.windows[selection.layer]} positions, its own included. `),
      seq >= 0 ? link({view: "pass", step: pass.step, seq}, `${graph.name[seq]} in the pass`) : null));
}

function gqaPanel(a) {
  const cache = DATA.passes.map(pass => pass.cache).filter(Boolean).pop();
  const kvHeads = Math.max(...a.kv_head) + 1, step = Math.max(16, Math.min(44, 640 / a.heads)), width = a.heads * step + 60;
  const qx = head => 30 + (head + 0.5) * step, kx = kv => 30 + (kv + 0.5) * step * a.heads / kvHeads;
  const picture = svg("svg", {viewBox: `0 0 ${width} 132`, class: "gqa", style: `max-width:${width}px`, role: "img", "aria-label": "Which KV head each query head reads"},
    a.kv_head.map((kv, head) => svg("path", {
      class: head === selection.head ? "near" : null, d: `M${qx(head)} 34C${qx(head)} 70 ${kx(kv)} 60 ${kx(kv)} 96`, stroke: groupColor(kv), fill: "none",
    })),
    a.kv_head.map((kv, head) => svg("g", {class: "qhead", onclick: () => go({head})},
      svg("circle", {cx: qx(head), cy: 26, r: Math.min(11, step / 2 - 1), fill: groupColor(kv)}),
      step >= 18 ? svg("text", {x: qx(head), y: 30, class: "inhead"}, String(head)) : null)),
    range(kvHeads).map(kv => svg("g", {}, svg("rect", {x: kx(kv) - 17, y: 92, width: 34, height: 24, rx: 5, fill: groupColor(kv)}),
      svg("text", {x: kx(kv), y: 108, class: "inhead"}, `KV ${kv}`))),
    svg("text", {x: 2, y: 10, class: "axis"}, `${a.heads} query heads`), svg("text", {x: 2, y: 130, class: "axis"}, `${kvHeads} KV heads in the cache`));
  return panel("Grouped-query attention", el("div", {class: "columns"}, scroller(picture), cache ? el("div", {},
    table(["cache after the last pass", "KV heads", "bytes", ""], [
      ["as it is", cache.n_kv_heads, cache.bytes], ["a KV head for each query head (MHA)", a.heads, cache.mha_bytes],
      ["one for all (MQA)", 1, cache.mqa_bytes],
    ].map(([name, heads, size]) => [name, String(heads), bytes(size), bar(size / cache.mha_bytes, "var(--accent)")]), {class: "numbers"}),
    note(`2 (K and V) × ${a.layers} layers × ${cache.n_kv_heads} heads × ${cache.head_dim} channels × ${cache.n_positions} positions × 2 bytes `
      + `(${cache.dtype}) = ${grouped(cache.bytes)} bytes.`)) : null));
}
