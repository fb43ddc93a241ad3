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
// Charts whose bars filter the rows, each with its filter.
const CHOOSING = { difficulty: "difficulty", quality: "quality", pair_kind: "kind" };

function overview(show) {
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
    section("left_out_title", say("left_out_about"), scrolling(reasonTable(show))),
    distributions(show),
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
const headOf = (texts) =>
  make(
    "thead",
    {},
    make(
      "tr",
      {},
      ...texts.map((text, at) => make("th", { scope: "col", class: at ? "number" : null }, text)),
    ),
  );

function meter(value, whole, text = count(value)) {
  const cell = make("td", { class: "number meter" }, text);
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
      ...columns.map((column) => meter(funnel[column], whole(funnel, column))),
      make("td", { class: "number" }, funnel.sampled ? share(funnel.problems / funnel.sampled) : NONE),
      ...(tagged ? [make("td", { class: "number" }, share(funnel.on_domain))] : []),
      make("td", { class: "number" }, decimal(funnel.majority_share)),
      make("td", { class: "number" }, share(funnel.longer)),
    );
  const all = {
    ...Object.fromEntries(FUNNEL.map((name) => [name, totals(name)])),
    on_domain: null,
    majority_share: null,
    longer: null,
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

function reasonTable(show) {
  const domains = summary.funnels.map((funnel) => funnel.domain);
  const sum = (counts) => Object.values(counts).reduce((total, value) => total + value, 0);
  const most = {};
  for (const { step, counts } of summary.reasons) most[step] = Math.max(most[step] ?? 0, sum(counts));
  const head = [say("step"), say("reason"), say("meaning"), say("all"), ...domains.map(domainName)];
  const rows = summary.reasons.map(({ step, reason, counts }) => {
    const choose = step === "samples" || step === "pairs";
    const name = choose
      ? make(
          "button",
          {
            type: "button",
            class: "link",
            onclick: () => show({ reason, show: step === "samples" ? "dropped" : "problems" }),
          },
          reason,
        )
      : reason;
    return make(
      "tr",
      {},
      make("td", { class: "quiet" }, say(`step_${step}`)),
      make("td", { class: "code" }, name),
      make("td", { class: "quiet wide" }, summary.meanings[reason] ?? ""),
      meter(sum(counts), most[step]),
      ...domains.map((domain) =>
        make("td", { class: "number" }, counts[domain] ? count(counts[domain]) : NONE),
      ),
    );
  });
  const heads = headOf(head);
  for (const cell of [...heads.querySelectorAll("th")].slice(1, 3)) cell.classList.remove("number");
  return rows.length
    ? make("table", {}, heads, make("tbody", {}, ...rows))
    : make("p", { class: "quiet" }, say("nothing_left_out"));
}

function distributions(show) {
  const [spread, named] = [make("div", { class: "charts" }), make("div", { class: "charts named" })];
  const render = (domain) => {
    spread.replaceChildren(
      ...summary.charts.filter((chart) => chart.edges).map((chart) => histogram(chart, domain)),
    );
    named.replaceChildren(
      ...summary.charts
        .filter((chart) => chart.values)
        .map((chart) => {
          const filter = CHOOSING[chart.name];
          return bars(
            chart,
            domain,
            filter && ((value, of) => show({ [filter]: value, domain: of, show: "problems" })),
          );
        }),
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

function factTable({ title, head, rows }) {
  const body = make(
    "tbody",
    {},
    ...rows.map((row) =>
      make(
        "tr",
        {},
        ...row.map((cell, at) =>
          make(at ? "td" : "th", { scope: at ? null : "row", dir: "auto" }, ...plainText(String(cell))),
        ),
      ),
    ),
  );
  return make(
    "details",
    { class: "table" },
    make("summary", {}, title),
    scrolling(make("table", {}, headOf(head), body)),
  );
}
