// The view, the filters and the open row in the address of the page, so that a link leads back to them.
// Not here: what they mean.

// Names that no column has, since a column's begins with a letter.
const VIEW = "-view";
const ROW = "-row";
const FIND = "-find";
const REGEXP = "-regexp";
const EVERYWHERE = "-everywhere";
const ORDER = "-order";

function address() {
  const { text, regexp, everywhere } = searched();
  const parts = new URLSearchParams();
  if (!byId("rows").hidden) parts.set(VIEW, "rows");
  for (const [name, value] of Object.entries(want.filters)) parts.set(name, value);
  if (text) parts.set(FIND, text);
  if (regexp) parts.set(REGEXP, "1");
  if (everywhere) parts.set(EVERYWHERE, "1");
  if (want.order) parts.set(ORDER, want.order);
  if (list.chosen !== null) parts.set(ROW, list.index.ids[list.chosen]);
  return `#${parts}`;
}

// replace: change the entry of the browser's history instead of adding one, as for each letter that is typed.
function writeAddress(replace = false) {
  const now = address();
  if (now === location.hash || (now === "#" && !location.hash)) return;
  history[replace === true ? "replaceState" : "pushState"](null, "", now);
}

// Go where the address leads.
async function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const taken = (name) => {
    const value = parts.get(name) ?? "";
    parts.delete(name);
    return value;
  };
  const id = taken(ROW);
  view(taken(VIEW) === "rows" || id ? "rows" : "overview");
  byId("search").value = taken(FIND);
  byId("regexp").checked = Boolean(taken(REGEXP));
  byId("everywhere").checked = Boolean(taken(EVERYWHERE));
  want.order = taken(ORDER);
  const unknown = [...parts].filter(([name, value]) => !fits(name, value)).map(([name]) => name);
  want.filters = Object.fromEntries([...parts].filter(([name, value]) => fits(name, value)));
  fillControls();
  await search.now();
  const row = id ? list.index.ids.indexOf(id) : -1;
  if (row >= 0 && row !== list.chosen) await openRow(row, false);
  else if (!id) leaveRow();
  if (unknown.length) byId("found").textContent = say("no_such_filter", { name: unknown.join(", ") });
  if (id && row < 0) byId("found").textContent = say("no_such_row", { id });
}
