// What a reader says of rows: good, bad or a note; kept in the browser, exported and imported as JSON lines.
// Not here: the texts of the rows.

const VALUES = ["good", "bad"];
const WITHDRAWN = "withdrawn";
const MARKED = [...VALUES, "noted", "unmarked", "sheet"];
const LINE = ["id", "mark", "note", "by", "at"];

const marks = {
  // By id: { mark, note, by, at }, made or imported here; without mark and note it takes back the build's.
  own: {},
  sheet: [], // the ids of the file that was imported last
  safe: true, // whether the browser keeps them
};
const shelf = () => `magpie_hf ${summary.build}`;

function openMarks() {
  const read = () => {
    try {
      const { own = {}, sheet = [] } = JSON.parse(localStorage.getItem(shelf()) ?? "{}");
      Object.assign(marks, { own, sheet });
    } catch {
      marks.safe = false;
    }
  };
  read();
  // Another window of the same report.
  addEventListener("storage", (event) => {
    if (event.key !== shelf()) return;
    read();
    showMarks();
  });
  byId("choices").append(
    make("output", { id: "marked", "aria-live": "polite" }),
    button(say("export"), exportMarks, { id: "export" }),
    button(say("import"), () => file.click(), { id: "import" }),
  );
  const file = make("input", { type: "file", id: "file", hidden: true, accept: ".jsonl,.json,.txt" });
  file.addEventListener("input", async (event) => {
    event.stopPropagation();
    if (file.files[0]) await importMarks(file.files[0]);
    file.value = "";
  });
  byId("choices").append(file);
  showMarks();
}

// The mark of a row: that of this browser, or a later one that the build has taken.
function markOf(id) {
  const [own, kept] = [marks.own[id], summary.marks[id]];
  const one = own && kept && own.at < (kept.at ?? "") ? kept : (own ?? kept);
  return one?.mark || one?.note ? one : null;
}

function setMark(id, change) {
  const { mark = null, note = "" } = markOf(id) ?? {};
  const made = { mark, note, ...change, at: new Date().toISOString() };
  if (made.mark || made.note || summary.marks[id]) marks.own[id] = made;
  else delete marks.own[id];
  keepMarks();
}

function keepMarks() {
  try {
    localStorage.setItem(shelf(), JSON.stringify({ own: marks.own, sheet: marks.sheet }));
    marks.safe = true;
  } catch {
    marks.safe = false;
  }
  showMarks();
}

function showMarks(complaint = "") {
  const all = markedIds().map(markOf);
  const known = knownIds();
  const gone = Object.keys(marks.own).filter((id) => !known.has(id)).length;
  const counted = (value) => count(all.filter((one) => one.mark === value).length);
  byId("marked").replaceChildren(
    complaint
      ? make("span", { class: "note" }, complaint)
      : say("marked", { n: count(all.length), good: counted("good"), bad: counted("bad") }),
    !complaint && gone ? make("span", { class: "note" }, say("gone", { n: count(gone) })) : "",
    !complaint && !marks.safe ? make("span", { class: "note" }, say("not_kept")) : "",
  );
  renderList();
  showPrecision();
}

// The rows that the build can take marks of: a row may have left it since it was marked here.
const knownIds = () => new Set([...list.index.ids, ...Object.keys(summary.marks)]);
const markedIds = () => {
  const known = knownIds();
  const all = new Set([...Object.keys(summary.marks), ...Object.keys(marks.own)]);
  return [...all].filter((id) => known.has(id) && markOf(id));
};

function isMarked(id, value) {
  if (value === "sheet") return marks.sheet.includes(id);
  const one = markOf(id);
  return value === "unmarked" ? !one : value === "noted" ? Boolean(one?.note) : one?.mark === value;
}

// The buttons and the note of the open row.
function marking(id) {
  const buttons = VALUES.map((value) =>
    make("button", { type: "button", class: `plain ${value}`, onclick: () => toggle(value) }, say(value)),
  );
  const name = say("note");
  const note = make("textarea", { rows: 2, "aria-label": name, placeholder: name, dir: "auto" });
  const element = make(
    "div",
    { class: "marking", id: "marking" },
    ...buttons,
    make("button", { type: "button", class: "plain", onclick: () => ask() }, name),
    note,
  );
  const render = () => {
    const one = markOf(id);
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(one?.mark === VALUES[at])));
    note.hidden = !one?.note && document.activeElement !== note;
  };
  const toggle = (value) => {
    setMark(id, { mark: markOf(id)?.mark === value ? null : value });
    render();
  };
  const ask = () => {
    note.hidden = false;
    note.focus();
  };
  note.value = markOf(id)?.note ?? "";
  note.addEventListener("input", () => setMark(id, { note: note.value.trim() }));
  note.addEventListener("blur", render);
  render();
  return Object.assign(element, { toggle, ask });
}

function exportMarks() {
  const withdrawn = Object.keys(summary.marks).filter((id) => summary.marks[id].mark && !markOf(id)?.mark);
  const lines = [...new Set([...markedIds(), ...withdrawn])].map((id) => {
    const { mark, note, by, at } = markOf(id) ?? marks.own[id];
    const said = withdrawn.includes(id) ? WITHDRAWN : mark;
    return `${JSON.stringify({ id, mark: said, note, ...(by && { by }), ...(at && { at }) })}\n`;
  });
  save(lines, "marks.jsonl");
}

// All marks of a file, or none of them.
async function importMarks(file) {
  const found = [];
  const known = knownIds();
  for (const [at, line] of (await file.text()).split("\n").entries()) {
    if (!line.trim()) continue;
    const one = parsedMark(line);
    if (!one || !known.has(one.id)) {
      return showMarks(say(one ? "unknown_row" : "bad_line", { file: file.name, line: at + 1 }));
    }
    found.push(one);
  }
  const now = new Date().toISOString();
  for (const { id, mark, note, by, at } of found)
    if (mark || note)
      marks.own[id] = { mark: mark === WITHDRAWN ? null : mark || null, note: note ?? "", by, at: at ?? now };
  marks.sheet = found.map((one) => one.id);
  keepMarks();
  if (found.some((one) => !one.mark && !one.note)) setFilter("mark", "sheet");
  else listAnew();
}

function parsedMark(line) {
  try {
    const one = JSON.parse(line);
    const texts = LINE.every((name) => ["string", "undefined"].includes(typeof (one[name] ?? undefined)));
    return texts && one.id !== undefined && ["", ...VALUES, WITHDRAWN].includes(one.mark ?? "") ? one : null;
  } catch {
    return null;
  }
}

// What the build says of a row: of one that it has taken, what it said then.
function labelsOf(id, row) {
  if (summary.marks[id]) return summary.marks[id];
  return {
    domain: listed("domain", row),
    majority_share: listed("majority_share", row),
    pair: listed("kind", row) ?? `none: ${listed("reason", row)}`,
    dropped: isDropped(row) ? listed("reason", row) : null,
  };
}

// [group, name, right, read] of the marked rows, as review/precision.py counts them.
function precision() {
  const found = { all: {}, domain: {}, majority_share: {}, pair: {}, dropped: {} };
  const rows = new Map(list.index.ids.map((id, row) => [id, row]));
  for (const id of markedIds().filter((one) => markOf(one).mark)) {
    const { domain, majority_share: votes, pair, dropped: reason } = labelsOf(id, rows.get(id));
    const level = votes === null ? summary.no_vote : summary.levels.find(([least]) => votes >= least)[1];
    const accepted = reason === null || reason === summary.reviewed; // it was, before a mark dropped it
    const places =
      reason === null
        ? { all: "", domain, majority_share: level, pair }
        : accepted
          ? { all: "", domain }
          : { dropped: reason };
    for (const [group, name] of Object.entries(places)) {
      const share = (found[group][name] ??= { right: 0, read: 0 });
      share.read += 1;
      share.right += markOf(id).mark === (accepted ? "good" : "bad") ? 1 : 0;
    }
  }
  return Object.entries(found).flatMap(([group, names]) =>
    Object.keys(names)
      .sort()
      .map((name) => [group, name, names[name].right, names[name].read]),
  );
}

// Wilson's interval of 95 %.
function interval(right, read) {
  const [part, spread] = [right / read, summary.z ** 2 / read];
  const half = summary.z * Math.sqrt((part * (1 - part)) / read + spread / (4 * read));
  const end = (sign) => (part + spread / 2 + sign * half) / (1 + spread);
  return [Math.max(0, end(-1)), Math.min(1, end(1))];
}

function showPrecision() {
  const exact = (value) => `${(value * 100).toFixed(1)} %`;
  const rows = precision().map(([group, name, right, read]) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, say(`group_${group}`)),
      make("td", {}, group === "domain" ? domainName(name) : name),
      ...[count(read), count(right), exact(right / read), interval(right, read).map(exact).join(" – ")].map(
        (text) => make("td", { class: "number" }, text),
      ),
    ),
  );
  const head = ["rows", "", "read", "right", "share", "interval"].map((key) => (key ? say(key) : ""));
  byId("precision").replaceChildren(
    rows.length
      ? section(
          "precision",
          say("precision_about"),
          scrolling(make("table", {}, headOf(head), make("tbody", {}, ...rows))),
        )
      : "",
  );
}
