// ---- filter ------------------------------------------------------------------------------

const tokens = () => view.q.toLowerCase().split(/\s+/).filter(Boolean);
const columnText = (column) => [column.id, `sm_${column.id.replace(".", "")}`, column.architecture,
  ...(column.products || [])].join("\n").toLowerCase();
const namesDevice = (token) => columns.filter((column) => /^[\d.]+$/.test(token)
  ? column.id === token : token.length > 1 && columnText(column).includes(token));
const inName = (token, index) => names[index].toLowerCase().includes(token);

// A word that names devices narrows the columns; every other one must be found in the row's
// path or among its families.
const deviceWords = () => tokens().filter((token) => namesDevice(token).length);
const otherWords = () => tokens().filter((token) => !namesDevice(token).length);

function applyFilter() {
  const wanted = new Set(deviceWords().flatMap(namesDevice));
  const rest = otherWords();
  shownColumns = columns.map((column, index) => index).filter((index) => !wanted.size || wanted.has(columns[index]));
  shownRows = rows.filter((row) => rest.every((token) => row.id.toLowerCase().includes(token)
    || (row.section || "").toLowerCase().includes(token)
    || (row.groups || []).some((group) => (group.families || []).some((one) => inName(token, one.name || 0)))));
  const all = shownRows.length === rows.length && shownColumns.length === columns.length;
  at("shown").textContent = all
    ? `${counted(rows.length, words.row, words.rows)}, ${counted(columns.length, "device", "devices")}`
    : `${number(shownRows.length)} of ${counted(rows.length, words.row, words.rows)}, ${number(shownColumns.length)} of ${counted(columns.length, "device", "devices")}`;
}

// Of a row's families, those that the filter means; all of them where it means the row itself.
function filteredFamilies(row, families) {
  const left = otherWords().filter((token) => !row.id.toLowerCase().includes(token) && !(row.section || "").toLowerCase().includes(token));
  return (families || []).filter((one) => left.every((token) => inName(token, one.name || 0)));
}

// ---- sorting -----------------------------------------------------------------------------

const BADNESS = ["none", "partial", "unclear", "ptx", "native", "excused", "foreign", "unreachable", "empty"];
const sortKey = () => view.sort.replace(/^-/, "");
const sortedDown = () => view.sort.startsWith("-");

// Names from A to Z, or on a device the worst first; a minus turns it around. Rows of one section
// stay together.
function sortRows() {
  const index = columns.findIndex((column) => column.id === sortKey());
  if (index < 0 && sortKey() !== "name") return;
  const sections = [...new Set(rows.map((row) => row.section || ""))];
  const badness = (row) => BADNESS.indexOf(row.cells[index].state);
  const lacking = (row) => (row.cells[index].tally || {}).missing || 0;
  const byDevice = (one, other) => badness(one) - badness(other) || lacking(other) - lacking(one);
  const byName = (one, other) => one.id.localeCompare(other.id, "en");
  const order = index < 0 ? byName : byDevice;
  const turn = sortedDown() ? -1 : 1;
  shownRows.sort((one, other) => sections.indexOf(one.section || "") - sections.indexOf(other.section || "")
    || turn * order(one, other));
}

// A click sorts, a second one turns the order around, a third one restores the report's own order.
function nextSort(key) {
  if (sortKey() !== key) return key;
  return sortedDown() ? "" : `-${key}`;
}

function sortable(key, attributes, ...children) {
  const sorted = sortKey() === key ? (sortedDown() ? "descending" : "ascending") : "none";
  return make("th", { ...attributes, scope: "col", "aria-sort": sorted }, make("button", {
    class: "sort", type: "button", onclick: () => {
      show({ sort: nextSort(key) }, false);
      at("matrix").querySelector(`th[data-key="${CSS.escape(key)}"] .sort`).focus();
    } }, ...children));
}

// On a phone, which shows no head, a list sorts.
function drawSorter() {
  const orders = [["", "as reported"], ["name", `by ${words.row}`], ["-name", `by ${words.row}, Z to A`],
    ...columns.flatMap(({ id }) => [[id, `worst on ${id} first`], [`-${id}`, `best on ${id} first`]])];
  at("sorter").replaceChildren(...orders.map(([key, label]) => make("option", { value: key }, text(label))));
}

// ---- matrix ------------------------------------------------------------------------------

function drawMatrix() {
  applyFilter();
  sortRows();
  at("sorter").value = view.sort;
  const table = at("matrix");
  const body = make("tbody");
  table.replaceChildren(make("caption", { class: "unseen" }, text(at("matrix-title").textContent)), drawHead(), body);
  if (rows.length > 1 && shownRows.length === rows.length) body.append(drawTotal());
  drawn = 0;
  drawMore();
  drawDetail();
  focusable();
}

function drawHead() {
  at("matrix").classList.toggle("few", shownColumns.length < MANY_COLUMNS);
  for (const part of ["matrix", "legend"]) at(part).classList.toggle("many", shownColumns.length >= MANY_COLUMNS);
  const archs = make("tr", {}, make("td"));
  let last = null;
  for (const index of shownColumns) {
    const name = columns[index].architecture || "";
    if (last && last.textContent === name) last.colSpan += 1;
    else archs.append(last = make("th", { class: "arch", scope: "colgroup" }, text(name)));
  }
  const heads = make("tr", {}, sortable("name", { "data-key": "name", class: "names" }, make("span", {}, text(words.row))));
  for (const index of shownColumns) {
    const column = columns[index];
    heads.append(sortable(column.id, { "data-key": column.id, class: column.required ? "required" : "", title: (column.products || []).join(", ") },
      make("b", {}, text(column.id)), make("small", {}, text((column.products || [])[0] || ""))));
  }
  archs.append(make("td", { class: "filler" }));
  heads.append(make("td", { class: "filler" }));
  return make("thead", {}, archs, heads);
}

function drawTotal() {
  const row = make("tr", { class: "total" }, make("th", { scope: "row" }, make("span", {}, text("All together"))));
  for (const index of shownColumns) row.append(make("td", {}, drawCell(columns[index], columns[index], null)));
  row.append(make("td", { class: "filler" }));
  return row;
}

function drawMore() {
  const body = at("matrix").tBodies[0];
  const next = shownRows.slice(drawn, drawn + (drawn ? ROWS_AT_ONCE : ROWS_AT_FIRST));
  next.forEach((row, offset) => {
    const before = shownRows[drawn + offset - 1];
    if (row.section && (!before || before.section !== row.section)) {
      body.append(make("tr", { class: "section" }, make("th", { scope: "rowgroup", colspan: shownColumns.length + 2 }, text(row.section))));
    }
    body.append(drawRow(row));
  });
  drawn += next.length;
  const left = shownRows.length - drawn;
  if (left > 0) {
    at("more").replaceChildren(make("button", { class: "link", type: "button", onclick: drawMore },
      text(`Show ${number(Math.min(left, ROWS_AT_ONCE))} of ${counted(left, `more ${words.row}`, `more ${words.rows}`)}`)));
  } else at("more").textContent = rows.length && !shownRows.length ? `No ${words.row} matches.` : "";
}

function drawRow(row) {
  const from = row.section && row.id.startsWith(`${row.section}/`) ? row.section.length + 1 : 0;
  const slash = row.outcome ? 0 : Math.max(from, row.id.replace(/\/$/, "").lastIndexOf("/") + 1);
  const open = view.lib === row.id && !view.device;
  const line = make("tr", {},
    make("th", { scope: "row" },
      make("button", { class: "name", type: "button", "aria-expanded": row.outcome ? null : String(open),
        onclick: () => follow(row, "") },
      make("span", { class: "folder" }, ...breakable(row.id.slice(from, slash))), ...breakable(row.id.slice(slash))),
      make("small", {}, row.outcome ? make("span", { class: `verdict ${outcomeClass(row.outcome)}` }, shape(outcomeMark(row.outcome)), text(` ${row.outcome} `)) : null,
        text(subtitle(row)))));
  for (const index of shownColumns) line.append(make("td", {}, drawCell(row.cells[index], columns[index], row)));
  line.append(make("td", { class: "filler" }));
  line.row = row;
  return line;
}

// A subject leads to its tab, everything else opens.
function follow(row, device) {
  if (!row.outcome) return toggle(row.id, device);
  show({ ...NOWHERE, subject: row.id }, false);
  scrollTo(0, 0);
  return at("title").focus({ preventScroll: true });
}

// A library is described by its size and origin, a source by what it is compiled as.
function subtitle(row) {
  if (page.report !== "audit") return [...new Set((row.groups || []).flatMap((group) => group.codes || []))].join(", ");
  if (row.outcome && !row.facts) return "not read";
  return [items(row.count), ...(row.facts || []).map(([name, value]) => name === "CUDA" ? `CUDA ${value}` : value)].join(", ");
}

function drawCell(cell, column, row) {
  const tally = cell.tally || {};
  const label = make("span", { class: "word" }, shape(cell.state), text(word(cell.state)));
  const alone = page.report !== "audit" && total(tally) === 1;
  const short = alone ? null : summary(cell.state, tally);
  const excused = allExcused(tally) && cell.state !== "excused" ? count(`+${number(allExcused(tally))}`, "excused") : null;
  const on = make("span", { class: "on" }, text(column.id));
  if (!row) return make("div", { class: `cell ${cell.state}` }, on, label, short, excused);
  const open = view.lib === row.id && view.device === column.id;
  return make("button", { class: `cell ${cell.state}`, type: "button", tabindex: "-1", "aria-expanded": row.outcome ? null : String(open),
    title: `${row.id} on ${column.id}: ${word(cell.state)}, ${sentence(tally)}`,
    onclick: () => follow(row, column.id) }, on, label, short, excused);
}

// Each item is counted once: the numbers of a cell add up to all of them.
const allExcused = (tally) => (tally.excused || 0) + (tally.excused_ptx || 0);
const total = (tally) => Object.values(tally).reduce((sum, value) => sum + value, 0);

// What a cell counts is what its state is about. Where many columns leave no room, only the legend
// has the units.
function summary(state, tally) {
  const { lacking } = words;
  const runs = (tally.native || 0) + (tally.ptx || 0);
  const told = {
    native: [number(tally.native), (tally.native || 0) === 1 ? words.item : words.items],
    ptx: [tally.native ? `${number(tally.ptx)} of ${number(runs)}` : number(tally.ptx), "from PTX"],
    partial: [number(tally.missing), lacking],
    none: [number(tally.missing), lacking],
    unclear: [`${number(tally.unclear)} of ${number(total(tally))}`, "not known"],
    foreign: [number(tally.foreign), (tally.foreign || 0) === 1 ? words.item : words.items],
    unreachable: [number(tally.unreachable), (tally.unreachable || 0) === 1 ? words.item : words.items],
    excused: [number(allExcused(tally)), "excused"],
  }[state];
  const nothing = !total(tally) || (state === "unclear" && !tally.unclear);
  return told && !nothing && told[0] !== "0" ? count(...told) : null;
}

const count = (value, unit) => make("span", { class: "count" }, text(value), make("span", { class: "unit" }, text(` ${unit}`)));

const wayWord = (id) => (page.reaches || []).find((way) => way.id === id).word;

function sentence(tally) {
  const parts = ["missing", "unclear", "ptx", "native", "foreign", "unreachable"].filter((id) => tally[id]).map((id) => [tally[id], wayWord(id)]);
  const told = [...parts, [allExcused(tally), "excused by policy"]].filter(([value]) => value);
  return `${items(total(tally))}: ${told.map(([value, what]) => `${number(value)} ${what}`).join(", ") || "none"}`;
}
