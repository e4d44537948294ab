// ---- tabs, header, findings, exceptions ----------------------------------------------------

const MARKS = { pass: "native", fail: "none", undetermined: "unclear", nothing: "empty", "nothing required": "foreign" };
const outcomeMark = (outcome) => MARKS[outcome];
const outcomeClass = (outcome) => outcome.replaceAll(" ", "-");

// One tab takes part in the tab order; the arrow keys, Home and End lead to the others.
function drawTabs() {
  at("tabs").hidden = !several;
  if (!several) return;
  at("sheet").setAttribute("role", "tabpanel");
  page.tabs.forEach((one, index) => at("tabs").append(make("button", {
    class: "tab", type: "button", role: "tab", id: `tab-${index}`, "aria-controls": "sheet", title: one.title,
    onclick: () => show({ ...NOWHERE, subject: one.id || "" }, false) },
  shape(outcomeMark(one.outcome)), make("span", {}, text(one.id || "All subjects")),
  make("span", { class: "unseen" }, text(` (${one.outcome})`)))));
  [...at("tabs").children].forEach((one, index) => one.classList.add(outcomeClass(page.tabs[index].outcome)));
  at("tabs").addEventListener("keydown", (event) => {
    const all = [...at("tabs").children];
    const now = all.indexOf(event.target.closest("button"));
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const chosen = all[(next + all.length) % all.length];
    chosen.click();
    chosen.focus();
  });
}

// Everything that belongs to the subject at hand, the matrix excepted.
function drawTab() {
  tab = page.tabs.find((one) => (one.id || "") === view.subject) || page.tabs[0];
  view.subject = tab.id || "";
  ({ words } = tab);
  columns = tab.columns || [];
  rows = tab.rows || [];
  if (several) {
    const chosen = page.tabs.indexOf(tab);
    [...at("tabs").children].forEach((one, index) => {
      one.setAttribute("aria-selected", String(index === chosen));
      one.tabIndex = index === chosen ? 0 : -1;
    });
    at("tabs").children[chosen].scrollIntoView({ block: "nearest" });
    at("sheet").setAttribute("aria-labelledby", `tab-${chosen}`);
  }
  drawHeader();
  drawFound();
  drawNotes();
  drawExcuses();
  drawLegend();
  drawSorter();
  at("matrix-section").hidden = !rows.length;
  at("matrix-title").textContent = `${words.rows[0].toUpperCase()}${words.rows.slice(1)} by device`;
}

function drawHeader() {
  document.title = `${tab.title} - smforge ${page.report}`;
  at("title").replaceChildren(...breakable(tab.title));
  const outcome = outcomeClass(tab.outcome);
  at("outcome").className = `outcome ${outcome}`;
  // Where no device is required, what does not run is nothing bad.
  document.body.className = page.report === "audit" && !columns.some((one) => one.required) ? "unasked" : "";
  at("outcome").replaceChildren(shape(outcomeMark(tab.outcome)), text(tab.headline));
  at("facts").replaceChildren(...facts(tab.facts));
}

// What the states in this matrix mean, and what their numbers count.
function drawLegend() {
  at("filter-help").textContent = words.hint;
  const cells = [...columns, ...rows.flatMap((row) => row.cells)];
  const states = new Set(cells.map((cell) => cell.state));
  const entries = (page.states || []).filter((one) => states.has(one.id)).map((one) =>
    make("div", {}, make("dt", { class: one.id }, shape(one.id), text(one.word)),
      make("dd", {}, text(one.text), one.number ? make("i", {}, text(` Number: ${words.items} ${one.number}.`)) : null)));
  if (cells.some((cell) => cell.state !== "excused" && allExcused(cell.tally || {}))) {
    entries.push(make("div", {}, make("dt", { class: "plus" }, text("+1")), make("dd", {}, text(`${words.items[0].toUpperCase()}${words.items.slice(1)} that a policy excuses.`))));
  }
  at("legend").replaceChildren(...entries);
}

// A note stands for the findings of all its devices.
const findings = (notes, level) => notes.filter((note) => note.level === level)
  .reduce((sum, note) => sum + Math.max(1, (note.columns || []).length), 0);

// The findings stand below the matrix, which can be long.
function drawFound() {
  const notes = tab.notes || [];
  at("found").replaceChildren();
  const levels = ["error", "warning", "note"].map((level) => [findings(notes, level), level]);
  const told = levels.filter(([count]) => count).map(([count, level]) => counted(count, level, `${level}s`)).join(", ");
  if (!told) return;
  at("found").append(make("button", { class: "link", type: "button", onclick: () => {
    at("notes-section").scrollIntoView({ block: "start" });
    at("notes-title").focus({ preventScroll: true });
  } }, text(`${told} below`)));
}

const facts = (pairs) => (pairs || []).map(([name, value]) =>
  make("div", {}, make("dt", {}, text(name)), make("dd", {}, text(value))));

function drawNotes() {
  const notes = tab.notes || [];
  at("notes-section").hidden = !notes.length;
  at("notes").replaceChildren();
  const loud = notes.filter((note) => note.level !== "note");
  const quiet = notes.filter((note) => note.level === "note");
  longList(at("notes"), loud, NOTES_AT_ONCE, drawNote);
  if (quiet.length) {
    const list = make("div");
    const fold = make("details", { class: "quiet" },
      make("summary", {}, text(counted(quiet.length, "note", "notes"))), list);
    const fill = whenOpened(fold, () => longList(list, quiet, NOTES_AT_ONCE, drawNote));
    if (!loud.length && quiet.length <= 5) {
      fold.open = true;
      fill();
    }
    at("notes").append(fold);
  }
}

function drawNote(note) {
  const kind = note.level === "note" ? "note-level" : note.level;
  const where = note.row ? make("button", { class: "link", type: "button",
    onclick: () => show({ lib: note.row, device: (note.columns || [])[0] || "", family: "", q: "" }, true) },
  text("Show in the matrix")) : null;
  return make("article", { class: `note ${kind}` },
    make("div", {},
      make("span", { class: "level" }, text(note.level)),
      make("code", {}, text(note.rule)),
      where),
    make("p", {}, text(note.message),
      note.remedy ? make("span", { class: "remedy" }, text(` ${note.remedy}`)) : null),
    note.allowed ? make("p", { class: "remedy" }, text(`Excused: ${note.allowed}`)) : null,
    familyFold(note.families));
}

function drawExcuses() {
  const excuses = tab.excuses || [];
  at("excuses-section").hidden = !excuses.length;
  at("excuses").replaceChildren();
  longList(at("excuses"), excuses, NOTES_AT_ONCE, (one) => make("article", { class: "note note-level" },
    make("div", {}, make("code", {}, text(one.pattern)),
      text(`${items(one.count)} on ${(one.columns || []).join(", ")}`)),
    make("p", {}, text(one.reason)),
    make("p", { class: "remedy" }, text(`From ${one.origin}`)),
    familyFold(one.families)));
}

function familyFold(families) {
  if (!families || !families.length) return null;
  const list = make("ul", { class: "families" });
  const fold = make("details", {},
    make("summary", {}, text(items(families.reduce((sum, one) => sum + one.count, 0)))), list);
  whenOpened(fold, () => longList(list, families, FAMILIES_AT_ONCE, drawFamily));
  return fold;
}

const drawFamily = (one) => make("li", {},
  make("span", { class: "number" }, text(number(one.count))),
  make("span", { class: "mono" }, text(names[one.name || 0])));
