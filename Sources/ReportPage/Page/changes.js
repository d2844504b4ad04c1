// What a live page changes in a run: heads, layers, experts, elements, codes; a list of it, and what that does.

/** Names of a part's result in each layer, by role, from the prompt's pass. */
function namesOfRole(role) {
  const pass = detailed[0], graph = pass && DATA.graphs[pass.operations.graph];
  if (!graph) return [];
  return range(MODEL.n_layer).map(layer => {
    const i = indexOfRole(graph, role, layer);
    return i < 0 ? null : {name: graph.name[i], width: pass.operations.shape[i][0]};
  });
}

/** What a layer's experts are chosen by, and how many there are; null of a layer without. */
function routerOf(layer) {
  const scores = namesOfRole("router_scores")[layer];
  return scores ? {name: scores.name, experts: scores.width} : null;
}

const pathOfTrace = id => LIVE.traces.find(t => t.id === +id)?.path ?? String(id);

/** A change as `quipu trace` takes it. */
const optionOf = change => `--${change.kind} ` + shell(change.kind === "weight" ? change.target
  : `${change.target}=${change.kind === "patch" ? pathOfTrace(change.spec) : change.spec}`);

/** Adds a change to the list, in the place of one of the same part. */
function addChange(change) {
  trial.changes = [...trial.changes.filter(c => c.target !== change.target || c.kind !== change.kind), change];
  trial.changed?.();
}

function changePanel() {
  const list = el("ol", {id: "changes"}), result = el("div", {id: "changed", "aria-live": "polite"}), problem = el("p", {class: "warning", role: "alert"});
  const factor = field("factor", "range", 0, {min: 0, max: 3, step: 0.1, "aria-label": "factor"}), shownFactor = el("output", {for: "factor"}, "0");
  factor.addEventListener("input", () => { shownFactor.textContent = factor.value; });
  const atOnce = field("atonce", "checkbox", "", {checked: true}), apply = el("button", {id: "apply", class: "main", disabled: !LIVE.can_run, onclick: () => applyChanges()}, "Apply");
  const undoAll = el("button", {id: "undoall", onclick: () => { trial.changes = []; trial.changed(); }}, "Undo all");
  const buttons = new Map();
  const isThere = target => trial.changes.some(c => c.target === target);

  let waiting = 0;
  trial.changed = () => {
    list.replaceChildren(...trial.changes.map((change, i) => el("li", {}, code(optionOf(change)), " ",
      el("button", {"aria-label": `undo change ${i + 1}`, onclick: () => { trial.changes.splice(i, 1); trial.changed(); }}, "undo"))));
    undoAll.hidden = !trial.changes.length;
    buttons.forEach((button, target) => button.setAttribute("aria-pressed", String(isThere(target))));
    clearTimeout(waiting);
    if (!trial.changes.length) { trial.applying?.abort(); result.replaceChildren(); problem.textContent = ""; }
    else if (atOnce.checked && LIVE.can_run) waiting = setTimeout(applyChanges, 60);
  };

  /** A button for a part, that changes it and leaves it as it was by turns. */
  function toggle(target, label, change) {
    const button = el("button", {class: "part", "aria-pressed": "false", "aria-label": label, title: label, onclick: () => {
      if (!isThere(target)) return addChange({target, ...change()});
      trial.changes = trial.changes.filter(c => c.target !== target);
      trial.changed();
    }});
    buttons.set(target, button);
    return button;
  }
  const scaled = () => ({kind: "scale", spec: factor.value}), left = () => ({kind: "set", spec: "-1e9"});

  const mixes = namesOfRole("mix"), writes = namesOfRole("attention_write"), networks = namesOfRole("feed_forward_write");
  const grid = range(MODEL.n_layer).map(layer => {
    const mix = mixes[layer], heads = MODEL.n_head, size = mix ? mix.width / heads : 0, router = routerOf(layer);
    const cells = mix && Number.isInteger(size) ? range(heads).map(head =>
      toggle(`${mix.name}[${head * size}:${(head + 1) * size}]`, `layer ${layer}, head ${head}`, scaled)) : [];
    const whole = [[writes, "attention"], [networks, "feed-forward network"]].map(([names, word]) =>
      names[layer] ? toggle(names[layer].name, `layer ${layer}, all of the ${word}`, scaled) : null);
    const experts = router ? range(router.experts).map(e => toggle(`${router.name}[${e},:]`, `layer ${layer}, expert ${e}`, left)) : [];
    return el("div", {class: "partrow"}, el("span", {class: "muted"}, `layer ${layer}`), roving(cells), el("span", {class: "gap"}), whole,
      experts.length ? [el("span", {class: "gap"}), roving(experts)] : null);
  });
  const hasExperts = range(MODEL.n_layer).some(routerOf);

  async function applyChanges() {
    clearTimeout(waiting);
    if (!trial.changes.length || !LIVE.can_run) return;
    trial.applying?.abort();
    const mine = trial.applying = new AbortController(), began = performance.now(), changes = [...trial.changes];
    problem.textContent = "";
    result.classList.add("old");
    if (!result.firstChild) result.replaceChildren(el("span", {class: "muted"}, "running …"));
    try {
      const before = await (trial.before ||= get("candidates", {trace: LIVE.current}));
      let time = null;
      const show = (after, made, ...more) => {
        if (mine.signal.aborted) return;
        time ??= performance.now() - began;
        result.classList.remove("old");
        result.replaceChildren(comparison(before, after, made, changes, time), ...more);
      };
      // What is expected after the prompt is known before the rest of the run is.
      const made = await runChanged(changes, mine.signal, token => show({candidates: token.rivals, text: token.piece + " …"}, null));
      const after = await get("candidates", {trace: made}), deeper = el("div", {id: "deeper"});
      if (mine.signal.aborted) return;
      show(after, made, deeper);
      await throughLayers(deeper, made);
    } catch (error) {
      if (error.name === "AbortError" || mine.signal.aborted) return;
      result.replaceChildren();
      problem.textContent = visible(String(error.message));
    }
  }

  /** The number of the new trace. A run that was just given up may still hold its place for a moment. */
  async function runChanged(changes, signal, begun) {
    for (let attempt = 0; ; attempt++) {
      try {
        let made = null, isBegun = false;
        await post({from: LIVE.current, changes}, signal, line => {
          if (line.error) throw new Error(line.error);
          made = line.trace || made;
          const first = (line.tokens || []).find(token => token.rivals.length);
          if (first && !isBegun) begun(first);
          isBegun ||= Boolean(first);
        });
        return made;
      } catch (error) {
        if (error.status !== 429 || attempt > 10) throw error;
        await new Promise(done => setTimeout(done, 200));
      }
    }
  }

  const sources = LIVE.traces.filter(t => t.id !== LIVE.current);
  const kinds = {scale: field("freescale", "number", 0, {step: "any", "aria-label": "factor"}), set: field("freeset", "number", 0, {step: "any", "aria-label": "value"}),
    patch: el("select", {"aria-label": "trace"}, [...sources].reverse().map(t => el("option", {value: t.id}, `${t.id}: ${shortened(t.prompt, 40)} ${shortened(t.changes.join(" "), 30)}`)))};
  const names = {scale: "multiply by", set: "set to", patch: "take from the trace"};
  const free = field("free", "text", "", {placeholder: "kq_soft_max-0[:,:,2]", "aria-label": "An operation's elements"});
  const kind = el("select", {id: "kind", "aria-label": "how", onchange: () => showKind()}, Object.keys(names).filter(k => k !== "patch" || sources.length).map(k => el("option", {value: k}, names[k])));
  const showKind = () => Object.entries(kinds).forEach(([k, input]) => { input.hidden = k !== kind.value; });
  showKind();
  const addFree = () => { if (free.value.trim()) addChange({kind: kind.value, target: free.value.trim(), spec: String(kinds[kind.value].value)}); };
  free.addEventListener("keydown", event => { if (event.key === "Enter") addFree(); });

  const shown = panel("Change something", note("Silence heads, or all that attention or the feed-forward network of a layer adds, and see what this trace's model says then. Only what depends on the changes is computed."),
    el("div", {class: "toolbar"}, labelled("multiply by", factor), shownFactor, labelled("at once", atOnce)), el("div", {class: "parts"},
      el("div", {class: "partrow"}, el("span", {class: "muted"}, ""), el("span", {class: "muted"}, "heads, then attention and feed-forward" + (hasExperts ? ", then experts: not chosen" : ""))), grid),
    el("div", {class: "toolbar"}, labelled("or elements", free), kind, Object.values(kinds), el("button", {id: "add", onclick: addFree}, "Add"), apply, undoAll),
    list, problem, result);
  trial.changed();
  return shown;
}

/** What was expected, and what is. */
function comparison(before, after, made, changes, time) {
  const old = new Map(before.candidates.map((c, rank) => [c.piece, {...c, rank}]));
  return el("div", {}, table(["now", "token", "was", "", "is", ""], after.candidates.map((c, rank) => {
    const was = old.get(c.piece);
    return [String(rank + 1), el("b", {}, quoted(c.piece)), was ? percent(was.probability) : "less", bar(was?.probability), percent(c.probability), bar(c.probability)];
  }), {class: "numbers"}), facts([["it said", quoted(before.text)], ["it says", quoted(after.text)], ["took", el("span", {id: "took"}, duration(time * 1e6))]]),
    el("p", {}, made === null ? null : [el("button", {onclick: () => openTrace(made)}, "Look at the changed run"), " "],
      code(`quipu trace --from ${shell(pathOfTrace(LIVE.current))} ${changes.map(optionOf).join(" ")}`)));
}

/** Layer by layer: what would have been said there, before and after, and how far the stream is from what it was. */
async function throughLayers(target, made) {
  const position = DATA.passes[0].n_tokens - 1;
  trial.lens ||= get("lens", {trace: LIVE.current, position});
  return filled(target, Promise.all([trial.lens, get("lens", {trace: made, position}), get("diff", {trace: LIVE.current, other: made})]).then(([was, is, diff]) => {
    const [a, b] = [was, is].map(lens => lens.positions[0].layers), first = diff.first_divergence;
    const distance = layer => diff.ops.find(op => op.step === 0 && op.layer === layer && op.role === "layer_output")?.nmse ?? null;
    const top = layer => el("span", {}, quoted(layer.top[0].piece), " ", percent(layer.top[0].probability));
    return [el("h3", {}, "Through the layers"),
      table(["after", "was", "is", "stream changed by"], b.map((layer, i) => [layer.layer < 0 ? "embedding" : `layer ${layer.layer}`, top(a[i]),
        layer.top[0].piece === a[i].top[0].piece ? top(layer) : el("b", {}, top(layer)), number(distance(layer.layer))]), {class: "numbers lens"}),
      facts([["first difference", first ? `${first.name} (${first.kind})` : "none: the same to the bit"],
        ["KL divergence", diff.predictions.length ? `${number(diff.predictions[0].kld)} nats, of the prediction after the prompt` : null],
        ["changed predictions", `${diff.flips} of ${diff.predictions.length} that can be compared`]]),
      note("The logit lens: the final norm and the output matrix, applied after each layer. The change is the squared error over the squares (NMSE).")];
  }));
}
