// Arithmetic against bytes: what is held back by memory, and what by arithmetic.

view({
  id: "roofline", title: "Roofline", keys: ["step"],
  draw(root) {
    if (!detailed.length) { root.append(panel("Roofline", note(`No operations were recorded (capture ${RUN.capture}).`))); return; }
    const pass = passOf(selection.step).operations ? passOf(selection.step) : detailed[0];
    root.append(panel("Roofline", el("div", {class: "toolbar"}, passChooser()), rooflineChart(pass), rooflineTable(pass)));
  },
  key(event) {
    const step = {"[": -1, "]": 1, ArrowLeft: -1, ArrowRight: 1}[event.key];
    const next = step && detailed[detailed.indexOf(passOf(selection.step)) + step];
    if (next) go({step: next.step});
    return Boolean(step);
  },
});

const MARKS = {
  MUL_MAT: "circle", ADD: "square", SOFT_MAX: "triangle", ROPE: "diamond", RMS_NORM: "square", SWIGLU: "triangle", MUL: "diamond",
};

function markPath(kind, x, y, r = 4.5) {
  switch (MARKS[kind]) {
    case "square": return `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`;
    case "triangle": return `M${x} ${y - r * 1.2}l${r * 1.1} ${r * 2}h${-2.2 * r}z`;
    case "diamond": return `M${x} ${y - r * 1.3}l${r * 1.2} ${r * 1.3}l${-r * 1.2} ${r * 1.3}l${-r * 1.2} ${-r * 1.3}z`;
    default: return `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
  }
}

/** Operations that computed something, with their rates. */
function rated(pass) {
  const o = pass.operations, graph = DATA.graphs[o.graph];
  return range(graph.name.length).filter(i => o.ns[i] > 0 && o.flops[i] > 0).map(i => {
    const moved = o.bytes_read[i] + o.bytes_written[i];
    return {i, name: graph.name[i], kind: graph.kind[i], ns: o.ns[i], moved, flops: o.flops[i], intensity: o.flops[i] / moved, speed: o.flops[i] / o.ns[i], bandwidth: moved / o.ns[i]};
  });
}

function rooflineChart(pass) {
  const points = rated(pass), width = clamp(innerWidth - 60, 330, 900), height = 430, left = 60, right = 14, top = 28, bottom = 44;
  if (!points.length) return note("No operation took measurable time.");
  const log = Math.log10, bounds = key => [Math.floor(log(Math.min(...points.map(p => p[key])))), Math.ceil(log(Math.max(...points.map(p => p[key]))) + 1e-9)];
  const [x0, x1] = bounds("intensity"), [y0, y1] = bounds("speed");
  const px = v => left + (log(v) - x0) / (x1 - x0 || 1) * (width - left - right), py = v => height - bottom - (log(v) - y0) / (y1 - y0 || 1) * (height - top - bottom);
  // Roofs are the best that any large operation of this run did: a bound seen, not one promised by the maker.
  const large = points.filter(p => p.ns > 20000), pool = large.length ? large : points;
  const bandwidth = Math.max(...pool.map(p => p.bandwidth)), peak = Math.max(...pool.map(p => p.speed));
  const ridge = peak / bandwidth, from = Math.max(10 ** x0, 10 ** y0 / bandwidth), to = 10 ** x1;
  const decade = (low, high) => range(high - low + 1).map(i => low + i);
  const power = t => t >= 0 && t < 4 ? String(10 ** t) : t < 0 && t > -3 ? String(10 ** t) : `1e${t}`;
  return [scroller(svg("svg", {viewBox: `0 0 ${width} ${height}`, class: "chart roofline", role: "img", "aria-label": "Roofline: speed against intensity"},
    decade(x0, x1).map(t => [svg("path", {class: "grid", d: `M${px(10 ** t)} ${top}V${height - bottom}`}), svg("text", {class: "axis mid", x: px(10 ** t), y: height - bottom + 16}, power(t))]),
    decade(y0, y1).map(t => [svg("path", {class: "grid", d: `M${left} ${py(10 ** t)}H${width - right}`}), svg("text", {class: "axis end", x: left - 6, y: py(10 ** t) + 4}, power(t))]),
    svg("text", {class: "axis mid", x: (left + width) / 2, y: height - 8}, "intensity, flop a byte (logarithmic)"),
    svg("text", {class: "axis", x: 4, y: 11}, "speed, Gflop/s (logarithmic)"),
    svg("path", {class: "roof", d: ridge > from ? `M${px(from)} ${py(from * bandwidth)}L${px(Math.min(ridge, to))} ${py(Math.min(ridge, to) * bandwidth)}` + (ridge < to ? `H${px(to)}` : "") : `M${px(from)} ${py(peak)}H${px(to)}`}),
    roving(points.map(p => hover(svg("path", {
      class: "mark", d: markPath(p.kind, px(p.intensity), py(p.speed)), fill: kindColor(p.kind), "data-seq": p.i, onclick: () => go({view: "pass", step: pass.step, seq: p.i}),
    }), () => `${p.name} (${p.kind})\n${number(p.intensity, 3)} flop/byte, ${number(p.speed, 3)} Gflop/s, ${number(p.bandwidth, 3)} GB/s\n${duration(p.ns)}`))))),
  el("div", {class: "legends"}, [...new Set(points.map(p => p.kind))].map(kind => el("span", {class: "legend"},
    svg("svg", {width: 14, height: 14}, svg("path", {d: markPath(kind, 7, 7), fill: kindColor(kind)})), kind))),
  note(`An operation a mark; choose one to see it in the pass. The line is the best of this pass among operations of 20 µs or more: ${number(bandwidth, 3)} GB/s of memory (slope), `
    + `${number(peak, 3)} Gflop/s (level). Marks on the slope wait for memory; those above it are short, and their bytes were still in the cache. \`quipu bench\` measures the machine itself; recording slows passes down.`)];
}

function rooflineTable(pass) {
  return table(["operation", "number", "time", "flop/byte", "Gflop/s", "GB/s"], sumsByKind(pass).filter(s => s.flops && s.ns).map(s => [
    el("span", {class: "kind", style: `--kind:${kindColor(s.kind)}`}, s.kind), String(s.n), duration(s.ns), number(s.flops / s.bytes, 3), number(s.flops / s.ns, 3), number(s.bytes / s.ns, 3),
  ]), {class: "numbers"});
}
