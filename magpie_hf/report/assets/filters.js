// What the reader wants of the rows: filters made from the columns of the build, a search, an order.
// Not here: the list (rows.js); how all this stands in the address (address.js).

const SHOW = ["problems", "dropped", "waiting", "all"];
// What is shown where nothing is said: the problems, or all samples of a build without any.
const usual = () => (list.index.problems ? "problems" : "all");
const BETWEEN = ".."; // the ends of a range, as in "0.5..1", "0.5.." or "..1"

// All that is wanted, as plain text. filters: by name; a range as above, everything else a value.
const want = { filters: {}, order: "" };

const searched = () => ({
  text: byId("search").value.trim(),
  regexp: byId("regexp").checked,
  everywhere: byId("everywhere").checked,
});

const isFilter = (name) =>
  ["show", "mark", "sample", ...(summary.map ? ["region"] : [])].includes(name) || Boolean(filterOf(name));
const filterOf = (name) => summary.filters.find((one) => one.name === name);

// Whether a filter is one of this report, with a value that it can have: an address may say anything.
function fits(name, value) {
  if (!value || !isFilter(name)) return false;
  if (name === "show") return SHOW.includes(value);
  if (name === "mark") return MARKED.includes(value);
  if (name === "sample") return /^\d{1,9}\.\d{1,9}$/.test(value);
  if (name === "region") return /^-?\d+--?\d+x-?\d+--?\d+$/.test(value);
  if (filterOf(name).kind === "choice") return true;
  const ends = value.split(BETWEEN);
  return ends.length === 2 && ends.some(Boolean) && ends.every((end) => Number.isFinite(Number(end)));
}

function openFilters() {
  const { problems, dropped, ids } = list.index;
  const classes = { problems, dropped, waiting: ids.length - problems - dropped, all: 1 };
  const [near, far] = [true, false].map((inSight) =>
    summary.filters.filter((one) => one.in_sight === inSight).map(control),
  );
  byId("choices").append(
    choice(
      "show",
      SHOW.filter((name) => classes[name]),
      (value) => say(`show_${value}`),
    ),
    ...near,
    choice("mark", ["", ...MARKED], (value) => say(value || "any")),
    button("", () => unfoldMore(), { id: "more", "aria-expanded": "false", "aria-controls": "others" }),
    make("div", { id: "others", hidden: true }, ...far),
    make(
      "label",
      { class: "range" },
      make("span", {}, say("sample")),
      make("input", { type: "number", id: "sample", min: 1, step: 1, placeholder: "n" }),
      button(say("pick"), pickSample, { id: "pick" }),
    ),
    button(say("export_ids"), exportIds, { id: "export-ids" }),
  );
  byId("more").hidden = !far.length;
  byId("choices").addEventListener("input", (event) => {
    const name = event.target.closest("[data-filter]")?.dataset.filter;
    if (name) setFilter(name, controlled(name));
  });
  byId("sample").addEventListener("keydown", (event) => event.key === "Enter" && pickSample());
}

function unfoldMore(open = byId("others").hidden) {
  byId("others").hidden = !open;
  byId("more").setAttribute("aria-expanded", String(open));
}

const valueName = (name, value) =>
  name === "domain" ? domainName(value) : name === "show" ? say(`show_${value}`) : word(value);
// Words of the page; anything else is a value of the build, which stays as it is.
const word = (value) => (["yes", "no", ...MARKED].includes(value) ? say(value) : value);
const filterName = (name) =>
  name.startsWith("candidates.")
    ? say("any_candidate", { column: say(`column_${name.slice(11)}`) })
    : (summary.words[`column_${name}`] ?? name);

function control(filter) {
  return filter.kind === "range"
    ? range(filter)
    : choice(filter.name, ["", ...filter.values], (value) =>
        value === "" ? say("any") : valueName(filter.name, value),
      );
}

function choice(name, values, named) {
  const select = make(
    "select",
    { id: `by-${name}` },
    ...values.map((one) => make("option", { value: one }, named(one))),
  );
  return make("label", { "data-filter": name }, make("span", {}, filterName(name)), select);
}

function range({ name, low, high }) {
  const end = (which, value) =>
    make("input", {
      type: "number",
      step: "any",
      id: `${which}-${name}`,
      "aria-label": `${filterName(name)} ${say(which)}`,
      placeholder: short(value),
    });
  return make(
    "label",
    { class: "range", "data-filter": name },
    make("span", {}, filterName(name)),
    end("least", low),
    end("most", high),
  );
}

function controlled(name) {
  if (byId(`by-${name}`)) return byId(`by-${name}`).value;
  const ends = ["least", "most"].map((which) => byId(`${which}-${name}`).value);
  return ends.some(Boolean) ? ends.join(BETWEEN) : "";
}

// Show in the controls what is wanted.
function fillControls() {
  for (const element of byId("choices").querySelectorAll("[data-filter]")) {
    const name = element.dataset.filter;
    const value = want.filters[name] ?? (name === "show" ? usual() : "");
    if (byId(`by-${name}`)) {
      if (byId(`by-${name}`).value !== value) byId(`by-${name}`).value = value;
    } else {
      const ends = value ? value.split(BETWEEN) : ["", ""];
      ["least", "most"].forEach((which, at) => {
        const input = byId(`${which}-${name}`);
        // A number that is being typed, such as "0.", stays as it is.
        if (input.value !== ends[at] && input !== document.activeElement) input.value = ends[at];
      });
    }
  }
  const hidden = summary.filters.filter((one) => !one.in_sight && want.filters[one.name]).length;
  byId("more").textContent = hidden ? say("more_filters_set", { n: count(hidden) }) : say("more_filters");
  const chips = Object.entries(want.filters).map(([name, value]) =>
    button(`${chipText(name, value)} ×`, () => setFilter(name, ""), {
      class: "chip",
      title: say("take_away"),
      "data-chip": name,
    }),
  );
  byId("active").replaceChildren(...chips);
}

function chipText(name, value) {
  if (name === "sample") return say("sample_of", { n: count(Number(value.split(".")[0])) });
  if (name === "region") return say("region");
  if (filterOf(name)?.kind !== "range") return `${filterName(name)}: ${valueName(name, value)}`;
  const [least, most] = value.split(BETWEEN);
  const ends = [least && `≥ ${least}`, most && `≤ ${most}`].filter(Boolean);
  return `${filterName(name)} ${ends.join(", ")}`;
}

function setFilter(name, value) {
  if (value && !(name === "show" && value === usual())) want.filters[name] = value;
  else delete want.filters[name];
  return changed();
}

// Show the rows of these filters alone, without the others that are set.
function show(filters) {
  want.filters = Object.fromEntries(
    Object.entries(filters).filter(
      ([name, value]) => fits(name, value) && !(name === "show" && value === usual()),
    ),
  );
  byId("search").value = "";
  search.forget();
  list.hits = null;
  view("rows");
  return changed();
}

function changed() {
  return listAnew().then(writeAddress);
}

// A random sample of the rows that pass all other filters, the same ones for the same address.
function pickSample() {
  const size = Math.floor(byId("sample").valueAsNumber);
  if (size > 0) setFilter("sample", `${size}.${Math.floor(Math.random() * 1e9)}`);
}

function sampled(rows, value) {
  const [size, seed] = value.split(".").map(Number);
  const dice = diceOf(seed);
  const left = [...rows];
  const taken = Math.min(size, left.length);
  for (let at = 0; at < taken; at++) {
    const other = at + Math.floor(dice() * (left.length - at));
    [left[at], left[other]] = [left[other], left[at]];
  }
  return left.slice(0, taken);
}

// Equal numbers in [0, 1) for equal seeds: a linear congruential generator of 48 bits in two halves.
function diceOf(seed) {
  let state = (BigInt(seed) * 0x5deece66dn + 0xbn) & 0xffffffffffffn;
  return () => {
    state = (state * 0x5deece66dn + 0xbn) & 0xffffffffffffn;
    return Number(state >> 16n) / 2 ** 32;
  };
}

function exportIds() {
  save(
    list.shown.map((row) => `${JSON.stringify({ id: list.index.ids[row] })}\n`),
    "ids.jsonl",
  );
}

const within = (value, test) => (Array.isArray(value) ? value.some(test) : test(value));

// Of each filter that is set, whether a row passes it.
async function tests() {
  const { problems, dropped, ids } = list.index;
  const wanted = want.filters.show ?? usual();
  const found = [];
  if (wanted === "problems") found.push((row) => row < problems);
  if (wanted === "dropped") found.push((row) => row >= problems && row < problems + dropped);
  if (wanted === "waiting") found.push((row) => row >= problems + dropped);
  for (const [name, value] of Object.entries(want.filters)) {
    if (name === "mark") found.push((row) => isMarked(ids[row], value));
    if (name === "region") found.push(await regionTest(value));
    if (!filterOf(name)) continue;
    const { values, codes } = await column(name);
    if (filterOf(name).kind === "choice") {
      const code = codes.indexOf(value);
      found.push((row) => within(values[row], (one) => one === code));
    } else {
      const [least, most] = value.split(BETWEEN).map((end) => (end === "" ? NaN : Number(end)));
      const test = (one) => typeof one === "number" && !(one < least) && !(one > most);
      found.push((row) => within(values[row], test));
    }
  }
  if (list.hits) found.push((row) => list.hits[row] === 1);
  return found;
}
