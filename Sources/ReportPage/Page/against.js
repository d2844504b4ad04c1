// Other runs beside the page's: where they part, how far they are, which tokens flip.

const others = DATA.comparisons;
const fileOf = path => path.split("/").pop();
/** A run's name: its file's, with the run's id where two are in one file. */
const runName = c => fileOf(c.trace) + (others.filter(o => o.trace === c.trace).length > 1 || c.trace === DATA.source.trace ? `#${c.run}` : "");
let shownOther = 0;

if (others.length) view({
  id: "against", title: others.length > 1 ? "Several runs" : "Two runs", keys: [],
  draw(root) { root.append(partingPanel(), distancePanel(), outlookPanel(), furthestPanel()); },
});

function partingPanel() {
  return panel(`Where ${others.length > 1 ? "they part" : "the two part"}`, table(["run", "model", "passes compared", "first difference", "predictions that flip"], others.map(c => [
    runName(c), fileOf(c.model), c.has_same_tokens ? String(c.steps) : "the prompt's, of other tokens",
    c.first ? link({view: "pass", step: c.first.step, seq: c.first.seq}, `${c.first.name}, pass ${c.first.step}`) : "none",
    `${c.flips} of ${c.predictions.length}`]), {class: "numbers"}),
  note(`Each is held against the run of this page, ${fileOf(DATA.source.trace)}, of ${fileOf(MODEL.path)}. `
    + "Operations are paired by name; `quipu diff` says the same in a terminal."));
}

function distancePanel() {
  const series = others.map((c, i) => ({
    name: runName(c), color: GROUPS[i % GROUPS.length], dash: [null, "7 4", "2 4"][i % 3],
    points: range(c.operations.seq.length).filter(k => c.operations.role[k] === "layer_output")
      .map(k => [c.operations.layer[k], c.operations.nmse[k], `${runName(c)}, ${c.operations.name[k]}\nNMSE ${number(c.operations.nmse[k])}, cosine ${number(c.operations.cosine[k], 6)}`]),
  }));
  return panel("How far the residual stream is, layer by layer",
    series.some(s => s.points.some(p => p[1] > 0)) ? lineChart(series, {x: "layer", y: "NMSE", isLog: true, title: "squared error of the stream over its squares, by layer"})
      : note("The streams are the same, or no values of them were captured in both runs."),
    note("NMSE: the squared error of the first pass's stream, over the squares of this page's."));
}

function outlookPanel() {
  const steps = [...new Set(others.flatMap(c => c.predictions.map(p => p.step)))].sort((a, b) => a - b);
  const own = step => others.flatMap(c => c.predictions).find(p => p.step === step);
  return panel("What each expects", table(["after", "this run", ...others.flatMap(c => [runName(c), "KLD"])], steps.map(step => [
    pieceAt(own(step).position), `${quoted(own(step).pieces[0])} ${percent(own(step).probabilities[0])}`,
    ...others.flatMap(c => {
      const p = c.predictions.find(x => x.step === step);
      return p ? [el("span", {class: p.is_flipped ? "warning" : null}, `${quoted(p.pieces[1])} ${percent(p.probabilities[1])}`), number(p.kld)] : ["", ""];
    })]), {class: "numbers outlook"}), note("A token that flips stands out. KLD in nats, of the whole distribution, where both runs captured it."));
}

function furthestPanel() {
  const c = others[Math.min(shownOther, others.length - 1)], o = c.operations;
  const worst = range(o.seq.length).filter(k => o.nmse[k] > 0).sort((a, b) => o.nmse[b] - o.nmse[a]).slice(0, 12);
  return panel("The operations that differ most",
    others.length > 1 ? chooser("run", others.map((other, i) => [i, runName(other)]), shownOther, i => { shownOther = i; render(); }) : null,
    worst.length ? table(["operation", "NMSE", "cosine", "largest"], worst.map(k => [
      link({view: "pass", step: 0, seq: o.seq[k]}, o.name[k]), number(o.nmse[k]), number(o.cosine[k], 6), number(o.max_abs[k])]), {class: "numbers"})
      : note("None of the captured values differ."));
}
