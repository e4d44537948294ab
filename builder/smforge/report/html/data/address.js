// ---- the address and the keys --------------------------------------------------------------

const toggle = (lib, device) => show(view.lib === lib && view.device === device
  ? { lib: "", device: "", family: "" } : { lib, device, family: "" }, false);

// The address of what is shown, or of something else in it.
function address(change = {}) {
  const parts = Object.entries({ ...view, ...change }).filter(([, value]) => value);
  return parts.length ? `#${parts.map(([key, value]) => `${key}=${encodeURIComponent(wellFormed(value))}`).join("&")}` : location.pathname + location.search;
}

// A lone surrogate stands for a byte that is no text; it cannot be part of an address.
const wellFormed = (value) => value.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (one) => one.length > 1 ? one : "\ufffd");

function show(change, travel) {
  const before = { ...view };
  Object.assign(view, change);
  history.pushState(null, "", address());
  at("gone").textContent = "";
  if (view.subject !== before.subject) drawTab();
  if (["subject", "sort", "q"].some((part) => view[part] !== before[part])) {
    at("filter").value = view.q;
    drawMatrix();
  } else drawDetail();
  if (travel) reveal();
}

// Brings what was opened into view: the family that the address names, else the panel.
function reveal() {
  const panel = at("panel");
  if (!panel) return;
  const family = markFamily();
  if (family) {
    family.scrollIntoView({ block: "center" });
    family.querySelector("a").focus({ preventScroll: true });
    return;
  }
  panel.closest("tr").previousElementSibling.scrollIntoView({ block: "start" });
  panel.focus({ preventScroll: true });
}

function restore() {
  const said = new URLSearchParams(location.hash.slice(1).replace(/\+/g, "%2B"));
  for (const part of Object.keys(view)) view[part] = said.get(part) || "";
  const { subject } = view;
  drawTab();
  const meant = rows.find((row) => row.id === view.lib) || rows.find((row) => wellFormed(row.id) === view.lib);
  if (meant) view.lib = meant.id;
  at("filter").value = view.q;
  drawMatrix();
  if (view.lib) reveal();
  at("gone").textContent = whatIsGone(subject);
}

// A link can come from another report, whose page had the same name.
function whatIsGone(subject) {
  if (subject !== view.subject) return `This page has no subject ${subject}.`;
  if (view.lib && !rows.some((row) => row.id === view.lib)) return `This page has no ${words.row} ${view.lib}.`;
  if (view.device && !columns.some((one) => one.id === view.device)) return `This page has no device ${view.device}.`;
  if (view.family && !markFamily()) return `There is no ${words.family} ${view.family} here.`;
  return "";
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

drawTabs();
// The link must not become the address, which says what is shown.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  at(rows.length ? "matrix" : "title").focus();
});
at("matrix").addEventListener("keydown", move);
at("sorter").addEventListener("change", () => show({ sort: at("sorter").value }, false));
at("filter").addEventListener("input", () => {
  view.q = at("filter").value.trim();
  history.replaceState(null, "", address());
  drawMatrix();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !/input|select/i.test(event.target.tagName)) { event.preventDefault(); at("filter").focus(); }
  if (event.key === "Escape" && view.lib && !/input|select/i.test(event.target.tagName)) toggle(view.lib, view.device);
});
addEventListener("hashchange", restore);
addEventListener("popstate", restore);
addEventListener("beforeprint", () => { while (drawn < shownRows.length) drawMore(); });
restore();
