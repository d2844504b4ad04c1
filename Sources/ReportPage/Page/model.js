// The model's file: metadata, tokens looked up, tensors with values of any type, blocks and bytes. Of `quipu open` alone.

const [windowRows, windowColumns] = [16, 64];
const modelView = {root: null, values: el("div", {id: "window", "aria-live": "polite"}), asked: 0};

/** What `quipu inspect --json` says; asked once. */
const inspected = () => modelView.inspected ||= get("inspect", {});

view({
  id: "model", title: "Model", keys: ["tensor", "row", "column"],
  draw(root) {
    modelView.root ||= el("div", {class: "view"}, filePanel(), lookupPanel(), tensorsPanel(), panel("Values", modelView.values));
    root.append(modelView.root);
    showValues();
  },
});

/** Fills an element with what is yet to come, or with what went wrong. */
async function filled(target, content) {
  try { target.replaceChildren(el("div", {}, await content)); } catch (error) {
    target.replaceChildren(el("p", {class: "warning", role: "alert"}, visible(String(error.message))));
  }
  return target;
}

const metadataText = value => value === null || typeof value !== "object" ? String(value)
  : `${value.type}: ${value.first.map(x => typeof x === "string" ? x : number(x)).join(", ")}${value.count > value.first.length ? ", …" : ""}`;

/** A long text shows its beginning until it is unfolded. */
const folded = text => text.length <= 160 ? text : el("details", {}, el("summary", {}, shortened(text, 160)), el("pre", {class: "whole"}, text));

/** A field that leaves of a table the rows that have its text. */
function filtered(label, heads, rows) {
  const shown = el("div", {class: "list"}), input = el("input", {type: "text", "aria-label": label, placeholder: label});
  const draw = () => {
    const found = rows.filter(row => row.text.toLowerCase().includes(input.value.toLowerCase()));
    shown.replaceChildren(table(heads, found.map(row => row.cells())), note(`${found.length} of ${rows.length}`));
  };
  input.addEventListener("input", draw);
  draw();
  return [el("div", {class: "toolbar"}, input), shown];
}

function filePanel() {
  const target = el("div", {id: "file"});
  filled(target, inspected().then(found => [
    facts([
      ["file", found.file], ["name", found.metadata["general.name"]], ["architecture", found.architecture], ["what", found.summary],
      ["size", `${bytes(found.size_bytes)}, ${count(found.n_params)} weights in ${found.n_tensors} tensors, ${number(found.bpw)} bits each`],
      ["format", found.file_type], ["GGUF", `version ${found.version}, ${found.n_kv} keys, aligned to ${found.alignment}`],
      ["layers", found.model && `${found.model.n_layer} of width ${found.model.n_embd}, ${found.model.attention ?? "attention"}; context ${grouped(found.model.n_ctx_train)}`],
      ["runs", found.runs ? "yes" : visible(found.missing ?? found.use ?? "no")],
    ]),
    el("h3", {}, "Metadata"),
    filtered("part of a key or value", ["key", "value"], Object.entries(found.metadata).map(([key, value]) => {
      const text = metadataText(value);
      return {text: key + " " + text, cells: () => [code(key), folded(text)]};
    })),
  ]));
  return panel("File", target);
}

function lookupPanel() {
  const shown = el("div", {id: "looked", "aria-live": "polite"}), text = field("lookup", "text", "", {placeholder: "a text", "aria-label": "text"}),
    ids = field("lookupids", "text", "", {placeholder: "1, 2, 300", "aria-label": "ids"});
  const tokens = found => [
    table(["id", "piece", "kind"], found.ids.slice(0, 500).map((id, i) => [String(id), quoted(found.pieces[i]), found.kinds[i]]), {class: "numbers"}),
    found.text === null ? null : facts([["text", quoted(found.text)]]), found.ids.length > 500 ? note(`The first 500 of ${found.ids.length}.`) : null];
  let asked = 0, waiting = 0;
  const ask = (path, query, other, value) => {
    const mine = ++asked;
    other.value = "";
    clearTimeout(waiting);
    if (!value.trim()) { shown.replaceChildren(); return; }
    waiting = setTimeout(() => {
      const target = el("div", {});
      filled(target, get(path, query).then(tokens)).then(() => { if (mine === asked) shown.replaceChildren(target); });
    }, 120);
  };
  text.addEventListener("input", () => ask("tokenize", {text: text.value}, ids, text.value));
  ids.addEventListener("input", () => ask("tokens", {ids: ids.value}, text, ids.value));
  return panel("Tokens", el("div", {class: "toolbar"}, labelled("ids of", text), labelled("text of", ids)), shown);
}

function tensorsPanel() {
  const target = el("div", {id: "tensors"});
  filled(target, inspected().then(found => filtered("part of a tensor's name or type", ["tensor", "type", "shape", "bytes", "at byte", "bits per weight"],
    found.tensors.map((t, i) => ({text: t.name + " " + t.type, cells: () => [
      linkToValues({tensor: i, row: 0, column: 0}, t.name), t.type, shapeText(t.shape), grouped(t.n_bytes),
      (found.parts.length > 1 ? `${t.part + 1}: ` : "") + grouped(t.file_offset), number(t.bpw)]})))));
  return panel("Tensors", target);
}

/** To a tensor, and down to where its values are. */
function linkToValues(changes, text) {
  const node = link(changes, text);
  node.addEventListener("click", () => modelView.values.parentElement.scrollIntoView({block: "start"}));
  return node;
}

/** Counted through all dimensions but the first. */
const rowsOf = tensor => tensor.shape.slice(1).reduce((product, n) => product * n, 1);

/** A number that may be none, as the program writes it. */
const shownValue = x => typeof x === "number" ? String(x) : x;

async function showValues() {
  const mine = ++modelView.asked, target = el("div", {});
  await filled(target, inspected().then(async found => {
    const tensor = found.tensors[selection.tensor];
    if (!tensor) return note(found.tensors.length ? `There is no tensor number ${selection.tensor}.` : "The file has no tensors.");
    const rows = rowsOf(tensor), columns = tensor.shape[0] ?? 1;
    const row = clamp(selection.row, 0, rows - 1), column = clamp(selection.column, 0, columns - 1);
    const first = [row - row % windowRows, column - column % windowColumns];
    const part = await get("values", {tensor: tensor.name, row: first[0], rows: windowRows, offset: first[1], count: windowColumns});
    const block = Math.floor(column / part.block_elements);
    return [valuesToolbar(tensor, rows, columns, row, column), valuesMap(tensor, part, row, column),
      await filled(el("div", {id: "block"}), blockAt(tensor, row, block))];
  }));
  if (mine === modelView.asked) modelView.values.replaceChildren(target);
}

function valuesToolbar(tensor, rows, columns, row, column) {
  const step = (label, text, change, isThere) => el("button", {"aria-label": label, title: label, disabled: !isThere, onclick: () => go(change, true)}, text);
  return [el("h3", {}, tensor.name), el("div", {class: "toolbar"}, el("span", {class: "muted"}, `${tensor.type}, ${shapeText(tensor.shape)}`),
    labelled("row", wholeField("row", row, rows - 1, row => go({row}, true))), labelled("column", wholeField("column", column, columns - 1, column => go({column}, true))),
    step("earlier columns", "←", {column: column - windowColumns}, column >= windowColumns), step("later columns", "→", {column: Math.min(columns - 1, column + windowColumns)}, column + windowColumns < columns),
    step("earlier rows", "↑", {row: row - windowRows}, row >= windowRows), step("later rows", "↓", {row: Math.min(rows - 1, row + windowRows)}, row + windowRows < rows))];
}

function valuesMap(tensor, part, row, column) {
  const [r0, c0] = [part.first_row, part.first_column], value = (r, c) => part.values[r][c];
  const scale = suited(part.values.flat());
  return [heatMap({
    rows: part.values.length, columns: part.values[0].length, scale, fit: [900, 4, 14], cell: [0, 14],
    title: `values of ${visible(tensor.name)}, rows from ${r0}, columns from ${c0}`, rowLabel: r => `row ${r0 + r}`, chosen: [row - r0, column - c0],
    value: (r, c) => Number.isFinite(value(r, c)) ? value(r, c) : null,
    tip: (r, c) => `row ${r0 + r}, column ${c0 + c}: ${shownValue(value(r, c))}`, choose: (r, c) => go({row: r0 + r, column: c0 + c}, true),
  }), legend(scale), facts([["chosen", el("span", {id: "chosen"}, `row ${row}, column ${column}: ${shownValue(value(row - r0, column - c0))}`)]]),
  el("p", {}, link({view: "instrument"}, "its 32 weights as an instrument"), " ", code(`quipu explain weight ${shell(LIVE.model)} ${shell(tensor.name)} ${row} ${column}`))];
}

async function blockAt(tensor, row, block) {
  const b = await get("block", {tensor: tensor.name, row, block});
  return [el("h3", {}, `Row ${row}, block ${block}`), codeChanger(tensor, b), blockDetails({
    ...b, hex: b.bytes_hex, fields: b.fields.map(f => ({...f, first: f.first_byte, count: f.n_bytes})), min: b.min ?? undefined, before: b.reference_values ?? [],
  }, b.formula)];
}

/** Of a trace at hand: one code, or one plain number, to change in its run. */
function codeChanger(tensor, b) {
  const isPlain = b.values.length === 1;
  if (LIVE.current === null || !LIVE.can_run || b.points.length || !isPlain && !b.codes.length) return null;
  const weight = field("codeat", "number", selection.column - b.first_column, {min: 0, max: b.codes.length - 1});
  const value = field("codenew", "number", isPlain ? b.values[0] : b.codes[selection.column - b.first_column], {step: isPlain ? "any" : 1});
  const change = () => {
    const at = isPlain ? `column=${b.first_column},value=${value.value}` : `block=${b.block},code=${weight.value}:${value.value}`;
    addChange({kind: "weight", target: `${tensor.name}@row=${b.row},${at}`, spec: ""});
    go({view: "live"});
  };
  return el("div", {class: "toolbar"}, isPlain ? null : labelled("weight", weight), labelled(isPlain ? "value" : "code", value),
    el("button", {id: "changecode", onclick: change}, "Change it in the run"));
}
