// Lessons in the page: the same files, the same grader, the same progress as `quipu lesson` in a terminal.

const lessonView = {root: null, list: null, step: null, said: null, before: 0};

view({
  id: "lessons", title: "Lessons", keys: [],
  draw(root) {
    if (!lessonView.root) {
      Object.assign(lessonView, {list: el("div", {id: "lessonlist"}), step: el("div", {id: "lessonstep"}, note("Open a lesson of the list.")), said: el("div", {id: "lessonsaid", "aria-live": "polite"})});
      lessonView.root = el("div", {class: "view"}, panel("Step", lessonView.step, lessonView.said), panel("Lessons", lessonView.list));
      showLessons();
    }
    root.append(lessonView.root);
  },
});

const lesson = async body => answered(await posted("lesson", body));

async function showLessons() {
  await filled(lessonView.list, get("lessons", {}).then(({lessons}) => [
    table(["", "lesson", "minutes", "solved"], lessons.map(l => [
      el("button", {"aria-label": `open lesson ${l.number}: ${l.title}`, onclick: () => act({do: "start", lesson: l.id})}, String(l.number)),
      el("span", {}, el("b", {}, l.title), " ", el("span", {class: "muted"}, l.idea)), String(l.minutes), `${l.solved} of ${l.questions}`]), {class: "lessons"}),
    note("The progress is that of `quipu lesson` in the terminal."),
  ]));
}

/** Prose of a lesson: paragraphs, lists and code, with **bold**, *stressed* and `code` words. */
function prose(text) {
  const words = part => part.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*\n]+\*)/).map(word => word.startsWith("`") ? code(word.slice(1, -1))
    : word.startsWith("**") ? el("b", {}, word.slice(2, -2)) : word.length > 2 && word.startsWith("*") ? el("em", {}, word.slice(1, -1)) : word);
  return text.split(/(^```[\s\S]*?^```$)/m).flatMap(part => part.startsWith("```")
    ? [el("pre", {class: "whole"}, part.split("\n").slice(1, -1).join("\n"))]
    : part.split(/\n\n+/).filter(p => p.trim()).map(p => /^[-*] /.test(p)
      ? el("ul", {}, p.split(/\n(?=[-*] )/).map(item => el("li", {}, words(item.slice(2))))) : el("p", {}, words(p))));
}

const passages = (list, beside = () => null) => list.map(p => p.kind === "command"
  ? el("div", {}, el("p", {}, code(p.command)), el("pre", {class: "whole", tabindex: 0}, p.output), beside(p.command)) : prose(p.text));

/** Gives commands, from this number of the step's on, a place for a picture: values as a heat map, rows as bars. */
function picturing(count = 0) {
  return command => {
    const index = count++;
    if (!/^quipu (show|sql) /.test(command)) return null;
    const place = el("div", {class: "stepimage"});
    get("lessonpicture", {command: index}).then(found => place.replaceChildren(...[found.rows ? rowBars(found) : valueMap(found)].flat().filter(Boolean))).catch(() => {});
    return place;
  };
}

/** Values of an operation: elements across, everything else down. */
function valueMap(found) {
  if (!found.values) return null;
  const lengths = found.slice ? found.slice.map(([first, end]) => end - first) : found.shape, columns = lengths[0], rows = found.values.length / columns;
  if (!Number.isInteger(rows) || columns > 128 || rows > 64 || found.values.length < 2) return null;
  const [left, top] = found.slice ? found.slice.map(([first]) => first) : [0, 0];
  const scale = suited(found.values.filter(x => x !== null));
  return [heatMap({
    rows, columns, scale, fit: [520, 4, 34], cell: [0, clamp(Math.floor(260 / rows), 8, 26)], title: `values of ${found.name}`,
    value: (r, c) => found.values[r * columns + c],
    tip: (r, c) => `${found.name}, element ${left + c}, row ${top + r}\n${number(found.values[r * columns + c], 6)}`,
  }), legend(scale, found.name)];
}

/** Rows of a query: the last column that has numbers, as bars. */
function rowBars({columns, rows}) {
  const isNumber = name => rows.every(row => typeof row[name] === "number"), name = columns.filter(isNumber).pop();
  if (!name || rows.length < 2 || rows.length > 40) return null;
  const most = Math.max(...rows.map(row => Math.abs(row[name]))), others = columns.filter(column => column !== name);
  return table([others.join(", "), name, ""], rows.map(row => [
    others.map(column => typeof row[column] === "number" ? number(row[column]) : String(row[column] ?? "–")).join(", "), number(row[name], 6),
    bar(Math.abs(row[name]) / (most || 1), row[name] < 0 ? "var(--accent)" : "var(--warm)")]), {class: "numbers"});
}

/** Does something in the lesson, and shows what comes of it. */
async function act(body) {
  lessonView.said.replaceChildren(el("span", {class: "muted"}, "…"));
  try {
    const found = await lesson(body);
    if ("step" in found) showStep(found);
    else if ("outcome" in found) {
      lessonView.said.replaceChildren(verdict(found));
      if (found.outcome === "right") showLessons();
    } else lessonView.said.replaceChildren(el("div", {}, found.rung ? el("p", {class: "muted"}, `Hint ${found.rung} of ${found.rungs}`) : null, found.text ? prose(found.text) : null, passages(found.after ?? [])));
  } catch (error) { lessonView.said.replaceChildren(el("p", {class: "warning", role: "alert"}, visible(String(error.message)))); }
}

function verdict(found) {
  const words = {right: "Right.", wrong: found.is_known_mistake ? "Not quite, and this is why." : "No.", unreadable: "That cannot be read."}[found.outcome] ?? found.outcome;
  return el("div", {}, el("p", {id: "verdict"}, el("b", {}, words)), found.says ? prose(found.says) : null, passages(found.after, picturing(lessonView.before)),
    found.why ? [el("h3", {}, "Why it matters"), prose(found.why)] : null);
}

function showStep(found) {
  const q = found.question, input = field("answer", "text", "", {"aria-label": "answer", autocomplete: "off"}), chosen = () => document.querySelector("input[name=choice]:checked")?.value;
  const check = () => act({do: "check", answer: [q.choices.length ? chosen() ?? "" : null, q.choices.length && !q.then ? null : input.value.trim()].filter(x => x !== null).join(" ").trim()});
  const guess = el("input", {type: "text", id: "guess", "aria-label": "guess"});
  input.addEventListener("keydown", event => { if (event.key === "Enter") check(); });
  const button = (id, text, body) => el("button", {id, onclick: () => act(body)}, text);
  lessonView.said.replaceChildren();
  lessonView.before = found.passages.filter(p => p.kind === "command").length;
  lessonView.step.replaceChildren(el("div", {}, el("h3", {id: "steptitle", tabindex: -1}, `${found.title}, ${found.step} of ${found.steps}: ${found.step_title}`),
    passages(found.passages, picturing()),
    found.prediction ? el("div", {class: "block"}, prose(found.prediction), el("div", {class: "toolbar"}, labelled("your guess", guess), el("button", {onclick: () => act({do: "guess", answer: guess.value.trim()})}, "Guess"))) : null,
    q ? el("div", {class: "block"}, prose(q.ask), q.choices.map((choice, i) => el("p", {}, el("label", {}, el("input", {type: "radio", name: "choice", value: "abcdefgh"[i]}), ` ${"abcdefgh"[i]}) ${choice}`))),
      q.then ? prose(q.then) : null,
      el("div", {class: "toolbar"}, q.choices.length && !q.then ? null : labelled(q.unit ?? "answer", input), el("button", {id: "check", class: "main", onclick: check}, "Check"),
        button("hint", "Hint", {do: "hint"}), button("why", "Why", {do: "why"}), button("skip", "Show the whole way", {do: "skip"}), q.is_solved ? el("span", {class: "muted"}, "solved") : null)) : null,
    found.answered ? note("You answered this before.") : null, passages(found.after ?? [], picturing(lessonView.before)),
    el("div", {class: "toolbar"}, button("back", "Back", {do: "back"}), button("next", "Next", {do: "next"}))));
  document.getElementById("steptitle").focus({preventScroll: true});
  lessonView.step.parentElement.scrollIntoView({block: "nearest"});
}
