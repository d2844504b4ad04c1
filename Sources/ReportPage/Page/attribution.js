// Why this token: a logit as the sum of what each part of the network wrote; only where the model was at hand.

let attributionOf = 0;

/** What is explained: the first token's logit, the second's, or how far the first is above the second. */
const ATTRIBUTIONS = [
  [(a, b) => quoted(a.piece), (a, b) => a], [(a, b) => quoted(b.piece), (a, b) => b],
  [(a, b) => `${quoted(a.piece)} over ${quoted(b.piece)}`, (a, b) => a === null || b === null ? null : a - b],
];
const isAttributed = () => DATA.attribution?.tokens.length > 1;
const attributionName = i => ATTRIBUTIONS[i][0](...DATA.attribution.tokens);

if (isAttributed() || pending) view({
  id: "attribution", title: "Attribution", keys: [],
  draw(root) {
    if (isAttributed()) root.append(attributionPanel(), el("div", {class: "split even"}, attributedHeadsPanel(), attributedLayersPanel()));
    else root.append(pendingPanel("Attribution") || panel("Attribution", note("There is none for this run.")));
  },
});

/** A number of both tokens as what is explained. */
function attributed(read) {
  const [a, b] = DATA.attribution.tokens;
  return ATTRIBUTIONS[attributionOf][1](read(a), read(b));
}

function attributionPanel() {
  const x = DATA.attribution, sum = (t, name) => t[name].reduce((s, v) => s + v, 0);
  return panel(`Why ${attributionName(attributionOf)} after ${pieceAt(x.position)}`,
    chooser("explain", range(ATTRIBUTIONS.length).map(i => [i, attributionName(i)]), attributionOf, i => { attributionOf = i; render(); }),
    facts([
      ["logit", number(attributed(t => t.logit))], ["embedding", number(attributed(t => t.embedding))],
      ["attention", number(attributed(t => sum(t, "attention")))], ["feed-forward", number(attributed(t => sum(t, "feed_forward")))],
      ["rest", number(attributed(t => t.rest))],
      ["probability", x.tokens.map(t => `${quoted(t.piece)} ${percent(t.probability)}`).join(", ")],
    ]),
    note("The final norm's scale is frozen; then the logit is the sum of what was written into the residual stream. Rest: what rounding "
      + "activations before the output matrix did. It does not say what the model would do without a part. `quipu explain logit` names single neurons and goes down to a weight."));
}

function attributedHeadsPanel() {
  const layers = DATA.attribution.tokens[0].heads.length, heads = DATA.attribution.tokens[0].heads[0]?.length || 0;
  const value = (r, c) => attributed(t => t.heads[r][c]), all = range(layers).flatMap(r => range(heads).map(c => value(r, c))).filter(v => v !== null);
  const scale = signs(Math.max(...all.map(Math.abs), 1e-9));
  return panel("Heads", heatMap({
    rows: layers, columns: heads, value, scale, cell: [22, 16], fit: [430, 6, 30], title: "what each head adds, layers by heads",
    rowLabel: r => String(r), columnLabel: c => String(c), chosen: null, choose: (layer, head) => go({view: "attention", layer, head}),
    tip: (r, c) => `layer ${r}, head ${c}: ${number(value(r, c))}`,
  }), legend(scale, "adds"), note("Layers down, heads across. A click shows where the head looks."));
}

function attributedLayersPanel() {
  const layers = DATA.attribution.tokens[0].attention.length;
  const rows = range(layers).map(i => [attributed(t => t.attention[i]), attributed(t => t.feed_forward[i])]);
  const most = Math.max(...rows.flat().map(Math.abs), Math.abs(attributed(t => t.embedding)), 1e-9);
  const cells = v => [number(v), hover(bar(Math.abs(v) / most, v < 0 ? GROUPS[5] : GROUPS[0]), () => `${number(v)} of ${number(attributed(t => t.logit))}`)];
  return panel("Layers", table(["layer", "attention", "", "feed-forward", ""], rows.map(([attention, forward], i) =>
    [String(i), ...cells(attention), ...cells(forward)]), {class: "numbers attributed"}),
    note("Bars are sizes: blue adds, orange takes away."));
}
