// A block as an instrument: 32 weights of any tensor, a format, and what moving its scale, its minimum or a weight does.

const f32 = Math.fround, blockLength = 32;

/** The nearest integer; halves to the even one, or away from zero. */
const nearestEven = x => { const low = Math.floor(x), rest = x - low; return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low; };
const nearestAway = x => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

/** A number as half precision keeps it. */
function toHalf(x) {
  if (x === 0 || !Number.isFinite(x)) return x;
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x)))) - 10), rounded = nearestEven(x / step) * step;
  return Math.abs(rounded) > 65504 ? Math.sign(x) * Infinity : rounded;
}

const inverseOf = d => d === 0 ? 0 : f32(1 / d);
const lowest = x => x.reduce((a, b) => Math.min(a, b)), highest = x => x.reduce((a, b) => Math.max(a, b));
/** The first value of largest magnitude, with its sign. */
const largestOf = x => x.reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a, 0);

/** ggml's formats without a minimum: x = (q - half) · d, the scale chosen so that the largest weight gets the lowest code. */
const symmetric = (bits, half) => ({
  bits, codes: [0, 2 * half - 1], own: x => ({d: f32(largestOf(x) / -half), m: 0}),
  code: (x, {d}) => Math.trunc(f32(f32(x * inverseOf(d)) + half + 0.5)), value: (q, {D}) => f32((q - half) * D), formula: `x = (q − ${half}) · d`,
});

/** ggml's formats with a minimum: x = q · d + m. */
const affine = (bits, most) => ({
  bits, codes: [0, most], hasMinimum: true, own: x => ({d: f32(f32(highest(x) - lowest(x)) / most), m: lowest(x)}),
  code: (x, {d, m}) => Math.trunc(f32(f32(f32(x - m) * inverseOf(d)) + 0.5)), value: (q, {D, M}) => f32(f32(q * D) + M), formula: "x = q · d + m",
});

/** The textbook's integers with a zero point: x = (q - z) · s, where z is a code, so that 0 is exact. */
const zeroPoint = (bits, low, high) => ({
  bits, codes: [low, high], isTextbook: true, hasZero: true,
  own: x => {
    const [from, to] = [Math.min(0, lowest(x)), Math.max(0, highest(x))], d = f32((to - from) / (high - low));
    return {d, m: d === 0 ? 0 : nearestAway(low - from / d)};
  },
  code: (x, {d, m}) => d === 0 ? m : nearestAway(x / d) + m, value: (q, {d, m}) => f32((q - m) * d), formula: "x = (q − z) · s",
});

const SCHEMES = {
  Q4_0: symmetric(4.5, 8), Q4_1: affine(5, 15), Q5_0: symmetric(5.5, 16), Q5_1: affine(6, 31),
  Q8_0: {bits: 8.5, codes: [-127, 127], own: x => ({d: f32(Math.abs(largestOf(x)) / 127), m: 0}), code: (x, {d}) => nearestAway(f32(x * inverseOf(d))), value: (q, {D}) => f32(q * D), formula: "x = q · d"},
  "INT4 with zero point": zeroPoint(4 + 36 / blockLength, -8, 7), "INT8 with zero point": zeroPoint(8 + 40 / blockLength, -128, 127),
};

/**
 * Weights as a format keeps them: {d, m, codes, values, zero: what becomes of a weight of 0}. `factor` multiplies the scale that the format would choose;
 * `shift` moves the minimum, in steps, or the zero point, in codes.
 */
function encodeBlock(name, numbers, factor = 1, shift = 0) {
  const weights = numbers.map(f32), scheme = SCHEMES[name], own = scheme.own(weights), d = factor === 1 ? own.d : f32(own.d * factor);
  const m = shift === 0 ? own.m : scheme.hasZero ? clamp(own.m + Math.round(shift), ...scheme.codes) : scheme.hasMinimum ? f32(own.m + shift * d) : 0;
  const parts = {d, m, D: toHalf(d), M: toHalf(m)};
  const code = x => clamp(scheme.code(x, parts), ...scheme.codes) + 0, codes = weights.map(code);
  return {d: scheme.isTextbook ? d : parts.D, m: scheme.isTextbook ? m : parts.M, codes, values: codes.map(q => scheme.value(q, parts)), zero: scheme.value(code(0), parts)};
}

const errorsOf = (weights, values) => values.map((v, i) => v - weights[i]);
const rmsOf = x => Math.sqrt(x.reduce((sum, e) => sum + e * e, 0) / x.length);
const instrument = {asked: 0, key: "", format: "Q4_0", factor: 1, shift: 0, chosen: 0, before: [], weights: [], inputs: null};

view({
  id: "instrument", title: "A block", keys: ["tensor", "row", "column"],
  draw(root) {
    instrument.target = el("div", {id: "instrument"});
    root.append(panel("A block as an instrument", instrument.target));
    showInstrument();
  },
});

async function showInstrument() {
  const mine = ++instrument.asked, target = el("div", {});
  await filled(target, inspected().then(async found => {
    const tensor = found.tensors[selection.tensor] ?? found.tensors[0];
    if (!tensor) return note("The file has no tensors.");
    const columns = tensor.shape[0] ?? 1, first = Math.min(selection.column - selection.column % blockLength, Math.max(0, columns - blockLength));
    const key = [tensor.name, selection.row, first].join("\n");
    if (key !== instrument.key) {
      const part = await get("values", {tensor: tensor.name, row: selection.row, offset: first, count: blockLength});
      const weights = part.values[0].map(x => Number.isFinite(x) ? f32(x) : x);
      if (!weights.every(Number.isFinite)) return note("This block has weights that are no numbers.");
      Object.assign(instrument, {key, before: weights, weights: [...weights], factor: 1, shift: 0, chosen: 0, inputs: await productInputs(tensor, first, weights.length).catch(() => null)});
    }
    return instrumentBody(found, tensor, first);
  }));
  if (mine === instrument.asked) instrument.target.replaceChildren(target);
}

/** What the row is multiplied by in this trace, at the prompt's last token, and what comes of it; null if it is not there. */
async function productInputs(tensor, first, length) {
  const w = WEIGHTS.name.indexOf(tensor.name), pass = detailed[0], graph = pass && DATA.graphs[pass.operations.graph];
  const i = graph && w >= 0 ? range(graph.name.length).find(k => graph.kind[k] === "MUL_MAT" && graph.inputs[k][0] === -1 - w) : undefined;
  if (i === undefined || graph.inputs[i][1] < 0) return null;
  const input = graph.inputs[i][1], token = Math.min(pass.n_tokens, pass.operations.shape[i][1] ?? 1) - 1;
  const [name, of] = [addressOf(graph, i), addressOf(graph, input)], at = {trace: LIVE.current, step: pass.step};
  const [x, y] = await Promise.all([get("show", {...at, name: `${of}[${first}:${first + length},${token}]`}), get("show", {...at, name: `${name}[${selection.row},${token}]`})]);
  return x.values.every(Number.isFinite) && Number.isFinite(y.values[0]) ? {name, of, token, x: x.values, y: y.values[0]} : null;
}

function instrumentBody(found, tensor, first) {
  const state = instrument, scheme = () => SCHEMES[state.format], shown = el("div", {id: "played", "aria-live": "off"});
  const rows = rowsOf(tensor), most = Math.max(...state.before.map(Math.abs)) || 1;
  const slider = (id, low, high, step, value, change) => field(id, "range", value, {min: low, max: high, step, oninput: event => { change(+event.target.value); redraw(); }});
  const scale = slider("playscale", 0.25, 3, 0.01, state.factor, value => { state.factor = value; });
  const shift = slider("playshift", -8, 8, 0.1, state.shift, value => { state.shift = value; });
  const value = slider("playvalue", -3 * most, 3 * most, most / 200, state.weights[state.chosen], value => { state.weights[state.chosen] = f32(value); });
  const at = field("playat", "number", state.chosen, {min: 0, max: state.weights.length - 1, oninput: event => { choose(clamp(Math.floor(+event.target.value) || 0, 0, state.weights.length - 1)); }});
  const choose = i => { state.chosen = i; at.value = i; value.value = state.weights[i]; redraw(); };
  const shiftField = labelled("", shift), reset = () => { Object.assign(state, {factor: 1, shift: 0, weights: [...state.before]}); scale.value = 1; shift.value = 0; choose(state.chosen); };

  function redraw() {
    const made = encodeBlock(state.format, state.weights, state.factor, state.shift), errors = errorsOf(state.weights, made.values);
    shiftField.hidden = !(scheme().hasMinimum || scheme().hasZero);
    shiftField.firstChild.textContent = scheme().hasZero ? "zero point moved by" : "minimum moved by, in steps";
    const [low, high] = scheme().codes, p = state.inputs;
    const change = values => values.reduce((sum, v, i) => sum + (v - state.before[i]) * p.x[i], 0);
    shown.replaceChildren(blockDrawing(state, made, choose), facts([
      ["formula", scheme().formula], [scheme().hasZero ? "scale s" : "scale d", number(made.d, 6)], scheme().hasMinimum ? ["minimum m", number(made.m, 6)] : scheme().hasZero ? ["zero point z", String(made.m)] : null,
      ["codes", el("span", {id: "playcodes"}, made.codes.join(" "))], ["used", `${new Set(made.codes).size} of ${high - low + 1} codes`],
      ["rms error", el("span", {id: "playrms"}, number(rmsOf(errors), 6))], ["largest error", number(Math.max(...errors.map(Math.abs)), 6)],
      ["zero", made.zero === 0 ? "exact: a code stands for it" : `not exact: the nearest is ${number(made.zero, 6)}`],
      p ? ["row's product", el("span", {id: "playproduct"}, `${number(p.y, 6)} in the trace, ${number(p.y + change(made.values), 6)} with this block`)] : null,
    ]), p ? note(`The row by ${p.of} of token ${p.token} is ${p.name}: the block changes it by the sum of (new − old weight) · input, here without rounding the input as kernels do.`)
      : LIVE.current === null ? note("Run a prompt to see what the row's product becomes.") : null,
    el("h3", {}, "The same weights in each format, at its own scale"), table(["format", "bits per weight", "rms error", "largest error", "zero"], Object.keys(SCHEMES).map(name => {
      const own = encodeBlock(name, state.weights), e = errorsOf(state.weights, own.values);
      return [name === state.format ? el("b", {}, name) : name, number(SCHEMES[name].bits), number(rmsOf(e)), number(Math.max(...e.map(Math.abs))), own.zero === 0 ? "exact" : "not exact"];
    }), {class: "numbers"}));
  }

  const format = el("select", {id: "playformat", "aria-label": "format", onchange: event => { state.format = event.target.value; Object.assign(state, {factor: 1, shift: 0}); scale.value = 1; shift.value = 0; redraw(); }},
    Object.keys(SCHEMES).map(name => el("option", {value: name, selected: name === state.format}, name)));
  redraw();
  return [el("div", {class: "toolbar"}, link({view: "model"}, tensor.name), el("span", {class: "muted"}, `${tensor.type}, ${shapeText(tensor.shape)}, columns ${first} to ${first + state.before.length - 1}`),
    labelled("row", wholeField("playrow", selection.row, rows - 1, row => go({row}, true))), labelled("column", wholeField("playcolumn", first, (tensor.shape[0] ?? 1) - 1, column => go({column}, true)))),
  el("div", {class: "toolbar"}, labelled("format", format), labelled("scale times", scale), shiftField, labelled("weight", at), labelled("its value", value), el("button", {id: "playreset", onclick: reset}, "As it was")),
  shown, note("ggml's formats round as ggml does: the scale and the minimum are kept in half precision. The textbook's keep a scale in F32 and a whole number for zero."), keyHint("arrows on a weight: left and right choose, up and down move it; or drag it")];
}

/** Weights as dots that can be moved, what the format makes of them as marks, and the ladder of its codes. */
function blockDrawing(state, made, choose) {
  const width = clamp(innerWidth - 70, 300, 860), height = 260, left = 8, top = 10, count = state.weights.length;
  const limit = Math.max(...state.weights.map(Math.abs), ...made.values.map(Math.abs), ...state.before.map(Math.abs), 1e-30) * 1.08;
  const px = i => left + (i + 0.5) * (width - 2 * left) / count, py = v => top + (limit - v) / (2 * limit) * (height - 2 * top);
  const [low, high] = SCHEMES[state.format].codes, ladder = high - low > 40 ? [] : [...new Set(range(high - low + 1).map(k => {
    const scheme = SCHEMES[state.format];
    return scheme.value(low + k, {d: made.d, m: made.m, D: made.d, M: made.m});
  }))].filter(v => Math.abs(v) <= limit);
  const move = (i, v) => { state.weights[i] = f32(clamp(v, -limit * 1.5, limit * 1.5)); choose(i); };
  const svgNode = svg("svg", {viewBox: `0 0 ${width} ${height}`, class: "chart", role: "group", "aria-label": `${count} weights and what ${state.format} makes of them`},
    ladder.map(v => svg("path", {class: "grid", d: `M${left} ${py(v)}H${width - left}`})), svg("path", {class: "line", stroke: "var(--muted)", "stroke-width": 1, d: `M${left} ${py(0)}H${width - left}`}),
    state.weights.map((x, i) => svg("path", {class: "line", stroke: "var(--warm)", "stroke-width": 3, d: `M${px(i)} ${py(x)}V${py(made.values[i])}`})),
    made.values.map((v, i) => svg("rect", {x: px(i) - 4, y: py(v) - 2, width: 8, height: 4, fill: "var(--ink)"})),
    state.weights.map((x, i) => {
      const dot = svg("circle", {class: "dot grip", cx: px(i), cy: py(x), r: i === state.chosen ? 6 : 4.5, fill: i === state.chosen ? "var(--warm)" : "var(--accent)", tabindex: i === state.chosen ? 0 : -1, role: "slider",
        "aria-label": `weight ${i}`, "aria-valuenow": x, "aria-valuemin": -limit, "aria-valuemax": limit, "aria-valuetext": `${number(x)}, code ${made.codes[i]}, ${number(made.values[i])}`});
      dot.addEventListener("keydown", event => {
        const [across, up] = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}[event.key] ?? [0, 0];
        if (!across && !up) return;
        if (across) choose(clamp(i + across, 0, count - 1)); else move(i, x + up * limit / 50);
        document.querySelector("#played .grip[tabindex='0']").focus();
        event.preventDefault();
        event.stopPropagation();
      });
      return hover(dot, () => `weight ${i}: ${number(x)}\ncode ${made.codes[i]} → ${number(made.values[i])}\nerror ${number(made.values[i] - x)}`);
    }));
  svgNode.addEventListener("pointerdown", event => {
    if (!event.target.matches(".grip")) return;
    const i = [...svgNode.querySelectorAll(".grip")].indexOf(event.target), box = svgNode.getBoundingClientRect();
    const follow = e => { hideTip(); move(i, limit - ((e.clientY - box.top) * height / box.height - top) / (height - 2 * top) * 2 * limit); };
    addEventListener("pointermove", follow);
    addEventListener("pointerup", () => removeEventListener("pointermove", follow), {once: true});
    event.preventDefault();
  });
  return scroller(svgNode);
}
