// The report that stands as JSON in this page, and how elements are made. Foreign text (names of
// files, kernels and policies) only ever becomes text: nothing here parses HTML. Numbers and lists
// that say nothing are left out of the data, hence the `|| 0` and `|| []`.
const page = JSON.parse(document.getElementById("data").textContent);
const names = page.names || [];
const meaning = new Map((page.states || []).map((one) => [one.id, one]));
const several = page.tabs.length > 1;
const ROWS_AT_FIRST = 30;
const ROWS_AT_ONCE = 60;
const MANY_COLUMNS = 8;
const FAMILIES_AT_ONCE = 60;
const NOTES_AT_ONCE = 6;

// The tab that is shown, and parts of it.
let tab = page.tabs[0];
let { words } = tab;
let columns = [];
let rows = [];

// What the address says after the hash, and the screen shows. The subject is empty for the tab of
// all subjects; a sort is the id of a column or "name", with a minus for the other direction.
const NOWHERE = { subject: "", lib: "", device: "", family: "", sort: "", q: "" };
const view = { ...NOWHERE };
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

// Long names may break after a slash, a dash or an underscore, and before a dot.
const breakable = (path) => path.split(/(?<=[/\-_])|(?=\.)/).flatMap((part) => [make("wbr"), text(part)]);
const word = (state) => (meaning.has(state) ? meaning.get(state).word : "nothing");
const tag = (state, label) => make("span", { class: `tag ${state}` }, shape(state), text(label));

// Lists that can be long show their beginning and a button for the rest. The beginning is long
// enough for the entry that an address names.
function longList(container, entries, most, draw, named = -1) {
  const step = (from, to) => {
    for (const entry of entries.slice(from, to)) container.append(draw(entry));
    const left = entries.length - to;
    if (left <= 0) return;
    const button = make("button", { class: "link more", type: "button" }, text(`Show ${number(left)} more`));
    button.addEventListener("click", () => { button.parentNode.remove(); step(to, to + most); });
    container.append(make(container.tagName === "UL" ? "li" : "p", {}, button));
  };
  step(0, Math.max(most, named + 1));
  return container;
}

// Folds are filled when they are opened for the first time; what is returned fills one at once.
function whenOpened(fold, draw) {
  let done = false;
  const once = () => {
    if (!done) draw();
    done = true;
  };
  fold.addEventListener("toggle", () => fold.open && once());
  return once;
}
