// Errors by layer and role, then a tensor, then its blocks, then the bytes of one block.

const ROLE_ORDER = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];
let errorReference = 0;

view({
  id: "quantisation", title: "Quantisation", keys: ["weight", "format", "block"],
  draw(root) {
    const q = DATA.quantisation;
    selection.format = clamp(selection.format, 0, Math.max(0, q.formats.length - 1));
    selection.weight = clamp(selection.weight, 0, WEIGHTS.name.length - 1);
    root.append(el("div", {class: "split drill"}, errorMap(q), tensorPanel(q)));
  },
  key(event) {
    const step = {"[": -1, "]": 1}[event.key], q = DATA.quantisation;
    if (!step || !q.formats.length) return false;
    go({format: clamp(selection.format + step, 0, q.formats.length - 1)});
    return true;
  },
});

/** The row of table quant_error of a weight in a format; undefined if there is none. */
function weightError(q, weight, format) {
  const e = q.errors, at = e.weight.findIndex((w, i) => w === weight && e.format[i] === format && e.reference[i] === errorReference);
  return at < 0 ? undefined : Object.fromEntries(Object.keys(e).map(key => [key, e[key][at]]));
}

function errorTip(q, weight, error) {
  return `${WEIGHTS.name[weight]} (${WEIGHTS.type[weight]}) as ${q.formats[selection.format]}\n` + (error
    ? `relative error ${percent(error.rel_rmse)}, SQNR ${number(error.sqnr_db)} dB\nrmse ${number(error.rmse)}, largest ${number(error.max_abs)}`
    : "not measured: the format's blocks do not divide its rows");
}

function errorMap(q) {
  if (!q.formats.length) {
    return panel("Error by layer and role", note("The trace holds no errors of weights, and the model's file is not at hand: ", q.missing ?? ""),
      note("Record them with ", code(`quipu quant errors MODEL --as Q4_0,Q8_0 --output ${DATA.source.trace.split("/").pop()}`)));
  }
  const layered = range(WEIGHTS.name.length).filter(w => WEIGHTS.layer[w] !== null);
  const roles = [...new Set(layered.filter(w => q.errors.weight.includes(w)).map(w => WEIGHTS.role[w]))]
    .sort((a, b) => (ROLE_ORDER.indexOf(a) + 99) % 99 - (ROLE_ORDER.indexOf(b) + 99) % 99);
  const layers = Math.max(0, ...layered.map(w => WEIGHTS.layer[w])) + 1;
  const at = new Map(layered.map(w => [WEIGHTS.layer[w] + " " + WEIGHTS.role[w], w]));
  const weight = (layer, role) => at.get(layer + " " + roles[role]);
  const error = (layer, role) => weightError(q, weight(layer, role), selection.format);
  const errors = range(layers).map(layer => roles.map((_, role) => error(layer, role)));
  const shares = errors.flat().filter(Boolean).map(e => e.rel_rmse * 100);
  const scale = sizes(Math.min(...shares, 0.9 * Math.max(...shares, 1e-9)), Math.max(...shares, 1e-9), "% relative error");
  const others = range(WEIGHTS.name.length).filter(w => WEIGHTS.layer[w] === null && q.errors.weight.includes(w));
  const reference = q.references[errorReference];
  return panel("Error by layer and role", el("div", {class: "toolbar"},
    chooser("Format", q.formats.map((name, i) => [i, name]), selection.format, format => go({format})),
    q.references.length > 1 ? chooser("Against", q.references.map((name, i) => [i, name === "self" ? "the file itself" : name]),
      errorReference, i => { errorReference = i; render(); }) : null),
  shares.length ? [heatMap({
    rows: layers, columns: roles.length, scale, fit: [520, 20, 64],
    cell: [0, clamp(Math.floor(480 / layers), 12, 26)],
    title: "relative error, layer by role", rowLabel: layer => `layer ${layer}`, columnLabel: role => roles[role],
    value: (layer, role) => errors[layer][role] ? errors[layer][role].rel_rmse * 100 : null,
    chosen: WEIGHTS.layer[selection.weight] !== null && roles.includes(WEIGHTS.role[selection.weight])
      ? [WEIGHTS.layer[selection.weight], roles.indexOf(WEIGHTS.role[selection.weight])] : null,
    tip: (layer, role) => weight(layer, role) === undefined ? null : errorTip(q, weight(layer, role), errors[layer][role]),
    choose: (layer, role) => { if (weight(layer, role) !== undefined) go({weight: weight(layer, role), block: 0}); },
  }), legend(scale)] : note(`No layer's rows are divided by the blocks of ${q.formats[selection.format]}.`),
  others.length ? el("p", {}, "Outside the layers: ", others.map(w => [hover(link({weight: w, block: 0}, WEIGHTS.name[w]),
    () => errorTip(q, w, weightError(q, w, selection.format))), " "])) : null,
  note((reference === "self"
    ? "What writing the file's own weights, as they decode, in this format would lose: rms of the error over rms of the weights. "
      + "Weights that were quantised before make like formats look better than they are. "
    : `Against ${reference}: rms of the error over rms of the weights. `)
    + (q.is_recorded ? "Read from the trace." : "Measured for this page; the trace has no table quant_error.")), keyHint("[ ] other formats"));
}

function tensorPanel(q) {
  const w = selection.weight, blocks = q.tensors.find(t => t.weight === w);
  const measured = range(q.formats.length).map(f => [f, weightError(q, w, f)]).filter(pair => pair[1]);
  const most = Math.max(...measured.map(pair => pair[1].rel_rmse), 1e-12);
  const pass = detailed[0], graph = pass ? DATA.graphs[pass.operations.graph] : null;
  const users = graph ? range(graph.name.length).filter(i => graph.inputs[i].includes(-1 - w)) : [];
  return panel(WEIGHTS.name[w], el("div", {class: "columns"},
    el("div", {}, facts([
      ["type", WEIGHTS.type[w]], ["shape", shapeText(WEIGHTS.shape[w])],
      ["in the file", `${bytes(WEIGHTS.n_bytes[w])} from byte ${grouped(WEIGHTS.file_offset[w])}`],
      ["read by", users.length ? users.map(i => [link({view: "pass", step: pass.step, seq: i}, addressOf(graph, i)), " "]) : null],
    ]), measured.length ? table(["format", "relative error", "SQNR", "largest error", "cosine"], measured.map(([f, e]) => [
      link({format: f}, q.formats[f]), el("span", {class: "share"}, percent(e.rel_rmse), bar(e.rel_rmse / most)), number(e.sqnr_db) + " dB", number(e.max_abs), number(e.cosine, 6),
    ]), {class: "numbers"}) : note("No error of it was measured.")),
    blocks ? scaleMap(blocks) : note(q.missing ?? (WEIGHTS.shape[w].length < 2
      ? "One number a channel, kept as it is: such vectors are not quantised." : "Its blocks cannot be taken apart."))),
  blocks ? blockPicture(blocks) : null);
}

function scaleMap(t) {
  const scales = t.decoded || (t.decoded = words(t.scales, 4)), scale = suited(scales);
  const at = (r, c) => scales[r * t.blocks.length + c];
  const shown = (r, c) => t.shown.findIndex(b => b.row === t.rows[r] && b.block === t.blocks[c]);
  const current = t.shown[clamp(selection.block, 0, t.shown.length - 1)];
  return el("div", {}, el("h3", {}, t.is_made ? `Scales of its blocks as ${t.type}` : "Scales of its blocks"),
    heatMap({
      rows: t.rows.length, columns: t.blocks.length, scale, fit: [540, 8, 40], cell: [0, 17],
      title: `scales of blocks of ${WEIGHTS.name[t.weight]}`, value: at, rowLabel: r => `row ${t.rows[r]}`,
      chosen: current ? [t.rows.indexOf(current.row), t.blocks.indexOf(current.block)] : null, mark: (r, c) => shown(r, c) >= 0,
      tip: (r, c) => `row ${t.rows[r]}, block ${t.blocks[c]} of ${t.blocks_per_row}: scale ${number(at(r, c))}`
        + (shown(r, c) >= 0 ? "\nchoose it to see its bytes" : ""),
      choose: (r, c) => { if (shown(r, c) >= 0) go({block: shown(r, c)}); },
    }), legend(scale, "scale d"),
    note("Evenly spread blocks, a block a cell; • can be opened. A scale is the step between neighbouring codes: the larger, the coarser."));
}

function blockPicture(t) {
  const b = t.shown[clamp(selection.block, 0, t.shown.length - 1)];
  if (!b) return null;
  return el("div", {class: "block"}, el("div", {class: "toolbar"}, el("h3", {}, `Row ${b.row}, block ${b.block}`),
    t.shown.map((other, i) => el("button", {"aria-pressed": String(other === b), onclick: () => go({block: i})}, other.why))),
  blockDetails(b, t.formula),
  t.is_made ? null : note("In the terminal: ", code(`quipu quant blocks ${MODEL.path.split("/").pop()} ${WEIGHTS.name[t.weight]} --row ${b.row} --block ${b.block}`)));
}
