// The list of rows: which of them, in which order, and only as many elements as can be seen.
// Not here: the details of one row; the filters.

const TALL = 62; // pixels of a row, as in page.css
const NUMBERS = ["majority_share", "score_gap", "score"];
const ORDERS = ["domain", "kind", ...NUMBERS];

const list = {
  index: null, // as listing.py made it
  shown: [], // numbers of the listed rows, in order
  chosen: null, // the number of the row that is open
  hits: null, // 1 for each row in which the search found the text; null without a search
  turn: 0,
};

// The values of all rows in a column, and the texts that its numbers stand for.
const column = (name) => list.index.columns[name] ?? block(`column-${name}`);

const listed = (name, row) => {
  const { values, codes } = list.index.columns[name];
  const value = values[row] ?? null;
  return codes.length && value !== null ? codes[value] : value;
};
const isProblem = (row) => row < list.index.problems;
const isDropped = (row) => !isProblem(row) && row < list.index.problems + list.index.dropped;

async function openList() {
  list.index = await block("index");
  openFilters();
  byId("heads").append(
    ...ORDERS.map((by) =>
      make("button", { type: "button", "data-by": by, onclick: () => sortBy(by) }, filterName(by)),
    ),
    make("span", {}, say("answer")),
  );
  const form = byId("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () =>
    setTimeout(() => {
      want.filters = {};
      search.now().then(writeAddress);
    }),
  );
  byId("search").addEventListener("input", () => search.soon());
  for (const name of ["everywhere", "regexp"])
    byId(name).addEventListener("change", () => search.now().then(writeAddress));
  const scroll = byId("scroll");
  scroll.addEventListener("scroll", () => requestAnimationFrame(() => renderList(false)), {
    passive: true,
  });
  new ResizeObserver(() => renderList(false)).observe(scroll);
  scroll.addEventListener("click", (event) => {
    const item = event.target.closest("[data-row]");
    if (item) openRow(Number(item.dataset.row), true).then(writeAddress);
  });
}

// Tell those who cannot see it, too, that the count is not yet that of what they asked for.
const showBusy = (busy = search.pending) => byId("found").setAttribute("aria-busy", String(busy));

async function listAnew() {
  const turn = ++list.turn;
  showBusy(true);
  fillControls();
  const passes = await tests();
  if (turn !== list.turn) return;
  let shown = [];
  const all = list.index.ids.length;
  for (let row = 0; row < all; row++) if (passes.every((test) => test(row))) shown.push(row);
  if (want.filters.sample) shown = sampled(shown, want.filters.sample);
  const [down, by] = want.order.startsWith("-") ? [true, want.order.slice(1)] : [false, want.order];
  if (ORDERS.includes(by)) {
    const { values, codes } = list.index.columns[by];
    const order = codes.map((_, code) => codes.filter((name) => name < codes[code]).length);
    const value = (row) => (codes.length ? order[values[row]] : values[row]) ?? null;
    shown.sort((one, other) => {
      const [a, b] = [value(one), value(other)];
      if (a === null || b === null) return (a === null) - (b === null) || one - other;
      return (down ? b - a : a - b) || one - other;
    });
  }
  for (const head of byId("heads").querySelectorAll("button"))
    head.setAttribute(
      "aria-sort",
      head.dataset.by !== by ? "none" : down ? "descending" : "ascending",
    );
  // A list that comes out the same keeps its place: a late search must not throw the reader back to its top.
  const same = shown.length === list.shown.length && shown.every((row, at) => row === list.shown[at]);
  list.shown = shown;
  showBusy();
  byId("found").textContent = say("found", { n: count(shown.length), all: count(all) });
  byId("space").style.height = `${shown.length * TALL}px`;
  if (!same) byId("scroll").scrollTop = 0;
  renderList();
}

// Numbers are sorted from the top first; a third click takes the order back.
function sortBy(by) {
  const turns = NUMBERS.includes(by) ? [`-${by}`, by, ""] : [by, `-${by}`, ""];
  want.order = turns[turns.indexOf(want.order) + 1] ?? turns[0];
  changed();
}

// fresh: make all items anew, as after a change of the rows; else only those that come into sight.
function renderList(fresh = true) {
  const scroll = byId("scroll");
  const first = Math.max(0, Math.floor(scroll.scrollTop / TALL) - 5);
  const last = Math.min(list.shown.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / TALL) + 5);
  const space = byId("space");
  if (fresh) space.replaceChildren();
  const kept = new Set();
  for (const element of [...space.children]) {
    const place = Number(element.dataset.place);
    if (place >= first && place < last) kept.add(place);
    else element.remove();
  }
  const lowest = kept.size ? Math.min(...kept) : last;
  const [before, after] = [[], []];
  for (let place = first; place < last; place++)
    if (!kept.has(place)) (place < lowest ? before : after).push(item(place));
  space.prepend(...before);
  space.append(...after);
  scroll.setAttribute("aria-activedescendant", list.chosen === null ? "" : `row-${list.chosen}`);
  if (!list.shown.length) space.replaceChildren(make("p", { class: "quiet nothing" }, say("nothing_found")));
}

function item(place) {
  const row = list.shown[place];
  const reason = listed("reason", row);
  const cells = isProblem(row)
    ? [
        make(
          "span",
          { class: `badge ${listed("kind", row) ?? "none"}` },
          listed("kind", row) ?? say("no_pair"),
        ),
        ...NUMBERS.map((name) => make("span", { class: "number" }, decimal(listed(name, row)))),
        make("span", { class: "answer", dir: "auto" }, ...plainText(list.index.answers[row] ?? NONE)),
      ]
    : [
        make(
          "span",
          { class: reason === null ? "badge" : "badge dropped" },
          reason === null ? say("waiting") : reason,
        ),
        make("span", { class: "quiet rest" }, reason === null ? "" : (summary.meanings[reason] ?? "")),
      ];
  const id = list.index.ids[row];
  const element = make(
    "div",
    {
      class: isProblem(row) ? "item" : "item gone",
      role: "option",
      id: `row-${row}`,
      "data-row": row,
      "data-place": place,
      "aria-selected": row === list.chosen ? "true" : "false",
      "aria-setsize": list.shown.length,
      "aria-posinset": place + 1,
    },
    make(
      "div",
      { class: "first", dir: "auto" },
      markSign(id),
      ...plainText(list.index.first[row] || say("empty")),
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
  if (list.shown.length) openRow(list.shown[place], false).then(() => writeAddress(true));
}

function reveal(row) {
  const [place, scroll] = [list.shown.indexOf(row), byId("scroll")];
  if (place < 0) return;
  if (place * TALL < scroll.scrollTop) scroll.scrollTop = place * TALL;
  else if ((place + 1) * TALL > scroll.scrollTop + scroll.clientHeight)
    scroll.scrollTop = (place + 1) * TALL - scroll.clientHeight;
  renderList();
}
