"use strict";
// Draws the report that stands as JSON in this page. Foreign text (names of files, kernels and
// policies) only ever becomes text: nothing here parses HTML. Numbers and lists that say nothing
// are left out of the data, hence the `|| 0` and `|| []`.
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const { words } = page;
  const columns = page.columns || [];
  const rows = page.rows || [];
  const names = page.names || [];
  const meaning = new Map((page.states || []).map((one) => [one.id, one]));
  const ROWS_AT_FIRST = 30;
  const ROWS_AT_ONCE = 60;
  const MANY_COLUMNS = 8;
  const FAMILIES_AT_ONCE = 60;
  const NOTES_AT_ONCE = 6;

  // What the address says after the hash, and the screen shows.
  const view = { lib: "", device: "", q: "" };
  let shownColumns = [];
  let shownRows = [];
  let drawn = 0;

  const at = (id) => document.getElementById(id);
  const number = (value) => (value || 0).toLocaleString("en");
  const counted = (value, one, many) => `${number(value)} ${value === 1 ? one : many}`;
  const items = (value) => counted(value || 0, words.item, words.items);
  const text = (value) => document.createTextNode(value);

  function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name === "class") element.className = value;
      else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  }

  function shape(state) {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    svg.setAttribute("class", "shape");
    svg.setAttribute("aria-hidden", "true");
    const use = document.createElementNS(space, "use");
    use.setAttribute("href", `#shape-${state}`);
    svg.append(use);
    return svg;
  }

  // Long paths may break after a slash and before a dot.
  const breakable = (path) => path.split(/(?<=\/)|(?=\.)/).flatMap((part) => [make("wbr"), text(part)]);
  const word = (state) => (meaning.has(state) ? meaning.get(state).word : "nothing");
  const tag = (state, label) => make("span", { class: `tag ${state}` }, shape(state), text(label));

  // Lists that can be long show their beginning and a button for the rest.
  function longList(container, entries, most, draw) {
    const step = (from) => {
      for (const entry of entries.slice(from, from + most)) container.append(draw(entry));
      const left = entries.length - from - most;
      if (left <= 0) return;
      const button = make("button", { class: "link more", type: "button" }, text(`Show ${number(left)} more`));
      button.addEventListener("click", () => { button.parentNode.remove(); step(from + most); });
      container.append(make(container.tagName === "UL" ? "li" : "p", {}, button));
    };
    step(0);
    return container;
  }

  // ---- header, findings, exceptions -------------------------------------------------------

  function drawHeader() {
    document.title = `${page.title} - smforge ${words.report}`;
    at("report").textContent = words.report;
    at("title").textContent = page.title;
    const mark = { pass: "native", fail: "none", "nothing required": "foreign" }[page.outcome] || "partial";
    const outcome = page.outcome.replaceAll(" ", "-");
    at("outcome").classList.add(outcome);
    document.body.classList.add(outcome);
    at("outcome").append(shape(mark), text(page.headline));
    at("facts").append(...facts(page.facts));
  }

  // The findings stand below the matrix, which can be long.
  function drawFound() {
    const notes = page.notes || [];
    const levels = ["error", "warning", "note"].map((level) => [notes.filter((note) => note.level === level).length, level]);
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
    const notes = page.notes || [];
    at("notes-section").hidden = !notes.length;
    const loud = notes.filter((note) => note.level !== "note");
    const quiet = notes.filter((note) => note.level === "note");
    longList(at("notes"), loud, NOTES_AT_ONCE, drawNote);
    if (quiet.length) {
      const list = make("div");
      const fold = make("details", { class: "quiet" },
        make("summary", {}, text(counted(quiet.length, "note", "notes"))), list);
      whenOpened(fold, () => longList(list, quiet, NOTES_AT_ONCE, drawNote));
      if (!loud.length && quiet.length <= 5) fold.open = true;
      at("notes").append(fold);
    }
  }

  function drawNote(note) {
    const kind = note.level === "note" ? "note-level" : note.level;
    const where = note.row ? make("button", { class: "link", type: "button",
      onclick: () => show({ lib: note.row, device: (note.columns || [])[0] || "", q: "" }, true) },
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
    const excuses = page.excuses || [];
    at("excuses-section").hidden = !excuses.length;
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

  function whenOpened(fold, draw) {
    fold.addEventListener("toggle", () => fold.open && draw(), { once: true });
  }

  // ---- filter ------------------------------------------------------------------------------

  const tokens = () => view.q.toLowerCase().split(/\s+/).filter(Boolean);
  const columnText = (column) => [column.id, `sm_${column.id.replace(".", "")}`, column.architecture,
    ...(column.products || [])].join("\n").toLowerCase();
  const namesDevice = (token) => columns.filter((column) => /^[\d.]+$/.test(token)
    ? column.id === token : token.length > 1 && columnText(column).includes(token));
  const inName = (token, index) => names[index].toLowerCase().includes(token);

  // A word that names devices narrows the columns; every other one must be found in the row's
  // path or among its families.
  function applyFilter() {
    const wanted = new Set();
    const rest = [];
    for (const token of tokens()) {
      const named = namesDevice(token);
      if (named.length) named.forEach((column) => wanted.add(column.id));
      else rest.push(token);
    }
    shownColumns = columns.map((column, index) => index).filter((index) => !wanted.size || wanted.has(columns[index].id));
    shownRows = rows.filter((row) => rest.every((token) => row.id.toLowerCase().includes(token)
      || (row.section || "").toLowerCase().includes(token)
      || (row.groups || []).some((group) => (group.families || []).some((one) => inName(token, one.name || 0)))));
    const all = shownRows.length === rows.length && shownColumns.length === columns.length;
    at("shown").textContent = all
      ? `${counted(rows.length, words.row, words.rows)}, ${counted(columns.length, "device", "devices")}`
      : `${number(shownRows.length)} of ${counted(rows.length, words.row, words.rows)}, ${number(shownColumns.length)} of ${counted(columns.length, "device", "devices")}`;
    return rest;
  }

  // Of a row's families, those that the filter means; all of them where it means the row itself.
  function filteredFamilies(row, families, rest) {
    const left = rest.filter((token) => !row.id.toLowerCase().includes(token) && !(row.section || "").toLowerCase().includes(token));
    return (families || []).filter((one) => left.every((token) => inName(token, one.name || 0)));
  }

  // ---- matrix ------------------------------------------------------------------------------

  function drawMatrix() {
    applyFilter();
    const table = at("matrix");
    const body = make("tbody");
    table.replaceChildren(make("caption", { class: "shapes" }), drawHead(), body);
    if (rows.length > 1 && shownRows.length === rows.length) body.append(drawTotal());
    drawn = 0;
    drawMore();
    drawDetail();
    focusable();
  }

  function drawHead() {
    at("matrix").classList.toggle("few", shownColumns.length < MANY_COLUMNS);
    at("matrix").classList.toggle("many", shownColumns.length >= MANY_COLUMNS);
    const archs = make("tr", {}, make("td"));
    let last = null;
    for (const index of shownColumns) {
      const name = columns[index].architecture || "";
      if (last && last.textContent === name) last.colSpan += 1;
      else archs.append(last = make("th", { class: "arch", scope: "colgroup" }, text(name)));
    }
    const heads = make("tr", {}, make("th", { scope: "col" }, text("")));
    for (const index of shownColumns) {
      const column = columns[index];
      heads.append(make("th", { scope: "col", class: column.required ? "required" : "", title: (column.products || []).join(", ") },
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
    const slash = row.id.replace(/\/$/, "").lastIndexOf("/") + 1;
    const from = row.section && row.id.startsWith(`${row.section}/`) ? row.section.length + 1 : 0;
    const open = view.lib === row.id && !view.device;
    const line = make("tr", {},
      make("th", { scope: "row" },
        make("button", { class: "name", type: "button", "aria-expanded": String(open),
          onclick: () => toggle(row.id, "") },
        make("span", { class: "folder" }, ...breakable(row.id.slice(from, Math.max(from, slash)))), ...breakable(row.id.slice(Math.max(from, slash)))),
        make("small", {}, text(subtitle(row)))));
    for (const index of shownColumns) line.append(make("td", {}, drawCell(row.cells[index], columns[index], row)));
    line.append(make("td", { class: "filler" }));
    line.row = row;
    return line;
  }

  // A library is told by its size and origin, a source by what it is compiled as.
  function subtitle(row) {
    if (words.report !== "audit") return [...new Set((row.groups || []).flatMap((group) => group.codes || []))].join(", ");
    return [items(row.count), ...(row.facts || []).map(([name, value]) => name === "CUDA" ? `CUDA ${value}` : value)].join(", ");
  }

  function drawCell(cell, column, row) {
    const tally = cell.tally || {};
    const label = make("span", { class: "word" }, shape(cell.state), text(word(cell.state)));
    const alone = words.report !== "audit" && total(tally) === 1;
    const short = alone ? null : summary(cell.state, tally);
    const excused = allExcused(tally) && cell.state !== "excused" ? count(`+${number(allExcused(tally))}`, "excused") : null;
    const on = make("span", { class: "on" }, text(column.id));
    if (!row) return make("div", { class: `cell ${cell.state}` }, on, label, short, excused);
    const open = view.lib === row.id && view.device === column.id;
    return make("button", { class: `cell ${cell.state}`, type: "button", tabindex: "-1", "aria-expanded": String(open),
      "aria-label": `${row.id} on ${column.id}: ${word(cell.state)}, ${sentence(tally)}`,
      onclick: () => toggle(row.id, column.id) }, on, label, short, excused);
  }

  // Each item is counted once: the numbers of a cell add up to all of them.
  const allExcused = (tally) => (tally.excused || 0) + (tally.excused_ptx || 0);
  const total = (tally) => Object.values(tally).reduce((sum, value) => sum + value, 0);

  // What a cell counts is what its state is about. Where many columns leave no room, the units are
  // in the legend alone.
  function summary(state, tally) {
    const lacking = words.report === "audit" ? "missing" : "lost";
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
    return told && told[0] !== "0" ? count(...told) : null;
  }

  const count = (value, unit) => make("span", { class: "count" }, text(value), make("span", { class: "unit" }, text(` ${unit}`)));

  const wayWord = (id) => (page.reaches || []).find((way) => way.id === id).word;

  function sentence(tally) {
    const parts = ["missing", "unclear", "ptx", "native", "foreign", "unreachable"].filter((id) => tally[id]).map((id) => [tally[id], wayWord(id)]);
    const told = [...parts, [allExcused(tally), "excused by policy"]].filter(([value]) => value);
    return `${items(total(tally))}: ${told.map(([value, what]) => `${number(value)} ${what}`).join(", ") || "none"}`;
  }

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
        drawReach(panel, row, way, (row.groups || []).filter((group) => group.reach[index] === way.id), column.id);
      }
    } else {
      if (row.stored) panel.append(drawStored(row.stored));
      const list = make("div", { class: "reach" }, make("h4", {}, text(words.embedded)));
      for (const group of row.groups || []) list.append(drawGroup(row, group, ""));
      panel.append(list);
    }
    if (words.report !== "audit" && row.facts) panel.append(make("dl", {}, ...facts(row.facts)));
  }

  function drawReach(panel, row, way, groups, device) {
    if (!groups.length) return;
    const { state } = way;
    const count = groups.reduce((sum, group) => sum + group.families.reduce((part, one) => part + one.count, 0), 0);
    const fold = make("details", { class: "reach" }, make("summary", {}, tag(state, `${number(count)} ${way.word}`),
      make("span", { class: "why" }, text(way.text))));
    whenOpened(fold, () => groups.forEach((group) => fold.append(drawGroup(row, group, device))));
    fold.open = panel.querySelector(".reach") === null || (state !== "native" && state !== "foreign");
    panel.append(fold);
  }

  function drawGroup(row, group, device) {
    const codes = make("div", { class: "codes" }, text(words.embedded));
    for (const code of group.codes || []) {
      const runs = device && ((page.runs || {})[code] || []).includes(device);
      codes.append(make("code", { class: `code${runs ? " runs" : ""}`, title: runs ? `Runs on ${device}` : null }, text(code)));
    }
    if (!(group.codes || []).length) codes.append(text("nothing that the driver loads"));
    const rest = applyFilter();
    const families = filteredFamilies(row, group.families, rest);
    const list = longList(make("ul", { class: "families" }), families, FAMILIES_AT_ONCE, drawFamily);
    const hidden = (group.families || []).length - families.length;
    return make("div", { class: "group" }, codes, list,
      hidden ? make("p", { class: "help" }, text(`${counted(hidden, words.family, words.families)} not shown by the filter`)) : null);
  }

  function drawStored(stored) {
    const head = ["Code", "Kind", "PTX ISA", "Objects", "Bytes"];
    return make("table", { class: "stored" },
      make("thead", {}, make("tr", {}, ...head.map((one, index) => make("th", { scope: "col", class: index > 2 ? "right" : "" }, text(one))))),
      make("tbody", {}, ...stored.map((one) => make("tr", {},
        make("td", {}, make("code", {}, text(one.code))), make("td", {}, text(one.kind)), make("td", {}, text(one.isa || "")),
        make("td", { class: "right" }, text(number(one.count))), make("td", { class: "right" }, text(number(one.bytes)))))));
  }

  // ---- the address and the keys --------------------------------------------------------------

  const toggle = (lib, device) => show(view.lib === lib && view.device === device
    ? { lib: "", device: "" } : { lib, device }, false);

  function address() {
    const parts = Object.entries(view).filter(([, value]) => value);
    return parts.length ? `#${parts.map(([key, value]) => `${key}=${encodeURIComponent(wellFormed(value))}`).join("&")}` : location.pathname + location.search;
  }

  // A lone surrogate stands for a byte that is no text; it cannot be part of an address.
  const wellFormed = (value) => value.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (one) => one.length > 1 ? one : "\ufffd");

  function show(change, travel) {
    const before = view.q;
    Object.assign(view, change);
    history.pushState(null, "", address());
    if (view.q !== before) { at("filter").value = view.q; drawMatrix(); } else drawDetail();
    if (travel) reveal();
  }

  function reveal() {
    const panel = at("panel");
    if (!panel) return;
    panel.closest("tr").previousElementSibling.scrollIntoView({ block: "start" });
    panel.focus({ preventScroll: true });
  }

  function restore() {
    const said = new URLSearchParams(location.hash.slice(1).replace(/\+/g, "%2B"));
    Object.assign(view, { lib: said.get("lib") || "", device: said.get("device") || "", q: said.get("q") || "" });
    const meant = rows.find((row) => row.id === view.lib) || rows.find((row) => wellFormed(row.id) === view.lib);
    if (meant) view.lib = meant.id;
    at("filter").value = view.q;
    drawMatrix();
    if (view.lib) reveal();
  }

  // One cell takes part in the tab order; the arrow keys move it.
  function focusable() {
    const first = at("matrix").querySelector("button.cell");
    if (first) first.tabIndex = 0;
  }

  function move(event) {
    const cell = event.target.closest("button.cell");
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!cell || !step) return;
    event.preventDefault();
    const lines = [...at("matrix").tBodies[0].rows].filter((line) => line.row);
    const line = lines.indexOf(cell.closest("tr"));
    const place = [...lines[line].querySelectorAll("button.cell")].indexOf(cell);
    const target = lines[line + step[0]];
    const next = target && target.querySelectorAll("button.cell")[place + step[1]];
    if (!next) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  drawHeader();
  drawFound();
  drawNotes();
  drawExcuses();
  at("matrix-section").hidden = !rows.length;
  at("matrix-title").textContent = `${words.rows[0].toUpperCase()}${words.rows.slice(1)} by device`;
  at("filter-help").textContent = words.hint;
  const states = new Set([...columns.map((one) => one.state), ...rows.flatMap((row) => row.cells.map((cell) => cell.state))]);
  for (const state of (page.states || []).filter((one) => states.has(one.id))) {
    at("legend").append(make("div", {}, make("dt", { class: state.id }, shape(state.id), text(state.word)), make("dd", {}, text(state.text))));
  }
  at("matrix").addEventListener("keydown", move);
  at("filter").addEventListener("input", () => {
    view.q = at("filter").value.trim();
    history.replaceState(null, "", address());
    drawMatrix();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/input/i.test(event.target.tagName)) { event.preventDefault(); at("filter").focus(); }
    if (event.key === "Escape" && view.lib && !/input/i.test(event.target.tagName)) toggle(view.lib, view.device);
  });
  addEventListener("hashchange", restore);
  addEventListener("popstate", restore);
  addEventListener("beforeprint", () => { while (drawn < shownRows.length) drawMore(); });
  restore();
})();
