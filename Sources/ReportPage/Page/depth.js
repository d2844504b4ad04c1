// What happens over the depth: errors against the F32 run, and what each layer would already predict.

view({
  id: "depth", title: "Errors and lens", keys: [],
  draw(root) { root.append(propagationPanel(), lensPanel(), residualPanel()); },
});

/**
 * Lines over the layers: series of {name, points: [[x, y, text]], dash, color}; dots have tooltips.
 */
function lineChart(series, {x, y, title, isLog}) {
  const width = clamp(innerWidth - 60, 330, 860), height = 300, left = 56, right = 12, top = 26, bottom = 40;
  const up = v => isLog ? Math.log10(v) : v, isDrawn = p => p[1] !== null && Number.isFinite(up(p[1]));
  const points = series.flatMap(s => s.points).filter(isDrawn);
  if (!points.length) return note("There is nothing to draw.");
  const xs = points.map(p => p[0]), ys = points.map(p => up(p[1]));
  const [x0, x1] = [Math.min(...xs), Math.max(...xs, Math.min(...xs) + 1)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const ticks = isLog ? range(Math.ceil(high) - Math.floor(low) + 1).map(i => Math.floor(low) + i) : niceTicks(low, high), y0 = ticks[0], y1 = ticks[ticks.length - 1];
  const px = v => left + (v - x0) / (x1 - x0) * (width - left - right), py = v => height - bottom - (v - y0) / (y1 - y0 || 1) * (height - top - bottom);
  return scroller(svg("svg", {viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": title},
    ticks.map(t => [svg("path", {class: "grid", d: `M${left} ${py(t)}H${width - right}`}), svg("text", {class: "axis end", x: left - 6, y: py(t) + 4}, number(isLog ? 10 ** t : t, 3))]),
    niceTicks(x0, x1).filter(t => Number.isInteger(t) && t <= x1).map(t => svg("text", {class: "axis mid", x: px(t), y: height - bottom + 16}, String(t))),
    svg("text", {class: "axis mid", x: (left + width) / 2, y: height - 6}, x), svg("text", {class: "axis", x: 4, y: 10}, y),
    series.map(s => svg("path", {class: "line", stroke: s.color, "stroke-dasharray": s.dash,
      d: s.points.filter(isDrawn).map((p, i) => (i ? "L" : "M") + px(p[0]) + " " + py(up(p[1]))).join("")})),
    roving(series.flatMap(s => s.points.filter(isDrawn).map(p =>
      hover(svg("circle", {class: "dot", cx: px(p[0]), cy: py(up(p[1])), r: 4, fill: s.color}), () => p[2]))))),
  series.length > 1 ? el("div", {class: "legends"}, series.map(s => el("span", {class: "legend"}, svg("svg", {width: 30, height: 8}, svg("path",
    {d: "M0 4H30", stroke: s.color, "stroke-width": 2.5, "stroke-dasharray": s.dash})), s.name))) : null);
}

function niceTicks(low, high) {
  const raw = (high - low || Math.abs(high) || 1) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw), first = Math.floor(low / step);
  return range(Math.ceil(high / step) - first + 1).map(i => Number(((first + i) * step).toPrecision(10)));
}

const CAUSES = [["both", 0, null], ["weights", 1, "7 4"], ["activations", 2, "2 4"]];

function propagationPanel() {
  const p = DATA.propagation;
  if (!p) {
    return panel("Error propagation", note("How far each operation is from the same model in F32, and whether weights or activations are to blame. "
      + "This run has no such numbers: it needs the model in higher precision, and runs the prompt again, into a trace of its own: "
      + `\`quipu propagate MODEL --base F16-MODEL --prompt "…" --output errors.db\`, then \`quipu report errors.db\`.`));
  }
  const series = mode => CAUSES.map(([cause, color, dash]) => ({
    name: cause === "both" ? "weights and activations" : `only ${cause}`, color: GROUPS[color], dash,
    points: range(p.seq.length).filter(i => p.mode[i] === mode && p.cause[i] === cause && p.role[i] === "layer_output")
      .map(i => [p.layer[i], p.sqnr_db[i], `${p.name[i]}, ${cause}, ${mode}: ${number(p.sqnr_db[i])} dB\nrmse ${number(p.rmse[i])}, cosine ${number(p.cosine[i], 6)}`]),
  })).filter(s => s.points.length);
  const worst = range(p.seq.length).filter(i => p.mode[i] === "local" && p.cause[i] === "both" && p.sqnr_db[i] !== null)
    .sort((a, b) => p.sqnr_db[a] - p.sqnr_db[b]).slice(0, 10);
  return panel("Error propagation", el("h3", {}, "Accumulated after each layer: signal to error, in dB; higher is closer to F32"),
    lineChart(series("accumulated"), {x: "layer", y: "SQNR, dB", title: "accumulated error by layer and cause"}),
    worst.length ? [el("h3", {}, "The operations that add most by themselves"), table(["operation", "kind", "SQNR", "rmse", "largest"],
      worst.map(i => [link({view: "pass", step: 0, seq: p.seq[i]}, p.name[i]), p.kind[i], number(p.sqnr_db[i]) + " dB", number(p.rmse[i]), number(p.max_abs[i])]), {class: "numbers"})] : null);
}

function lensPanel() {
  const l = DATA.lens;
  if (!l) {
    return pendingPanel("Logit lens") || panel("Logit lens", note("What the model would say if it stopped after each layer. The trace has no such rows and the model's file is not at hand; "
      + `\`quipu lens ${DATA.source.trace.split("/").pop()} --model MODEL --record\` adds them.`));
  }
  const last = Math.max(...l.position), rows = range(l.layer.length).filter(i => l.position[i] === last);
  const layers = [...new Set(rows.map(i => l.layer[i]))], scale = sizes(0, 1), ranks = Math.min(5, 1 + Math.max(...rows.map(i => l.rank[i])));
  return panel(`Logit lens after ${pieceAt(last)}`, table(["layer", ...range(ranks).map(r => r ? `${r + 1}.` : "best guess")], layers.map(layer => [
    link({view: "pass", step: 0, seq: Math.max(0, detailed[0] ? indexOfRole(DATA.graphs[0], layer < 0 ? "embedding" : "layer_output", layer < 0 ? null : layer) : 0)}, layer < 0 ? "embedding" : String(layer)),
    ...range(ranks).map(rank => {
      const i = rows.find(row => l.layer[row] === layer && l.rank[row] === rank);
      if (i === undefined) return "";
      const color = scale.color(l.probability[i]);
      return hover(el("span", {class: "guess", style: `background:${cssColor(color)};color:${inkOn(color)}`}, quoted(l.piece[i])),
        () => `${layer < 0 ? "embedding" : `layer ${layer}`}, rank ${rank}: token ${l.token_id[i]} ${quoted(l.piece[i])}\nprobability ${percent(l.probability[i])}, logit ${number(l.logit[i])}`);
    })]), {class: "lens"}), legend(scale, "probability"));
}

function residualPanel() {
  if (!detailed.length) return null;
  const pass = detailed[0], graph = DATA.graphs[pass.operations.graph], rms = pass.operations.rms;
  const line = (role, name, color, dash) => ({name, color: GROUPS[color], dash, points: range(graph.name.length)
    .filter(i => graph.role[i] === role).map(i => [graph.layer[i], rms[i], `${graph.name[i]}: rms ${number(rms[i])}`])});
  return panel("Size over depth", el("h3", {}, "rms of all tokens of the first pass, logarithmic"),
    lineChart([line("layer_output", "residual stream after the layer", 0), line("attention_write", "what attention adds", 1, "7 4"), line("feed_forward_write", "what the feed-forward network adds", 2, "2 4")],
      {x: "layer", y: "rms", isLog: true, title: "size of the residual stream over the layers"}));
}
