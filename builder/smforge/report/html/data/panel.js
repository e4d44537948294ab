// ---- what a cell opens to ----------------------------------------------------------------

function drawDetail() {
  const table = at("matrix");
  table.querySelectorAll("tr.detail").forEach((one) => one.remove());
  table.querySelectorAll('[aria-expanded="true"]').forEach((one) => one.setAttribute("aria-expanded", "false"));
  const position = shownRows.findIndex((row) => row.id === view.lib);
  if (position < 0) return null;
  while (drawn <= position) drawMore();
  const line = [...table.tBodies[0].rows].find((one) => one.row === shownRows[position]);
  const place = shownColumns.findIndex((index) => columns[index].id === view.device);
  if (view.device && place < 0) return null;
  const opener = line.querySelectorAll("button")[view.device ? place + 1 : 0];
  opener.setAttribute("aria-expanded", "true");
  const index = view.device ? shownColumns[place] : -1;
  const panel = make("div", { class: "panel", id: "panel", role: "region", tabindex: "-1", "aria-label": "Details" });
  fillPanel(panel, line.row, index);
  line.after(make("tr", { class: "detail" }, make("td", { colspan: shownColumns.length + 2 }, panel)));
  markFamily();
  return line;
}

function fillPanel(panel, row, index) {
  const column = columns[index];
  const products = column ? [column.architecture, ...(column.products || [])].filter(Boolean).join(", ") : "";
  panel.append(make("header", {},
    make("h3", {}, text(column ? `${row.id} on ${column.id}` : row.id)),
    make("span", { class: "help" }, text(products)),
    make("button", { class: "link close", type: "button", onclick: () => toggle(view.lib, view.device) }, text("Close"))));
  if (column) {
    const cell = row.cells[index];
    panel.append(make("p", {}, text(`${sentence(cell.tally || {})}.`)));
    const excused = familyFold(cell.excused);
    if (excused) panel.append(make("h4", {}, text("Excused by policy, among those below")), excused);
    for (const way of page.reaches || []) {
      drawReach(panel, row, way, (row.groups || []).filter((group) => (group.reach || [])[index] === way.id), column.id);
    }
    if (!panel.querySelector(".reach")) drawAbout(panel, row, column);
  } else {
    if (row.stored) panel.append(drawStored(row.stored));
    const list = make("div", { class: "reach" }, make("h4", {}, text(words.embedded)));
    for (const group of row.groups || []) list.append(drawGroup(row, group, ""));
    if (row.groups) panel.append(list);
  }
  if (page.report !== "audit" && row.facts) panel.append(make("dl", {}, ...facts(row.facts)));
}

// A saved report has no families but those of its findings.
function drawAbout(panel, row, column) {
  const about = (tab.notes || []).filter((note) => note.row === row.id && (note.columns || []).includes(column.id));
  longList(panel, about, NOTES_AT_ONCE, drawNote);
}

function drawReach(panel, row, way, groups, device) {
  if (!groups.length) return;
  const { state } = way;
  const count = groups.reduce((sum, group) => sum + group.families.reduce((part, one) => part + one.count, 0), 0);
  const fold = make("details", { class: "reach" }, make("summary", {}, tag(state, `${number(count)} ${way.word}`),
    make("span", { class: "why" }, text(way.text))));
  const fill = whenOpened(fold, () => groups.forEach((group) => fold.append(drawGroup(row, group, device))));
  fold.open = panel.querySelector(".reach") === null || (state !== "native" && state !== "foreign")
    || groups.some((group) => namedFamily(group.families) >= 0);
  if (fold.open) fill();
  panel.append(fold);
}

function drawGroup(row, group, device) {
  const codes = make("div", { class: "codes" }, text(words.embedded));
  for (const code of group.codes || []) {
    const runs = device && ((page.runs || {})[code] || []).includes(device);
    codes.append(make("code", { class: `code${runs ? " runs" : ""}`, title: runs ? `Runs on ${device}` : null }, text(code)));
  }
  if (!(group.codes || []).length) codes.append(text("nothing that the driver loads"));
  const families = filteredFamilies(row, group.families);
  const list = longList(make("ul", { class: "families" }), families, FAMILIES_AT_ONCE,
    (one) => drawLinked(one, row, device), namedFamily(families));
  const hidden = (group.families || []).length - families.length;
  return make("div", { class: "group" }, codes, list,
    hidden ? make("p", { class: "help" }, text(`${counted(hidden, words.family, words.families)} not shown by the filter`)) : null);
}

// A family in a panel is a link to itself.
const namedFamily = (families) => view.family
  ? (families || []).findIndex((one) => wellFormed(names[one.name || 0]) === wellFormed(view.family)) : -1;

function drawLinked(one, row, device) {
  const name = names[one.name || 0];
  const link = make("a", { class: "mono", href: address({ lib: row.id, device, family: name }), onclick: (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    view.family = name;
    history.pushState(null, "", address());
    markFamily();
  } }, text(name));
  const entry = make("li", {}, make("span", { class: "number" }, text(number(one.count))), link);
  entry.family = name;
  return entry;
}

// Marks the family that the address names, and gives its first place.
function markFamily() {
  const entries = [...document.querySelectorAll("#panel .families li")].filter((one) => one.family !== undefined);
  const meant = entries.filter((one) => view.family && wellFormed(one.family) === wellFormed(view.family));
  for (const one of entries) {
    one.classList.toggle("target", meant.includes(one));
    if (meant.includes(one)) one.querySelector("a").setAttribute("aria-current", "true");
    else one.querySelector("a").removeAttribute("aria-current");
  }
  return meant[0];
}

function drawStored(stored) {
  const head = ["Code", "Kind", "PTX ISA", "Objects", "Bytes"];
  return make("table", { class: "stored" },
    make("thead", {}, make("tr", {}, ...head.map((one, index) => make("th", { scope: "col", class: index > 2 ? "right" : "" }, text(one))))),
    make("tbody", {}, ...stored.map((one) => make("tr", {},
      make("td", {}, make("code", {}, text(one.code))), make("td", {}, text(one.kind)), make("td", {}, text(one.isa || "")),
      make("td", { class: "right" }, text(number(one.count))), make("td", { class: "right" }, text(number(one.bytes)))))));
}
