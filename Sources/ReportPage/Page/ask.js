// Questions to a trace, and the list of traces: of `quipu open` alone.

function askPanel() {
  const query = el("textarea", {id: "query", rows: 2, "aria-label": "SQL"});
  query.value = "SELECT layer, round(rms, 3) AS rms, name FROM v_op WHERE role = 'layer_output' AND step = 0";
  const rows = el("div", {id: "rows", "aria-live": "polite"}), name = field("address", "text", "result_norm[0:8,0]", {"aria-label": "operation"}), values = el("div", {id: "values"});
  const asking = (target, ask) => async () => {
    target.replaceChildren(el("span", {class: "muted"}, "…"));
    try { target.replaceChildren(await ask()); } catch (error) { target.replaceChildren(el("p", {class: "warning", role: "alert"}, error.message)); }
  };
  const cell = x => x === null ? "–" : typeof x === "number" ? number(x, 6) : typeof x === "object" ? JSON.stringify(x) : String(x);
  const sql = asking(rows, async () => {
    const {columns, rows: found} = await get("sql", {trace: LIVE.current, query: query.value});
    return el("div", {}, table(columns, found.slice(0, 200).map(r => columns.map(c => cell(r[c])))),
      note(found.length > 200 ? `The first 200 of ${found.length} rows.` : `${found.length} rows.`));
  });
  const show = asking(values, async () => {
    const found = await get("show", {trace: LIVE.current, name: name.value, step: selection.step});
    return el("div", {}, facts([["operation", `${found.name}, ${found.kind}`], ["rms", number(found.rms)], ["values", found.values.slice(0, 256).map(x => x === null ? "–" : number(x)).join(", ") + (found.values.length > 256 ? " …" : "")]]));
  });
  query.addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) sql(); });
  return panel("Ask", el("h3", {}, "The trace, in SQL"), query, el("div", {class: "toolbar"}, el("button", {id: "ask", onclick: sql}, "Ask")), rows,
    el("h3", {}, "Values of an operation"), el("div", {class: "toolbar"}, name, el("button", {id: "look", onclick: show}, "Show")), values);
}

function tracesPanel() {
  if (!LIVE.traces.length) return null;
  return panel("Traces", table(["", "prompt", "said", "changes"], [...LIVE.traces].reverse().map(t => [
    el("button", {"aria-current": t.id === LIVE.current ? "true" : null, onclick: () => openTrace(t.id)}, t.id === LIVE.current ? "here" : "open"),
    shortened(t.prompt, 60), shortened(t.text, 40), t.changes.join(" "),
  ])), note("Each is a file: ", code(LIVE.traces.find(t => t.id === LIVE.current)?.path || "")));
}
