// The candidates of a problem, and its answers with tools: each a card with its text.
// Not here: the problem and its published answer (detail.js).

// Cards beside each other, which scroll sideways where they are many.
const beside = (title, cards) =>
  make("div", { class: "candidates", tabindex: "0", role: "region", "aria-label": title }, ...cards);

// Chosen beside rejected, and the others on demand; without a pair, all of them.
function candidates(details, title, spoken) {
  const all = details.candidates.map((one, at) => [one, at]);
  const shown = ([one, at]) => candidate(one, at, details, spoken);
  const chosen = all.find(([, at]) => at === details.chosen_index);
  const rejected = all.find(([one, at]) => at === details.rejected_index || one.smaller);
  if (!chosen || !rejected) return [beside(title, all.map(shown))];
  const pair = [chosen, rejected];
  const tokens = pair.map(([one]) => tokensOf(one.text ?? ""));
  const flags = differing(...tokens);
  const others = all.filter((one) => !pair.includes(one));
  const folded = make(
    "details",
    { class: "others" },
    make("summary", {}, say("other_candidates", { n: others.length })),
  );
  folded.addEventListener(
    "toggle",
    async () => {
      const waiting = [];
      const later = (value) => {
        const element = make("div", { class: "spoken" });
        waiting.push(() => write(element, value));
        return element;
      };
      const made = others.map(([one, at]) => candidate(one, at, details, later));
      folded.append(make("div", { class: "candidates" }, ...made));
      for (const render of waiting) await render();
      highlight(byId("detail"));
    },
    { once: true },
  );
  return [
    flags
      ? button(say("differences"), turnDifferences, {
          class: "plain differences",
          "aria-pressed": String(!byId("rows").classList.contains("unmarked")),
        })
      : make("p", { class: "quiet" }, say("too_long_to_compare")),
    make(
      "div",
      { class: "pair" },
      ...pair.map(([one, at], side) =>
        candidate(one, at, details, (value) =>
          value === one.text ? spoken(value, tokens[side], flags?.[side]) : spoken(value),
        ),
      ),
    ),
    others.length ? folded : null,
  ];
}

function candidate(one, at, details, spoken) {
  const compared = { true: say("agrees"), false: say("differs") }; // of a smaller model's answer
  const isRejected = at === details.rejected_index || one.smaller;
  const role = at === details.chosen_index ? "chosen" : isRejected ? "rejected" : null;
  const majority = { true: say("in_majority"), false: say("not_in_majority") }[one.in_majority];
  const head = make(
    "h4",
    {},
    one.smaller ? say("smaller_model") : say("candidate", { n: at + 1 }),
    role && make("span", { class: `badge ${role}` }, say(role)),
    majority && make("span", { class: "badge plain-badge" }, majority),
    one.answer_rank && make("span", { class: "badge plain-badge" }, say("sft_row", { n: one.answer_rank })),
  );
  const more = [
    ["objectives", one.objectives],
    ["gate", one.gate],
  ].filter(([, values]) => values?.length);
  return make(
    "section",
    { class: `candidate ${role ?? ""}`, "data-candidate": at },
    head,
    chips([
      ["score", one.score === undefined ? (one.score_reason ?? NONE) : decimal(one.score, 3)],
      ["answer", one.smaller ? compared[one.agrees] : (one.answer ?? NONE)],
      ["answer_cluster", one.answer_cluster],
      ["tokens", count(one.num_tokens)],
    ]),
    one.text === undefined
      ? make(
          "p",
          { class: "note" },
          say("incomplete_candidate", {
            reason: one.reason ?? "",
            meaning: summary.meanings[one.reason] ?? "",
          }),
        )
      : null,
    thought(one, spoken),
    one.text === undefined ? null : spoken(one.text),
    ...more.map(([name, values]) =>
      make("p", { class: "quiet code" }, `${name}: ${values.map((value) => decimal(value, 3)).join(", ")}`),
    ),
  );
}

// Answers in which programs ran: the rows of `<domain>_tir`.
function toolAnswers(details, spoken) {
  if (!details.tools) return null;
  const title = say("tools_title", { n: details.tools.length });
  const cards = details.tools.map((one) =>
    make(
      "section",
      { class: "candidate" },
      make("h4", {}, say("tool_answer", { n: one.answer_rank })),
      chips([
        ["runs", count(one.runs)],
        ["tokens", count(one.num_tokens)],
      ]),
      thought(one, spoken),
      spoken(one.text),
    ),
  );
  return make("section", { class: "tools" }, make("h3", {}, title), beside(title, cards));
}

// The model's thinking, folded; it is typeset when it is unfolded.
function thought(details, spoken) {
  if (!details.thinking?.length) return null;
  const length =
    typeof details.thinking === "string"
      ? details.thinking.length
      : details.thinking[0].length + details.thinking[1] + details.thinking[2].length;
  const body = make("div", { class: "spoken" });
  const folded = make(
    "details",
    { class: "thinking" },
    make("summary", {}, say("thinking", { n: count(length) })),
    body,
  );
  folded.addEventListener(
    "toggle",
    () =>
      folded.open &&
      !body.hasChildNodes() &&
      write(body, details.thinking).then(() => highlight(byId("detail"))),
  );
  return folded;
}
