// The first view: what became of the samples, in tables and charts.
// Not here: the rows themselves.

const FUNNEL = [
  "sampled",
  "dropped",
  "moved_away",
  "moved_here",
  "problems",
  "answered",
  "sft",
  "candidates",
  "complete",
  "scored",
  "pairs",
];
// The rows that a count of the funnel stands for.
const COUNTED = {
  dropped: { show: "dropped" },
  problems: { show: "problems" },
  answered: { answered: "yes" },
  pairs: { pair: "yes" },
};
// The filter of the reasons of each step.
const REASONS = {
  samples: "reason",
  answers: "solution_reason",
  candidates: "candidates.reason",
  scores: "candidates.score_reason",
  pairs: "reason",
};

function overview() {
  const page = byId("overview");
  const totals = (name) => summary.funnels.reduce((sum, funnel) => sum + funnel[name], 0);
  const sums = [
    ["problems", totals("problems")],
    ["sft", totals("sft")],
    ["pairs", totals("pairs")],
    ["sampled", totals("sampled")],
  ];
  page.append(
    make(
      "p",
      { class: "state" },
      summary.state,
      ...summary.notes.map((note) => make("span", { class: "note" }, note)),
    ),
    make(
      "dl",
      { class: "totals" },
      ...sums.map(([name, value]) =>
        make("div", {}, make("dt", {}, say(`total_${name}`)), make("dd", {}, count(value))),
      ),
    ),
    make("div", { id: "precision" }),
    section("funnel", say("funnel_about"), scrolling(funnelTable(totals))),
    section("left_out_title", say("left_out_about"), scrolling(reasonTable())),
    distributions(),
    summary.map ? mapSection() : "",
    section(
      "throughput",
      null,
      summary.speed ? throughput(summary.speed) : make("p", { class: "quiet" }, say("no_speed")),
    ),
    section("making", null, ...summary.making.map(factTable)),
  );
}

function section(key, about, ...children) {
  return make(
    "section",
    {},
    make("h2", {}, say(key)),
    about ? make("p", { class: "quiet" }, about) : null,
    ...children,
  );
}

const scrolling = (table) => make("div", { class: "scrolling", tabindex: "0", role: "region" }, table);
const headOf = (texts, isNumber = (at) => at > 0) =>
  make(
    "thead",
    {},
    make(
      "tr",
      {},
      ...texts.map((text, at) => make("th", { scope: "col", class: isNumber(at) ? "number" : null }, text)),
    ),
  );

// Text, or a button that shows the rows of these filters.
const choosing = (text, filters) =>
  filters ? make("button", { type: "button", class: "link", onclick: () => show(filters) }, text) : text;

function meter(value, whole, filters = null) {
  const cell = make("td", { class: "number meter" }, choosing(count(value), value ? filters : null));
  cell.style.setProperty("--share", `${whole ? Math.min(100, (value / whole) * 100) : 0}%`);
  return cell;
}

function funnelTable(totals) {
  const columns = FUNNEL.filter((name) => !name.startsWith("moved") || totals(name));
  const tagged = summary.funnels.some((funnel) => funnel.on_domain !== null);
  const head = [
    say("domain"),
    ...columns.map((name) => say(`funnel_${name}`)),
    say("yield"),
    ...(tagged ? [say("on_domain")] : []),
    say("mean_majority_share"),
    say("longer"),
  ];
  const whole = (funnel, name) =>
    ["complete", "scored", "candidates"].includes(name)
      ? funnel.candidates
      : ["answered", "sft", "pairs"].includes(name)
        ? funnel.problems
        : funnel.sampled;
  const row = (funnel, name) =>
    make(
      "tr",
      {},
      make("th", { scope: "row" }, name),
      ...columns.map((column) =>
        meter(
          funnel[column],
          whole(funnel, column),
          COUNTED[column] && { ...COUNTED[column], domain: funnel.domain },
        ),
      ),
      make("td", { class: "number" }, funnel.sampled ? share(funnel.problems / funnel.sampled) : NONE),
      ...(tagged ? [make("td", { class: "number" }, share(funnel.on_domain))] : []),
      make("td", { class: "number" }, decimal(funnel.majority_share)),
      make("td", { class: "number" }, share(funnel.longer)),
    );
  // The mean of the domains' shares, each by the number of rows that it is a share of.
  const mean = (name, by) => {
    const known = summary.funnels.filter((one) => one[name] !== null && one[by]);
    const size = known.reduce((sum, one) => sum + one[by], 0);
    return size ? known.reduce((sum, one) => sum + one[name] * one[by], 0) / size : null;
  };
  const all = {
    ...Object.fromEntries(FUNNEL.map((name) => [name, totals(name)])),
    on_domain: mean("on_domain", "tagged"),
    majority_share: mean("majority_share", "majorities"),
    longer: mean("longer", "pairs"),
  };
  const rows = summary.funnels.map((funnel) => row(funnel, domainName(funnel.domain)));
  return make(
    "table",
    {},
    headOf(head),
    make("tbody", {}, ...rows),
    summary.funnels.length > 1 ? make("tfoot", {}, row(all, say("all"))) : null,
  );
}

function reasonTable() {
  const domains = summary.funnels.map((funnel) => funnel.domain);
  const sum = (counts) => Object.values(counts).reduce((total, value) => total + value, 0);
  const most = {};
  const sumRows = new Map();
  for (const { step, counts } of summary.reasons) most[step] = Math.max(most[step] ?? 0, sum(counts));
  const head = [say("step"), say("reason"), say("meaning"), say("all"), ...domains.map(domainName)];
  const rows = summary.reasons.map(({ step, reason, counts }) => {
    const filters = (domain) =>
      filterOf(REASONS[step]) && {
        [REASONS[step]]: reason,
        domain,
        show: step === "samples" ? "dropped" : "problems",
      };
    return make(
      "tr",
      {},
      make("td", { class: "quiet" }, say(`step_${step}`)),
      make("td", { class: "code" }, choosing(reason, filters(""))),
      make("td", { class: "quiet wide" }, summary.meanings[reason] ?? ""),
      meter(sum(counts), most[step], filters("")),
      ...domains.map((domain) =>
        make(
          "td",
          { class: "number" },
          counts[domain] ? choosing(count(counts[domain]), filters(domain)) : NONE,
        ),
      ),
    );
  });
  // The sum of each step of several reasons, below them.
  for (const step of Object.keys(most)) {
    const mine = summary.reasons.filter((one) => one.step === step);
    if (mine.length < 2) continue;
    const of = (domain) => mine.reduce((total, one) => total + (one.counts[domain] ?? 0), 0);
    const sums = domains.map(of);
    const row = make(
      "tr",
      { class: "sum" },
      make("td", { class: "quiet" }, say(`step_${step}`)),
      make("td", { colspan: 2 }, say("all")),
      ...[sums.reduce((total, value) => total + value, 0), ...sums].map((value) =>
        make("td", { class: "number" }, count(value)),
      ),
    );
    sumRows.set(mine.at(-1), row);
  }
  const body = summary.reasons.flatMap((one, at) => [rows[at], sumRows.get(one)].filter(Boolean));
  const heads = headOf(head, (at) => at > 2);
  return rows.length
    ? make("table", {}, heads, make("tbody", {}, ...body))
    : make("p", { class: "quiet" }, say("nothing_left_out"));
}

function distributions() {
  const [spread, named] = [make("div", { class: "charts" }), make("div", { class: "charts named" })];
  const render = (domain) => {
    spread.replaceChildren(
      ...summary.charts.filter((chart) => chart.edges).map((chart) => histogram(chart, domain)),
    );
    named.replaceChildren(
      ...summary.charts
        .filter((chart) => chart.values)
        .map((chart) => bars(chart, domain)),
    );
  };
  const select = make(
    "select",
    { "aria-label": say("domain") },
    make("option", { value: "" }, say("all_domains")),
    ...summary.funnels.map(({ domain }) => make("option", { value: domain }, domainName(domain))),
  );
  select.addEventListener("change", () => render(select.value));
  render("");
  const made = section("distributions", null, spread, named);
  made.querySelector("h2").append(select);
  return made;
}

const NUMBER = /^(–|\d[\d,]*(\.\d+)?( ?%)?)$/;

function factTable({ title, head, rows }) {
  const numbers = head.map((_, at) => at > 0 && rows.every((row) => NUMBER.test(row[at])));
  const body = make(
    "tbody",
    {},
    ...rows.map((row) =>
      make(
        "tr",
        {},
        ...row.map((cell, at) =>
          make(
            at ? "td" : "th",
            { scope: at ? null : "row", dir: "auto", class: numbers[at] ? "number" : null },
            ...plainText(String(cell)),
          ),
        ),
      ),
    ),
  );
  return make(
    "details",
    { class: "table" },
    make("summary", {}, title),
    scrolling(make("table", {}, headOf(head, (at) => numbers[at]), body)),
  );
}
