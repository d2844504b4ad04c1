// What all views use: the data, elements, numbers, the selection (in the address), the tooltip.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TOKENS = DATA.tokens, WEIGHTS = DATA.weights, MODEL = DATA.model, RUN = DATA.run;

/** An element: el("p", {class: "x", onclick: f}, "text", child, …). */
function el(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter(child => child !== null && child !== undefined && child !== false)
    .map(child => typeof child === "string" ? visible(child) : child));
  return node;
}

/** Names and texts come from files: what would turn the text around it, or is not seen, is shown as its number. */
const visible = text => text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
  c => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

// Numbers

/** Four significant digits, as the command line prints them. */
function number(x, digits = 4) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e5 || size < 1e-3) return x.toExponential(digits - 1);
  return String(Number(x.toPrecision(digits)));
}

const grouped = x => x === null || x === undefined ? "–" : Math.round(x).toString().replace(/\B(?=(\d{3})+$)/g, ",");

function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "–";
  return number(share * 100, share >= 0.1 ? 3 : 2) + " %";
}

function scaled(x, unit, steps, factor) {
  if (x === null || x === undefined) return "–";
  let step = 0;
  while (Math.abs(x) >= factor && step < steps.length - 1) { x /= factor; step += 1; }
  return number(x, x >= 100 ? 4 : 3) + " " + steps[step] + unit;
}
const bytes = x => scaled(x, "", ["bytes", "KiB", "MiB", "GiB", "TiB"], 1024);
const duration = ns => scaled(ns, "s", ["n", "µ", "m", ""], 1000);
const count = x => scaled(x, "", ["", "k", "M", "G", "T"], 1000).trim();
const flop = x => scaled(x, "flop", ["", "k", "M", "G", "T"], 1000);

const quoted = piece => "‹" + piece + "›";
const shortened = (text, length) => text.length > length ? text.slice(0, length - 1) + "…" : text;
const shapeText = shape => shape.join(" × ");

// Base64

function words(text, size) {
  const raw = atob(text), view = new DataView(new ArrayBuffer(raw.length));
  for (let i = 0; i < raw.length; i++) view.setUint8(i, raw.charCodeAt(i));
  return Array.from({length: raw.length / size}, (_, i) => size === 2
    ? view.getUint16(2 * i, true) : view.getFloat32(4 * i, true));
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : mantissa * 2 ** -24);
}

// The selection: which view, and what is chosen in it. It lives in the address, so that links and "back" work.

const VIEWS = [];
const selection = {view: "overview", step: 0, seq: 0, layer: 0, head: 0, position: 0, weight: 0, format: 0, block: 0, tensor: 0, row: 0, column: 0};

/** Adds a view: {id, title, draw(root), key(event) → handled}. */
function view(definition) { VIEWS.push(definition); }

/** What a live page asks for when it is first looked at: {ask, said}. `null` in a report, and once it is there. */
let pending = null;

/** In place of a part that is still to come, which it asks for; null if none is. */
function pendingPanel(title) {
  if (!pending) return null;
  pending.ask();
  return panel(title, el("p", {class: "muted", role: "status"}, pending.said));
}

function readSelection() {
  const [name, query] = location.hash.slice(1).split("?");
  if (VIEWS.some(v => v.id === name)) selection.view = name;
  else if (!VIEWS.some(v => v.id === selection.view)) selection.view = VIEWS[0].id;
  for (const [key, value] of new URLSearchParams(query || "")) {
    if (key in selection && key !== "view" && Number.isInteger(+value)) selection[key] = +value;
  }
}

const address = changes => {
  const next = {...selection, ...changes};
  const keys = (VIEWS.find(v => v.id === next.view) || {}).keys || [];
  return "#" + next.view + (keys.length ? "?" + keys.map(key => key + "=" + next[key]).join("&") : "");
};

/** Changes the selection; `quiet` leaves no step in the browser's history. */
function go(changes, quiet) {
  const from = selection.view;
  Object.assign(selection, changes);
  history[quiet || selection.view === from ? "replaceState" : "pushState"](null, "", address({}));
  render(selection.view !== from);
  document.dispatchEvent(new Event("moved"));
}

/** A link to a selection. */
const link = (changes, ...children) => el("a", {
  href: address(changes),
  onclick: event => { event.preventDefault(); go(changes); },
}, children);

// The tooltip

const tip = document.getElementById("tip");

function showTip(text, x, y) {
  if (!text) { tip.hidden = true; return; }
  tip.textContent = visible(text);
  tipScroll = scrollY;
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), gap = 14;
  const left = x + gap + box.width > innerWidth - 4 ? x - gap - box.width : x + gap;
  tip.style.left = Math.max(4, Math.min(left, innerWidth - box.width - 4)) + "px";
  tip.style.top = (y + gap + box.height > innerHeight - 4 ? Math.max(4, y - gap - box.height) : y + gap) + "px";
}

let tipScroll = 0;
const hideTip = () => { tip.hidden = true; };

/** Shows `text(event)` while the pointer is over an element or it has the focus. */
function hover(node, text) {
  node.addEventListener("pointermove", event => showTip(text(event), event.clientX, event.clientY));
  node.addEventListener("pointerleave", hideTip);
  node.addEventListener("focus", () => {
    if (!node.matches(":focus-visible")) return;
    const box = node.getBoundingClientRect();
    showTip(text(null), box.left + box.width / 2, box.bottom - 10);
  });
  node.addEventListener("blur", hideTip);
  return node;
}

/** Makes one stop of the Tab key of many things: arrows move between them, up and down by `across`; Enter chooses. */
function roving(nodes, across = 1) {
  nodes.forEach((node, i) => {
    node.setAttribute("tabindex", i ? -1 : 0);
    node.addEventListener("keydown", event => {
      const next = nodes[i + {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across}[event.key]];
      if (next) {
        node.setAttribute("tabindex", -1);
        next.setAttribute("tabindex", 0);
        next.focus();
      } else if (event.key === "Enter") node.dispatchEvent(new MouseEvent("click"));
      else if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      event.stopPropagation();
    });
  });
  return nodes;
}

// Parts that several views have

const panel = (title, ...children) => el("section", {class: "panel"}, el("h2", {}, title), children);
const code = text => el("code", {class: "command"}, text);
/** Text whose parts in `backticks` are commands. */
const rich = text => typeof text !== "string" ? text : text.split("`").map((part, i) => i % 2 ? code(part) : part);
const note = (...children) => el("p", {class: "note"}, children.flat().map(rich));

/** What keys do here; not on paper. */
const keyHint = text => el("p", {class: "note keyhint"}, text);

function facts(pairs) {
  return el("dl", {class: "facts"}, pairs.filter(pair => pair && pair[1] !== null && pair[1] !== undefined)
    .map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

/** What is wider or higher than its place scrolls by keys too. */
const scrolled = new ResizeObserver(entries => entries.forEach(({target}) => {
  const isCut = target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight;
  if (isCut && !target.querySelector("a, button, [tabindex='0']")) target.setAttribute("tabindex", "0");
  else target.removeAttribute("tabindex");
}));

/** What scrolls in its place if it must. Keys reach it until it is known that they need not. */
function scroller(...children) {
  const node = el("div", {class: "scroll", tabindex: 0}, children);
  scrolled.observe(node);
  return node;
}

const table = (heads, rows, options = {}) => scroller(el("table", {class: options.class},
  el("thead", {}, el("tr", {}, heads.map(head => el("th", {scope: "col"}, head)))),
  el("tbody", {}, rows.map(cells => el("tr", {}, cells.map(cell => el("td", {}, cell)))))));

/** A select with a label; the options are [value, text]. */
function chooser(label, options, value, change) {
  return el("label", {class: "chooser"}, label + " ", el("select", {
    "aria-label": label, onchange: event => change(+event.target.value),
  }, options.map(([key, text]) => el("option", {value: key, selected: key === value}, text))));
}

const bar = (share, color) => el("span", {
  class: "bar", style: `--share:${Math.max(0, Math.min(1, share || 0)) * 100}%;` + (color ? `--color:${color}` : ""),
});

// The operations of a pass

const passOf = step => DATA.passes.find(pass => pass.step === step) || DATA.passes[0];
const detailed = DATA.passes.filter(pass => pass.operations);
const pieceAt = position => position < TOKENS.piece.length ? quoted(TOKENS.piece[position]) : `position ${position}`;

/** A pass as people name it. */
function passName(pass) {
  return pass.n_tokens > 1 || pass.step === 0
    ? `${pass.step}: ${pass.kind}, ${pass.n_tokens} tokens`
    : `${pass.step}: ${pass.kind} of ${pieceAt(pass.first_position)}`;
}

/** What each kind of operation is: {formula, summary, is_view, is_write}. */
const KINDS = new Map(DATA.kinds.map(kind => [kind.kind, kind]));
const kindOf = kind => KINDS.get(kind) || {formula: "", summary: `Operation ${kind}.`, is_view: false, is_write: false};
const isViewKind = kind => kindOf(kind).is_view;

/** The index of the operation that is a part's result, `layer` null outside the layers; -1 if there is none. */
const indexOfRole = (graph, role, layer) => graph.role.findIndex((r, i) => r === role && graph.layer[i] === layer);

/** The index of the operation whose values a view shows: itself where that is no operation, but the cache. */
function valueSource(graph, index) {
  while (isViewKind(graph.kind[index]) && graph.inputs[index][0] >= 0) index = graph.inputs[index][0];
  return index;
}

/** With `#1` where names repeat; the last of a name needs no number. */
function addressOf(graph, index) {
  const same = graph.name.flatMap((name, i) => name === graph.name[index] ? [i] : []);
  return graph.name[index] + (same[same.length - 1] === index ? "" : "#" + same.indexOf(index));
}
