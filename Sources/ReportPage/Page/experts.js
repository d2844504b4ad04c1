// Which experts the tokens went through; only of models that have some.

if (DATA.experts) view({
  id: "experts", title: "Experts", keys: ["layer"],
  draw(root) { root.append(expertsPanel(), expertLoadPanel(), expertBytesPanel()); },
  key(event) {
    const step = {ArrowUp: -1, ArrowDown: 1}[event.key], layers = DATA.experts.layers.layer;
    if (!step) return false;
    go({layer: layers[clamp(Math.max(0, layers.indexOf(selection.layer)) + step, 0, layers.length - 1)]}, true);
    return true;
  },
});

function expertsPanel() {
  const x = DATA.experts, layers = x.layers.layer, layer = layers.includes(selection.layer) ? selection.layer : layers[0];
  const count = x.layers.n_experts[layers.indexOf(layer)], chosen = range(x.layer.length).filter(i => x.layer[i] === layer);
  const positions = [...new Set(chosen.map(i => x.position[i]))], at = new Map(chosen.map(i => [x.position[i] + "," + x.expert[i], i]));
  const choice = (r, c) => at.get(positions[r] + "," + c), scale = sizes(0, 1);
  return panel("Which token went where",
    chooser("layer", layers.map(l => [l, String(l)]), layer, l => go({layer: l})), keyHint("↑ ↓ another layer"),
    heatMap({
      rows: positions.length, columns: count, scale, cell: [16, 14], fit: [860, 6, 28], title: `tokens by experts in layer ${layer}`,
      value: (r, c) => x.weight[choice(r, c)] ?? 0, rowLabel: r => `${positions[r]} ${pieceAt(positions[r])}`,
      tip: (r, c) => choice(r, c) === undefined ? `${pieceAt(positions[r])}: not through expert ${c}`
        : `${pieceAt(positions[r])}: expert ${c}, choice ${x.slot[choice(r, c)]}\nprobability ${number(x.probability[choice(r, c)])}, weight ${number(x.weight[choice(r, c)])}`,
    }), legend(scale, "weight"),
    note("Rows are tokens, columns experts. In the last layer only tokens that were predicted from go on. `quipu experts` says the same in a terminal."));
}

function expertLoadPanel() {
  const x = DATA.experts, load = x.layers.layer.map((layer, i) => {
    const tokens = Array(x.layers.n_experts[i]).fill(0);
    range(x.layer.length).forEach(k => { if (x.layer[k] === layer) tokens[x.expert[k]] += 1; });
    return tokens;
  });
  return panel("Load", table(["layer", "met", "router, bits", "alike", "tokens of each expert"], x.layers.layer.map((layer, i) => [
    link({layer}, String(layer)), `${load[i].filter(n => n).length} of ${x.layers.n_experts[i]}`, number(x.layers.entropy_bits[i], 3),
    percent(x.layers.alike[i]), load[i].join(" ")]), {class: "numbers"}),
  note("Met: experts that some token went through. Router: mean entropy of its probabilities. Alike: share of a token's experts that the next token went through too."));
}

function expertBytesPanel() {
  const p = DATA.experts.passes;
  return panel("Expert weights read by each pass", table(["pass", "experts", "read", "of all", "", "if even"], p.step.map((step, i) => [
    String(step), `${p.n_distinct[i]} of ${p.n_experts[i]}`, bytes(p.bytes_read[i]), percent(p.bytes_read[i] / (p.bytes_all[i] || 1)),
    bar(p.bytes_read[i] / (p.bytes_all[i] || 1)), percent(p.share_if_even[i])]), {class: "numbers"}),
  note("If even: the share if every token chose evenly and by itself. What is saved is reading; all experts have to be in memory."));
}
