// The pass as a cord: the residual stream runs down, each operation is a knot, layers fold.

const KIND_COLORS = {MUL_MAT: 0, ADD: 1, SOFT_MAX: 2, ROPE: 3, RMS_NORM: 4, SWIGLU: 5, MUL: 7, SET_ROWS: 6};
const kindColor = kind => kind in KIND_COLORS ? GROUPS[KIND_COLORS[kind]] : "var(--muted)";

const ROW = 24, LANE = 13, LEFT = 14;
const unfolded = new Set();

view({
  id: "pass", title: "The pass", keys: ["step", "seq"],
  draw(root) {
    const pass = passOf(selection.step);
    if (!detailed.length) {
      root.append(panel("The pass", note(`No operations were recorded: the trace was written with --capture ${RUN.capture}.`)));
      return;
    }
    if (!pass.operations) { root.append(panel("The pass", passChooser(), note("Of this pass only its result is kept."))); return; }
    const graph = DATA.graphs[pass.operations.graph];
    selection.seq = clamp(selection.seq, 0, graph.name.length - 1);
    if (chosenFold !== selection.seq && graph.layer[selection.seq] !== null) unfolded.add(graph.layer[selection.seq]);
    root.append(el("div", {class: "split"}, cordPanel(pass, graph), detailPanel(pass, graph)));
    queueMicrotask(() => {
      const row = root.querySelector(".oprow[aria-current]"), list = root.querySelector(".cord");
      if (!row || !list) return;
      const top = row.offsetTop - list.clientHeight / 2;
      if (row.offsetTop < list.scrollTop + ROW || row.offsetTop > list.scrollTop + list.clientHeight - 2 * ROW) list.scrollTop = top;
    });
  },
  key(event) {
    const pass = passOf(selection.step);
    if (!pass.operations) return false;
    const graph = DATA.graphs[pass.operations.graph];
    const rows = visibleRows(graph), here = currentRow(rows);
    switch (event.key) {
      case "ArrowDown": case "j": return selectRow(rows[Math.min(rows.length - 1, here + 1)]);
      case "ArrowUp": case "k": return selectRow(rows[Math.max(0, here - 1)]);
      case "ArrowRight": return rows[here].isFold ? toggleLayer(graph, rows[here].layer, true) : selectRow(rows[Math.min(rows.length - 1, here + 1)]);
      case "ArrowLeft": case "Enter":
        return rows[here].layer === null ? false : toggleLayer(graph, rows[here].layer, rows[here].isFold && event.key === "Enter");
      case "[": case "]": return turnTo(pass, event.key === "]" ? 1 : -1);
      default: return false;
    }
  },
});

/** The pass so many further on, if there is one. */
function turnTo(pass, by) {
  const other = detailed[detailed.indexOf(pass) + by];
  if (other) go({step: other.step});
  return true;
}

/** The operation whose layer stays folded although it is chosen. */
let chosenFold = null;

/** What the list shows: operations, and layers that are folded to one row. */
function visibleRows(graph) {
  const rows = [];
  for (let i = 0; i < graph.name.length; i++) {
    const layer = graph.layer[i];
    if (layer === null || unfolded.has(layer)) { rows.push({index: i, layer, isFold: false}); continue; }
    let last = i;
    while (last + 1 < graph.name.length && graph.layer[last + 1] === layer) last += 1;
    rows.push({index: last, first: i, layer, isFold: true});
    i = last;
  }
  return rows;
}

function currentRow(rows) {
  return Math.max(0, rows.findIndex(row => row.isFold ? row.first <= selection.seq && selection.seq <= row.index : row.index === selection.seq));
}

function selectRow(row) {
  chosenFold = row.isFold ? row.index : null;
  go({seq: row.index});
  return true;
}

function toggleLayer(graph, layer, open) {
  const ops = range(graph.name.length).filter(i => graph.layer[i] === layer);
  if (open) { unfolded.add(layer); chosenFold = null; go({seq: ops[0]}); }
  else { unfolded.delete(layer); chosenFold = ops[ops.length - 1]; go({seq: chosenFold}); }
  return true;
}

function passChooser() {
  return chooser("Pass", detailed.map(pass => [pass.step, passName(pass)]), selection.step, step => go({step}));
}

function cordPanel(pass, graph) {
  const rows = visibleRows(graph), o = pass.operations, lanes = layLanes(graph, rows), current = currentRow(rows);
  const width = LEFT * 2 + LANE * Math.max(1, ...lanes);
  const loudest = Math.max(...o.rms.filter(Number.isFinite).map(x => Math.log10(Math.max(1e-6, x)) + 6));
  const list = rows.map((row, at) => {
    const kind = graph.kind[row.index], source = valueSource(graph, row.index);
    const rms = o.rms[source];
    const isCurrent = at === current;
    const name = row.isFold ? `layer ${row.layer}` : graph.name[row.index];
    const time = row.isFold ? range(row.index - row.first + 1).reduce((sum, k) => sum + o.ns[row.first + k], 0) : o.ns[row.index];
    const node = el("div", {
      class: "oprow" + (row.isFold ? " fold" : "") + (isViewKind(kind) && !row.isFold ? " viewrow" : ""), role: "option",
      "aria-current": isCurrent ? "true" : null, "aria-selected": String(isCurrent), "data-seq": row.index, style: `padding-left:${width}px`,
      onclick: event => {
        if (event.detail > 1 && row.layer !== null) { toggleLayer(graph, row.layer, row.isFold); return; }
        selectRow(row);
      },
    }, row.isFold || (row.layer !== null && graph.layer[row.index - 1] !== row.layer)
      // For the pointer; keys fold the chosen row.
      ? el("span", {
        class: "twist", "aria-hidden": "true", title: row.isFold ? "unfold (→)" : "fold (←)",
        onclick: event => { event.stopPropagation(); toggleLayer(graph, row.layer, row.isFold); },
      }, row.isFold ? "▸" : "▾") : el("span", {class: "twist"}),
    el("b", {}, name), el("span", {class: "what"}, row.isFold ? `${row.index - row.first + 1} operations` : kind),
    el("span", {class: "size"}, bar(rms ? (Math.log10(Math.max(1e-6, rms)) + 6) / loudest : 0), row.isFold ? duration(time) : shapeText(o.shape[row.index])));
    return hover(node, () => row.isFold
      ? `layer ${row.layer}: ${duration(time)}, rms after it ${number(rms)}`
      : `${name} (${kind}): ${kindOf(kind).summary}\nrms ${number(rms)}` + (isViewKind(kind) ? " (its source's)" : `, ${duration(time)}`));
  });
  const cord = el("div", {class: "cord", role: "listbox", tabindex: 0, "aria-label": "Operations in order"},
    el("div", {class: "cordrows"}, cordPicture(graph, rows, lanes, width), list));
  const all = range(MODEL.n_layer);
  return el("section", {class: "panel cordpanel"}, el("div", {class: "toolbar"}, passChooser(),
    el("button", {onclick: () => { all.forEach(l => unfolded.add(l)); chosenFold = null; render(); }}, "Unfold all"),
    el("button", {onclick: () => {
      unfolded.clear();
      chosenFold = selection.seq;
      const row = visibleRows(graph)[currentRow(visibleRows(graph))];
      selectRow(row);
    }}, "Fold all")), cord,
  el("div", {class: "legends"}, Object.keys(KIND_COLORS).map(kind =>
    hover(el("span", {class: "kind", style: `--kind:${kindColor(kind)}`}, kind), () => kindOf(kind).summary)),
  el("span", {class: "muted"}, "bar: rms, logarithmic")),
  keyHint("↑ ↓ step · → unfolds, ← folds a layer · [ ] other passes"));
}

/** A lane for each row: 0 is the residual stream; a value keeps its lane until it is read for the last time. */
function layLanes(graph, rows) {
  const rowOf = new Map(rows.map((row, at) => [row.index, at])), last = new Map();
  rows.forEach((row, at) => {
    if (!row.isFold) for (const input of graph.inputs[row.index]) if (input >= 0) last.set(input, at);
  });
  const lanes = [], busy = [];
  rows.forEach((row, at) => {
    const isCord = row.isFold || row.layer === null || ["attention_residual", "layer_output"].includes(graph.role[row.index]);
    if (isCord) { lanes.push(0); return; }
    const heir = graph.inputs[row.index].filter(input => input >= 0 && rowOf.has(input))
      .find(input => lanes[rowOf.get(input)] > 0 && last.get(input) === at);
    let lane = heir === undefined ? 1 : lanes[rowOf.get(heir)];
    if (heir === undefined) while ((busy[lane] ?? -1) >= at) lane += 1;
    busy[lane] = Math.max(at, last.get(row.index) ?? at);
    lanes.push(lane);
  });
  return lanes;
}

function cordPicture(graph, rows, lanes, width) {
  const height = rows.length * ROW, rowOf = new Map(rows.map((row, at) => [row.index, at]));
  const x = lane => LEFT + lane * LANE, y = at => at * ROW + ROW / 2;
  const chosen = currentRow(rows), edges = [], knots = [];
  edges.push(svg("path", {class: "maincord", d: `M${x(0)} ${y(0)}V${y(rows.length - 1)}`}));
  rows.forEach((row, at) => {
    const kind = graph.kind[row.index], cx = x(lanes[at]), cy = y(at);
    if (!row.isFold) for (const input of graph.inputs[row.index]) {
      const from = input >= 0 ? rowOf.get(input) : undefined;
      if (from === undefined) continue;
      const x0 = x(lanes[from]), y0 = y(from), isNear = from === chosen || at === chosen;
      const d = x0 === cx ? `M${x0} ${y0}V${cy}` : lanes[from] < lanes[at] && lanes[from] === 0
        ? `M${x0} ${cy - ROW}C${x0} ${cy - ROW / 2} ${cx} ${cy - ROW / 2} ${cx} ${cy}`
        : `M${x0} ${y0}V${cy - ROW}C${x0} ${cy - ROW / 2} ${cx} ${cy - ROW / 2} ${cx} ${cy}`;
      edges.push(svg("path", {class: "edge" + (isNear ? " near" : ""), d}));
    }
    knots.push(row.isFold
      ? svg("rect", {class: "knot foldknot", x: cx - 6, y: cy - 7, width: 12, height: 14, rx: 5})
      : svg("circle", {
        class: "knot" + (isViewKind(kind) ? " hollow" : ""), cx, cy, r: isViewKind(kind) ? 2.6 : 4.6, style: `--kind:${kindColor(kind)}`,
      }));
    if (at === chosen) knots.push(svg("circle", {class: "ring", cx, cy, r: 9}));
  });
  return svg("svg", {class: "cordlines", width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"}, edges, knots);
}

// What is known of one operation

function detailPanel(pass, graph) {
  const index = selection.seq, o = pass.operations, kind = graph.kind[index], layer = graph.layer[index];
  const from = valueSource(graph, index);
  const readers = range(graph.name.length).filter(i => graph.inputs[i].includes(index));
  const moved = o.bytes_read[index] + o.bytes_written[index];
  const value = (name, x) => [name, el("span", {"data-stat": name}, x)];
  const broken = o.broken[from];
  return el("section", {class: "panel details", "aria-live": "polite"},
    el("h2", {}, addressOf(graph, index), " ", el("span", {class: "kind", style: `--kind:${kindColor(kind)}`}, kind)),
    el("p", {class: "formula"}, kindOf(kind).formula), note(kindOf(kind).summary),
    broken ? el("p", {class: "warning"}, `${broken[0]} values are NaN, ${broken[1]} infinite.`) : null,
    el("div", {class: "columns tight"},
      facts([
        ["operation", `${index} of ${graph.name.length}` + (layer === null ? "" : `, layer ${layer}`)],
        ["output", `${graph.type[index]} ${shapeText(o.shape[index])}`],
        ...parameters(o.params[index]),
        value("time", duration(o.ns[index])),
        value("arithmetic", flop(o.flops[index])),
        value("bytes read", bytes(o.bytes_read[index])), value("bytes written", bytes(o.bytes_written[index])),
        moved ? value("intensity", el("span", {}, number(o.flops[index] / moved, 3) + " flop/byte ", link({view: "roofline"}, "roofline"))) : null,
      ]),
      facts([
        value("rms", number(o.rms[from])), value("mean", number(o.mean[from])), value("std", number(o.std[from])),
        value("min", number(o.min[from])), value("max", number(o.max[from])), value("zeros", grouped(o.zeros[from])),
        value("values", grouped(o.n[from])),
      ])),
    el("h3", {}, "Sources"), el("ul", {class: "links"}, graph.inputs[index].map(input => el("li", {}, sourceLink(graph, o, input)))),
    readers.length ? [el("h3", {}, "Read by"), el("ul", {class: "links"}, readers.slice(0, 12).map(i =>
      el("li", {}, link({seq: i}, addressOf(graph, i)), ` ${graph.kind[i]}`)))] : null,
    valuePicture(pass, graph, index, from),
    note("In the terminal: ", code(`quipu show ${DATA.source.trace.split("/").pop()} '${addressOf(graph, index)}'`
      + (pass.step ? ` --step ${pass.step}` : ""))));
}

function parameters(text) {
  if (!text) return [];
  return Object.entries(JSON.parse(text)).map(([name, value]) =>
    [name, Array.isArray(value) ? value.join(", ") : typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value)]);
}

function sourceLink(graph, operations, input) {
  if (typeof input === "string") return `${input}, an input of the run`;
  if (input >= 0) return [link({seq: input}, addressOf(graph, input)), ` ${graph.kind[input]} ${shapeText(operations.shape[input])}`];
  const weight = -1 - input;
  return [link({view: "quantisation", weight}, WEIGHTS.name[weight]), ` weight, ${WEIGHTS.type[weight]} ${shapeText(WEIGHTS.shape[weight])}`];
}

function valuePicture(pass, graph, index, from) {
  const layer = graph.layer[index], kind = graph.kind[from], picture = pass.operations.pictures[from];
  if (graph.role[from] === "pattern") {
    return [el("h3", {}, "Values"), note(link({view: "attention", layer, position: pass.first_position + pass.n_tokens - 1}, `Where the heads of layer ${layer} look`))];
  }
  if (!picture) {
    const kept = detailed.some(other => Object.keys(other.operations.pictures).length);
    return [el("h3", {}, "Values"), note(kindOf(kind).is_write ? "What was written to the cache is its first source."
      : isViewKind(kind) ? "The cache as all passes up to this one wrote it; this page does not keep it."
      : kept ? "Values are kept in this page of the first and the last pass." : `The trace has no values (capture ${RUN.capture}).`)];
  }
  const cells = pictureCells(picture), scale = suited(cells);
  const isSampled = picture.rows < picture.height || picture.columns < picture.width;
  const tokensInRows = picture.height === pass.n_tokens;
  const rowName = r => {
    const rows = bin(r, picture.rows, picture.height);
    return tokensInRows && rows[0] === rows[1] ? `${pieceAt(pass.first_position + rows[0])}` : `row ${span(rows)}`;
  };
  return [el("h3", {}, from === index ? "Values" : `Values of ${addressOf(graph, from)}, which this names`),
    heatMap({
      rows: picture.rows, columns: picture.columns, scale, fit: [540, 3, 14], cell: [0, clamp(Math.floor(320 / picture.rows), 6, 16)],
      title: `values of ${graph.name[from]}`, value: (r, c) => cells[r * picture.columns + c],
      rowLabel: tokensInRows && picture.rows === picture.height ? r => shortened(TOKENS.piece[pass.first_position + r] ?? "", 9) : null,
      tip: (r, c) => `${graph.name[from]}, ${rowName(r)}, element ${span(bin(c, picture.columns, picture.width))}\n`
        + (isSampled ? "largest: " : "") + number(cells[r * picture.columns + c], 3),
    }), legend(scale, "value"),
    isSampled ? note(`${picture.width} elements (across) by ${picture.height} rows; a cell shows the value of largest magnitude of those it stands for.`)
      : note(`${picture.width} elements (across) by ${picture.height} rows.`)];
}
