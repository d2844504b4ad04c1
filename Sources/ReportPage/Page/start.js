// Tabs, keys, theme; draws the view that the address names.

const KEYS = [
  [`1 … ${VIEWS.length}`, "views"], ["↑ ↓ ← →", "step in the view: operations, layers and heads, tokens"], ["Enter", "unfold, fold, choose"],
  ["[ ]", "other pass or format"], [", .", "other token (attention)"], ["Tab", "into charts and codes; arrows move there too"], ["T", "light or dark"], ["?", "this list"],
];
const main = document.getElementById("main"), tabs = document.getElementById("tabs");

/** What the Tab key stops at, but for what scrolls: it is no stop any more once it is known that it need not scroll. */
const stops = () => [...document.querySelectorAll("a, button, select, input, [tabindex='0']:not(.scroll)")];

function render(isNew) {
  hideTip();
  const scroll = document.querySelector(".cord")?.scrollTop, read = document.querySelector(".tokens")?.scrollTop, focused = document.activeElement;
  // Where a mouse clicked, keys go on moving what the page shows.
  const at = focused.matches(":focus-visible, select, .cord") ? stops().indexOf(focused) : -1;
  tabs.replaceChildren(...VIEWS.map((v, i) => el("button", {
    role: "tab", id: `tab-${v.id}`, "aria-selected": String(v.id === selection.view), title: `${v.title} (${i + 1})`, onclick: () => go({view: v.id}),
  }, v.title)));
  const current = VIEWS.find(v => v.id === selection.view), root = el("div", {class: "view", id: `view-${current.id}`, role: "tabpanel"});
  current.draw(root);
  main.replaceChildren(root);
  const cord = root.querySelector(".cord");
  if (cord && scroll) cord.scrollTop = scroll;
  showChosen(root.querySelector(".tokens"), read || 0);
  // The view is drawn anew: the focus goes to what stands where it was.
  const again = stops()[at];
  if (again?.tagName === focused.tagName) again.focus({preventScroll: true});
  if (isNew) { scrollTo(0, 0); tabs.querySelector("[aria-selected=true]").scrollIntoView({block: "nearest", inline: "center"}); }
}

/** Scrolls a text to where it was, or to its chosen token if that is out of sight there. */
function showChosen(text, scroll) {
  const chosen = text?.querySelector("[aria-pressed=true], .from");
  if (!chosen) return;
  text.scrollTop = scroll;
  const from = chosen.offsetTop - text.offsetTop;
  if (from < text.scrollTop || from + chosen.offsetHeight > text.scrollTop + text.clientHeight) {
    text.scrollTop = from - text.clientHeight / 2;
  }
}

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, input, dialog *")) return;
  const current = VIEWS.find(v => v.id === selection.view);
  if (/^[1-9]$/.test(event.key) && VIEWS[event.key - 1]) go({view: VIEWS[event.key - 1].id});
  else if (event.key === "t" || event.key === "T") toggleTheme();
  else if (event.key === "?") document.getElementById("keys").showModal();
  else if (event.key === "Enter" && event.target.matches("a, button") || !current.key?.(event)) return;
  // The key moved what the page shows, not what has the focus.
  else if (!event.target.matches(".cord")) document.activeElement.blur();
  event.preventDefault();
});

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  render();
}

// On paper all views follow each other, in the light theme.
let before = "", isPrinting = false;
addEventListener("beforeprint", () => {
  isPrinting = true;
  before = document.documentElement.dataset.theme || "";
  document.documentElement.dataset.theme = "light";
  const roots = VIEWS.map(v => {
    const root = el("div", {class: "view"}, el("h1", {}, v.title));
    v.draw(root);
    return root;
  });
  main.replaceChildren(...roots);
});
addEventListener("afterprint", () => { isPrinting = false; document.documentElement.dataset.theme = before; render(); });

document.getElementById("theme").addEventListener("click", toggleTheme);
document.getElementById("help").addEventListener("click", () => document.getElementById("keys").showModal());
document.getElementById("keylist").append(...KEYS.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)]));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => render());
let resized = 0;
addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => { if (!isPrinting) render(); }, 150); });
addEventListener("popstate", () => { readSelection(); render(true); });
// Not by the scrolling that brought the element under the pointer.
addEventListener("scroll", () => { if (Math.abs(scrollY - tipScroll) > 4) hideTip(); }, {passive: true});
selection.position = Math.max(0, TOKENS.source.indexOf("generated"));
if (selection.position === 0) selection.position = Math.max(0, TOKENS.piece.length - 1);
selection.layer = Math.floor(MODEL.n_layer / 2);
selection.weight = Math.max(0, range(WEIGHTS.name.length).find(w => WEIGHTS.role[w] === "attn_q" && WEIGHTS.layer[w] === 0) ?? 0);
readSelection();
render(true);
