// The list of rows: filters, order, and only as many elements as can be seen.
// Not here: the details of one row.

const TALL = 62; // pixels of a row, as in page.css
const CHOICES = ["domain", "kind", "reason", "difficulty", "quality", "side"];
const RANGES = ["majority_share", "score_gap", "score"];
const ORDERS = ["domain", "kind", "majority_share", "score_gap", "score"];

const list = {
  index: null, // as listing.py made it
  shown: [], // numbers of the listed rows, in order
  chosen: null, // the number of the row that is open
  hits: null, // 1 for each row in which the search found the text; null without a search
  order: { by: null, down: false },
};

const listed = (name, row) => {
  const value = list.index.columns[name][row];
  return list.index.values[name] && value !== null ? list.index.values[name][value] : value;
};
const isDropped = (row) => row >= list.index.problems;

async function openList() {
  list.index = await block("index");
  byId("choices").append(
    choice("show", ["problems", "dropped", "all"], (value) => say(`show_${value}`), "problems"),
    ...CHOICES.filter((name) => list.index.values[name].length > 1 || name === "reason").map((name) =>
      choice(name, ["", ...inOrder(name)], (value) =>
        value === "" ? say("any") : name === "domain" ? domainName(value) : value,
      ),
    ),
    choice("pair", ["", "yes", "no"], (value) => say(value === "" ? "any" : value)),
    choice("answered", ["", "yes", "no"], (value) => say(value === "" ? "any" : value)),
    ...RANGES.map(range),
    choice("mark", ["", ...MARKED], (value) => say(value === "" ? "any" : value)),
  );
  byId("heads").append(
    ...ORDERS.map((by) =>
      make("button", { type: "button", "data-by": by, onclick: () => sortBy(by) }, say(by)),
    ),
    make("span", {}, say("answer")),
  );
  const form = byId("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("choices").addEventListener("input", listAnew);
  form.addEventListener("reset", () =>
    setTimeout(() => {
      list.hits = null;
      search.text = "";
      listAnew();
    }),
  );
  byId("search").addEventListener("input", () => search.soon());
  byId("everywhere").addEventListener("change", () => search.now());
  const scroll = byId("scroll");
  scroll.addEventListener("scroll", () => requestAnimationFrame(renderList), { passive: true });
  new ResizeObserver(renderList).observe(scroll);
  scroll.addEventListener("click", (event) => {
    const item = event.target.closest("[data-row]");
    if (item) openRow(Number(item.dataset.row), true);
  });
  listAnew();
}

function inOrder(name) {
  const values = list.index.values[name];
  return (
    summary.scales[name]?.filter((value) => values.includes(value)) ??
    (name === "domain" ? values : [...values].sort())
  );
}

function choice(name, values, word, value = "") {
  const select = make(
    "select",
    { id: `by-${name}` },
    ...values.map((one) => make("option", { value: one, selected: one === value }, word(one))),
  );
  return make("label", {}, make("span", {}, say(name)), select);
}

function range(name) {
  const end = (which) =>
    make("input", {
      type: "number",
      step: "any",
      id: `${which}-${name}`,
      "aria-label": `${say(name)} ${say(which)}`,
      placeholder: say(which),
    });
  return make("label", { class: "range" }, make("span", {}, say(name)), end("least"), end("most"));
}

function tests() {
  const { columns, values, problems } = list.index;
  const wanted = (name) => byId(`by-${name}`)?.value ?? "";
  const found = [];
  if (wanted("show") !== "all") found.push((row) => row < problems === (wanted("show") === "problems"));
  for (const name of CHOICES.filter((one) => wanted(one) !== "")) {
    const [column, code] = [columns[name], values[name].indexOf(wanted(name))];
    found.push((row) => column[row] === code);
  }
  if (wanted("pair")) found.push((row) => (columns.kind[row] !== null) === (wanted("pair") === "yes"));
  if (wanted("answered"))
    found.push((row) => Boolean(columns.answered[row]) === (wanted("answered") === "yes"));
  for (const name of RANGES) {
    const [least, most] = [byId(`least-${name}`).valueAsNumber, byId(`most-${name}`).valueAsNumber];
    if (!Number.isNaN(least)) found.push((row) => columns[name][row] !== null && columns[name][row] >= least);
    if (!Number.isNaN(most)) found.push((row) => columns[name][row] !== null && columns[name][row] <= most);
  }
  if (wanted("mark")) found.push((row) => isMarked(columns.id[row], wanted("mark")));
  if (list.hits) found.push((row) => list.hits[row] === 1);
  return found;
}

function listAnew() {
  const passes = tests();
  const shown = [];
  const all = list.index.columns.id.length;
  for (let row = 0; row < all; row++) if (passes.every((test) => test(row))) shown.push(row);
  const { by, down } = list.order;
  if (by) {
    const column = list.index.columns[by];
    const order = list.index.values[by]?.map(
      (_, code, names) => names.filter((name) => name < names[code]).length,
    );
    const value = (row) => (order && column[row] !== null ? order[column[row]] : column[row]);
    shown.sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return (a === null) - (b === null) || one - other;
      return (down ? b - a : a - b) || one - other;
    });
  }
  // A list that comes out the same keeps its place: a late search must not throw the reader back to its top.
  const same = shown.length === list.shown.length && shown.every((row, at) => row === list.shown[at]);
  list.shown = shown;
  byId("found").textContent = say("found", { n: count(shown.length), all: count(all) });
  byId("space").style.height = `${shown.length * TALL}px`;
  if (!same) byId("scroll").scrollTop = 0;
  renderList();
}

function sortBy(by) {
  const { order } = list;
  list.order =
    order.by !== by
      ? { by, down: RANGES.includes(by) }
      : order.down === RANGES.includes(by)
        ? { by, down: !order.down }
        : { by: null, down: false };
  for (const button of byId("heads").querySelectorAll("button")) {
    const mine = button.dataset.by === list.order.by;
    button.setAttribute("aria-sort", mine ? (list.order.down ? "descending" : "ascending") : "none");
  }
  listAnew();
}

function renderList() {
  const scroll = byId("scroll");
  const first = Math.max(0, Math.floor(scroll.scrollTop / TALL) - 5);
  const last = Math.min(list.shown.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / TALL) + 5);
  const items = [];
  for (let place = first; place < last; place++) items.push(item(place));
  byId("space").replaceChildren(...items);
  scroll.setAttribute("aria-activedescendant", list.chosen === null ? "" : `row-${list.chosen}`);
  if (!list.shown.length) byId("space").append(make("p", { class: "quiet nothing" }, say("nothing_found")));
}

function item(place) {
  const row = list.shown[place];
  const cells = isDropped(row)
    ? [
        make("span", { class: "badge dropped" }, listed("reason", row)),
        make("span", { class: "quiet rest" }, summary.meanings[listed("reason", row)] ?? ""),
      ]
    : [
        make(
          "span",
          { class: `badge ${listed("kind", row) ?? "none"}` },
          listed("kind", row) ?? say("no_pair"),
        ),
        ...RANGES.map((name) => make("span", { class: "number" }, decimal(list.index.columns[name][row]))),
        make("span", { class: "answer", dir: "auto" }, ...plainText(list.index.columns.answer[row] ?? NONE)),
      ];
  const element = make(
    "div",
    {
      class: isDropped(row) ? "item gone" : "item",
      role: "option",
      id: `row-${row}`,
      "data-row": row,
      "aria-selected": row === list.chosen ? "true" : "false",
      "aria-setsize": list.shown.length,
      "aria-posinset": place + 1,
    },
    make(
      "div",
      { class: "first", dir: "auto" },
      markSign(list.index.columns.id[row]),
      ...plainText(list.index.columns.first[row] || say("empty")),
    ),
    make(
      "div",
      { class: "cells" },
      make("span", { class: "quiet" }, domainName(listed("domain", row))),
      ...cells,
    ),
  );
  element.style.top = `${place * TALL}px`;
  return element;
}

function markSign(id) {
  const one = markOf(id);
  return one && make("span", { class: `badge ${one.mark ?? ""}` }, say(one.mark ?? "noted"));
}

// Open the row that is so many places further down.
function move(places) {
  const at = list.shown.indexOf(list.chosen);
  const place = Math.max(0, Math.min(list.shown.length - 1, at < 0 ? 0 : at + places));
  if (list.shown.length) openRow(list.shown[place], false);
}

function reveal(row) {
  const [place, scroll] = [list.shown.indexOf(row), byId("scroll")];
  if (place < 0) return;
  if (place * TALL < scroll.scrollTop) scroll.scrollTop = place * TALL;
  else if ((place + 1) * TALL > scroll.scrollTop + scroll.clientHeight)
    scroll.scrollTop = (place + 1) * TALL - scroll.clientHeight;
  renderList();
}

function setFilters(values) {
  byId("filters").reset();
  list.hits = null;
  for (const [name, value] of Object.entries(values)) byId(`by-${name}`).value = value;
  setTimeout(listAnew, 1); // after the form's own reset
}
