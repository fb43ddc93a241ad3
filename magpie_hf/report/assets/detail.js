// The details of one row: problem, answer, candidates, how it was made.
// Not here: which row.

let opened = 0; // counts openings: a row that is left while it renders sees the change and stops

async function openRow(row, focus) {
  const turn = ++opened;
  const alive = () => turn === opened;
  list.chosen = row;
  reveal(row);
  const { texts_rows: size, details_rows: few } = summary.blocks;
  const [texts, rows] = await Promise.all([
    block(`texts-${Math.floor(row / size)}`),
    block(`details-${Math.floor(row / few)}`),
  ]);
  if (!alive()) return;
  const [problem, details] = [texts[row % size], rows[row % few]];
  const article = byId("detail");
  const waiting = [];
  const spoken = (value, tokens = null, flags = []) => {
    const element = make("div", { class: "spoken" });
    waiting.push(() => (tokens ? writeTokens(element, tokens, flags, alive) : write(element, value, alive)));
    return element;
  };
  const parts = isProblem(row) ? accepted(row, details, spoken) : sample(row, details, spoken);
  article.replaceChildren(
    heading(row),
    copying(row, problem, details),
    marking(list.index.ids[row]),
    make("section", { class: "problem" }, spoken(problem)),
    ...parts.filter(Boolean),
  );
  article.scrollTop = 0;
  byId("rows").classList.add("reading");
  byId("rows").dataset.rendered = "";
  if (focus) article.focus({ preventScroll: true });
  for (const render of waiting) {
    await render();
    if (!alive()) return;
  }
  highlight(article);
  byId("rows").dataset.rendered = row;
}

// Show no row.
function leaveRow() {
  opened += 1;
  list.chosen = null;
  byId("detail").replaceChildren();
  byId("rows").classList.remove("reading");
  renderList();
}

function closeRow() {
  byId("rows").classList.remove("reading");
  byId("scroll").focus({ preventScroll: true });
}

function heading(row) {
  const id = list.index.ids[row];
  const step = (places, sign, key) =>
    make(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-label": say(key),
        title: say(key),
        onclick: () => move(places),
      },
      sign,
    );
  return make(
    "header",
    {},
    make("button", { type: "button", class: "plain back", onclick: closeRow }, `← ${say("back")}`),
    make("h2", { class: "code" }, id),
    make("span", { class: "spring" }),
    step(-1, "↑", "previous"),
    step(1, "↓", "next"),
  );
}

function chips(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make(
    "dl",
    { class: "chips" },
    ...known.map(([key, value]) =>
      make("div", {}, make("dt", {}, say(key)), make("dd", { dir: "auto" }, ...plainText(String(value)))),
    ),
  );
}

function opinion(verdict, answer) {
  if (!verdict) return null;
  const word = { agrees: say("agrees"), differs: say("differs"), none: say("no_opinion") }[verdict];
  return answer ? `${word} (${answer})` : word;
}

const known = ({ nearest_known: row, known_similarity: similarity }) =>
  row == null ? null : say("of_known", { row, similarity: decimal(similarity, 2) });

// The pass rate of a problem, and that of the easier one that it was made of.
function passed({ pass_rate: rate, pass_votes: votes, pass_rate_before: before }) {
  return [
    ["pass_rate", rate == null ? null : say("of_answers", { share: share(rate), n: votes })],
    ["pass_rate_before", before == null ? null : share(before)],
  ];
}

const easier = ({ parent }, spoken) =>
  parent ? make("section", {}, make("h3", {}, say("parent")), spoken(parent)) : null;

const labels = (details) => Object.entries(details.tags ?? {}).map(([name, value]) => [`tag_${name}`, value]);

function accepted(row, details, spoken) {
  const votes = listed("majority_share", row);
  const checked = { majority: say("agrees"), minority: say("differs"), "no vote": say("no_vote") };
  const title = say("candidates_title", { n: details.candidates.filter((one) => !one.smaller).length });
  const pair = details.pair_kind
    ? say("pair_of", { kind: details.pair_kind, score_gap: decimal(listed("score_gap", row), 3) })
    : say("no_pair_because", {
        reason: details.pair_reason,
        meaning: summary.meanings[details.pair_reason] ?? "",
      });
  return [
    chips([
      ["domain", domainName(listed("domain", row))],
      ["side", listed("side", row)],
      ["topic", details.topic],
      ["persona", details.persona],
      ["language", details.language],
      ...labels(details),
    ]),
    easier(details, spoken),
    details.text === undefined
      ? make(
          "p",
          { class: "note" },
          say("no_solution", {
            reason: details.solution_reason ?? "",
            meaning: summary.meanings[details.solution_reason] ?? "",
          }),
        )
      : make(
          "section",
          { class: "solution" },
          make("h3", {}, say("solution")),
          chips([
            ["answer", details.answer],
            ["majority", checked[details.answer_checked]],
            ["tokens", count(details.solution_tokens)],
            ["funnel_sft", count(details.answer_count)],
          ]),
          thought(details, spoken),
          spoken(details.text),
        ),
    make(
      "section",
      {},
      make("h3", {}, title),
      chips([
        ["majority_answer", details.majority_answer ?? NONE],
        [
          "majority_share",
          votes === null ? NONE : say("of_votes", { share: share(votes), n: listed("answer_votes", row) }),
        ],
        ["answer_kind", details.answer_kind],
        ["unknown_pairs", details.unknown_pairs || null],
        ["checker", opinion(details.checked, details.checker_answer)],
        ["objections", details.objections],
        ...passed(details),
        [details.known_same ? "known" : "near_known", known(details)],
        ["programs", opinion(details.program_agrees, details.program_answer)],
        ["pair", pair],
      ]),
      ...candidates(details, title, spoken),
    ),
    toolAnswers(details, spoken),
    ownColumns(details),
    made(details.generation),
  ];
}

// A sample that is no problem of the build: it was dropped, or waits.
function sample(row, details, spoken) {
  const reason = listed("reason", row);
  const original = details.near_duplicate ? list.index.ids.indexOf(details.near_duplicate) : -1;
  return [
    reason === null
      ? make("p", { class: "note" }, say("waiting_about"))
      : make("p", { class: "note gone" }, make("strong", {}, reason), ` – ${summary.meanings[reason] ?? ""}`),
    chips([
      ["domain", domainName(listed("domain", row))],
      ["language", details.language],
      ["finish_reason", details.raw_finish_reason],
      ["contaminated_by", details.contaminated_by],
      ...passed(details),
      ...labels(details),
    ]),
    easier(details, spoken),
    details.near_duplicate
      ? make(
          "p",
          {},
          `${say("near_duplicate_of")} `,
          original < 0
            ? make("span", { class: "code" }, details.near_duplicate)
            : make(
                "button",
                {
                  type: "button",
                  class: "link code",
                  onclick: () => openRow(original, true).then(writeAddress),
                },
                details.near_duplicate,
              ),
        )
      : null,
    details.raw ? make("section", {}, make("h3", {}, say("raw")), spoken(details.raw)) : null,
  ];
}

// Columns that stages of the user's own made, each with its type and what it means.
function ownColumns(details) {
  const rows = summary.own
    .filter(({ name }) => details[name] !== undefined)
    .map(({ name, type, means }) => {
      const value = details[name];
      const shown = value === null ? NONE : typeof value === "string" ? value : JSON.stringify(value);
      return make(
        "tr",
        {},
        make("th", { scope: "row", class: "code" }, name),
        make("td", { dir: "auto" }, ...plainText(shown)),
        make("td", { class: "quiet", dir: "auto" }, `${type}; `, ...plainText(means)),
      );
    });
  return rows.length ? make("table", { class: "own" }, ...rows) : null;
}

function made(generation) {
  if (!generation) return null;
  const rows = Object.entries(generation)
    .filter(([, value]) => value !== null)
    .map(([name, value]) =>
      make(
        "tr",
        {},
        make("th", { scope: "row", class: "code" }, name),
        make("td", {}, ...plainText(String(value))),
      ),
    );
  return make(
    "details",
    { class: "table" },
    make("summary", {}, say("generation")),
    make("table", {}, ...rows),
  );
}

// Highlight what was searched without changing the elements.
async function highlight(article) {
  if (!globalThis.CSS?.highlights) return;
  CSS.highlights.delete("found");
  const { text, regexp } = searched();
  if (!text || (regexp && !isPattern(text))) return;
  const nodes = [];
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) nodes.push(node);
  const texts = nodes.map((node) => node.data);
  const places = regexp ? await search.spots(text, texts) : plainSpots(text.toLowerCase(), texts);
  const ranges = places.map(([number, from, to]) => {
    const found = new Range();
    found.setStart(nodes[number], Math.min(from, nodes[number].length));
    found.setEnd(nodes[number], Math.min(to, nodes[number].length));
    return found;
  });
  CSS.highlights.set("found", new Highlight(...ranges));
}

function plainSpots(wanted, texts) {
  const found = [];
  for (const [number, whole] of texts.entries()) {
    const text = whole.toLowerCase();
    // Some letters change length with case.
    if (text.length !== whole.length || found.length > 1000) continue;
    for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length))
      found.push([number, at, at + wanted.length]);
  }
  return found;
}
