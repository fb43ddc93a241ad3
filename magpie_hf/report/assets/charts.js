// Small charts as SVG, each with its numbers in a table for readers who cannot see it.
// Not here: counting; the numbers come with the page.

const WIDE = 340,
  HIGH = 172,
  LEFT = 40,
  RIGHT = 10,
  TOP = 24,
  BOTTOM = 38;

const sumOf = (byDomain, domain) => {
  const parts = domain ? [byDomain[domain] ?? []] : Object.values(byDomain);
  return parts.reduce((sum, part) => part.map((value, at) => value + (sum[at] ?? 0)), []);
};

function figure(title, about, picture, head, rows) {
  const table = make(
    "table",
    {},
    make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text))),
    ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell)))),
  );
  return make(
    "figure",
    {},
    make("figcaption", {}, make("strong", {}, title), make("span", { class: "quiet" }, about)),
    picture,
    make("details", {}, make("summary", {}, say("as_table")), make("div", { class: "numbers" }, table)),
  );
}

function svg(width, height, label, ...children) {
  const properties = {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": label,
    preserveAspectRatio: "xMidYMid meet",
  };
  return make("svg:svg", properties, ...children);
}

const svgText = (x, y, text, anchor = "middle") => make("svg:text", { x, y, "text-anchor": anchor }, text);
// What lies along the axes: below, and above the numbers at the left.
const axisNames = (wide, high, [below, left]) => [
  svgText((LEFT + wide - RIGHT) / 2, high - 4, say(`axis_${below}`)),
  svgText(2, 11, say(`axis_${left}`), "start"),
];
const line = (x1, y1, x2, y2, name) => make("svg:line", { x1, y1, x2, y2, class: name });

function steps(highest) {
  const raw = highest / 3;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= raw) * power);
  const ticks = [];
  for (let value = 0; value <= highest; value += step) ticks.push(value);
  return ticks;
}

function niceTicks(low, high, ratio) {
  if (!ratio) {
    const raw = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
    const ticks = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step)
      ticks.push(Number(value.toPrecision(6)));
    return ticks;
  }
  const every = [];
  for (let power = 1; power <= high; power *= 10) every.push(...[1, 2, 5].map((factor) => factor * power));
  const inside = every.filter((value) => value >= low && value <= high);
  return inside.filter((_, at) => at % Math.ceil(inside.length / 5) === 0);
}

function histogram(chart, domain) {
  const { edges, ratio } = chart;
  const series = Object.entries(chart.counts).map(([name, counts]) => [name, sumOf(counts, domain)]);
  const scale = ratio ? Math.log : (value) => value;
  const [low, high] = [scale(edges[0]), scale(edges.at(-1))];
  const x = (value) => LEFT + ((scale(value) - low) / (high - low)) * (WIDE - LEFT - RIGHT);
  const highest = Math.max(1, ...series.flatMap(([, counts]) => counts));
  const y = (value) => HIGH - BOTTOM - (value / highest) * (HIGH - BOTTOM - TOP);
  const grid = steps(highest).flatMap((value) => [
    line(LEFT, y(value), WIDE - RIGHT, y(value), "grid"),
    svgText(LEFT - 6, y(value) + 3.5, short(value), "end"),
  ]);
  const ticks = niceTicks(edges[0], edges.at(-1), ratio).map((value) =>
    svgText(x(value), HIGH - 22, short(value)),
  );
  const bars = series.flatMap(([name, counts], number) =>
    counts.map((value, at) => {
      const [from, to] = [x(edges[at]), x(edges[at + 1])];
      const bar = make("svg:rect", {
        x: from + 0.5,
        y: y(value),
        width: Math.max(0.5, to - from - 1),
        height: Math.max(0, y(0) - y(value)),
        class: `series-${number}`,
      });
      const filters = value ? binFilters(chart, name, at, domain) : null;
      if (filters) {
        bar.classList.add("choosing");
        bar.addEventListener("click", () => show(filters));
      }
      bar.append(
        make(
          "svg:title",
          {},
          `${short(edges[at])} – ${short(edges[at + 1])}: ${count(value)}` +
            (series.length > 1 ? ` ${seriesName(chart, name)}` : ""),
        ),
      );
      return bar;
    }),
  );
  const totals = series.map(([name, counts]) => [name, counts.reduce((sum, value) => sum + value, 0)]);
  const middle = (name) => chart.medians[name][domain || ""];
  const numbers = ([name, total]) =>
    total ? say("values_median", { n: count(total), median: short(middle(name)) }) : say("no_values");
  const title = say(`chart_${chart.name}`);
  const one = series.length === 1;
  const legend = one
    ? null
    : make(
        "p",
        { class: "legend" },
        ...totals.map((total, number) =>
          make("span", { class: `key-${number}` }, `${seriesName(chart, total[0])}: ${numbers(total)}`),
        ),
      );
  const about = one ? numbers(totals[0]) : "";
  const picture = make(
    "div",
    {},
    svg(
      WIDE,
      HIGH,
      `${title}: ${totals.map((total) => `${seriesName(chart, total[0])}: ${numbers(total)}`).join("; ")}`,
      ...grid,
      line(LEFT, y(0), WIDE - RIGHT, y(0), "axis"),
      ...bars,
      ...ticks,
      ...axisNames(WIDE, HIGH, chart.axes),
    ),
    legend,
  );
  const rows = edges
    .slice(0, -1)
    .map((from, at) => [
      `${short(from)} – ${short(edges[at + 1])}`,
      ...series.map(([name, counts]) =>
        choosing(count(counts[at] ?? 0), counts[at] ? binFilters(chart, name, at, domain) : null),
      ),
    ]);
  return figure(
    title,
    about,
    picture,
    [say("from_to"), ...series.map(([name]) => (series.length > 1 ? seriesName(chart, name) : say("count")))],
    rows,
  );
}

const seriesName = (chart, series) => (chart.choice ? series : filterName(series));

// The filters whose rows a bar counts; null where the rows do not differ in its column.
function binFilters(chart, series, at, domain) {
  const filter = chart.filters[series];
  if (!filterOf(filter)) return null;
  const [least, next] = [chart.edges[at], chart.edges[at + 1]];
  const isLast = at === chart.edges.length - 2;
  return {
    [filter]: `${least}${BETWEEN}${isLast ? next : Number((next - chart.step).toFixed(4))}`,
    domain,
    ...(chart.choice && { [chart.choice]: series }),
  };
}

// Bars of named values. Where rows can be filtered by the value, a click on its bar does so.
function bars(chart, domain) {
  const counts = sumOf(chart.counts, domain);
  const total = counts.reduce((sum, value) => sum + value, 0);
  const highest = Math.max(1, ...counts);
  const rows = chart.values.map((value, at) => {
    const width = ((counts[at] ?? 0) / highest) * 100;
    const bar = svg(
      100,
      10,
      `${value}: ${count(counts[at] ?? 0)}`,
      make("svg:rect", { x: 0, y: 0, width, height: 10, rx: 1.5, class: "series-0" }),
    );
    bar.setAttribute("preserveAspectRatio", "none");
    const cells = [
      make("span", { class: "value" }, value),
      bar,
      make("span", { class: "number" }, count(counts[at] ?? 0)),
      make("span", { class: "number quiet" }, total ? share((counts[at] ?? 0) / total) : NONE),
    ];
    return counts[at] && filterOf(chart.filter)
      ? make(
          "button",
          { type: "button", class: "bars", onclick: () => show({ [chart.filter]: value, domain }) },
          ...cells,
        )
      : make("div", { class: "bars" }, ...cells);
  });
  return make(
    "figure",
    {},
    make(
      "figcaption",
      {},
      make("strong", {}, say(`chart_${chart.name}`)),
      make("span", { class: "quiet" }, say("values", { n: count(total) })),
    ),
    ...rows,
  );
}

// Seconds between two ticks.
const SPANS = [60, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800];

function timeTicks(seconds, most) {
  const span = SPANS.find((one) => seconds / one <= most) ?? seconds / most;
  return Array.from({ length: Math.floor(seconds / span) + 1 }, (_, at) => at * span);
}

function throughput(speed) {
  const wide = byId("overview").clientWidth < 600 ? WIDE : 1080; // its letters shrink with it
  const high = 222;
  const highest = Math.max(1, ...speed.tokens);
  const x = (seconds) => LEFT + (seconds / speed.seconds) * (wide - LEFT - RIGHT);
  const y = (value) => high - BOTTOM - (value / highest) * (high - BOTTOM - 32);
  const width = speed.seconds / speed.tokens.length;
  const area = speed.tokens
    .map((value, at) => `L${x(at * width)},${y(value)}L${x((at + 1) * width)},${y(value)}`)
    .join("");
  const grid = steps(highest).flatMap((value) => [
    line(LEFT, y(value), wide - RIGHT, y(value), "grid"),
    svgText(LEFT - 6, y(value) + 3.5, short(value), "end"),
  ]);
  const ticks = timeTicks(speed.seconds, wide === WIDE ? 4 : 8).map((value) =>
    svgText(x(value), high - 22, duration(value)),
  );
  const marks = speed.marks.map((mark) => {
    const label = say(`mark_${mark.what}`, {
      engine: mark.engine ?? "",
      seconds: mark.seconds === undefined ? "" : duration(mark.seconds),
    });
    const mark_ = make(
      "svg:g",
      { class: `mark ${mark.what}` },
      line(x(mark.at), 24, x(mark.at), high - BOTTOM, "mark"),
      make("svg:circle", { cx: x(mark.at), cy: 21, r: 4 }),
    );
    mark_.append(make("svg:title", {}, `${duration(mark.at)}: ${label}`));
    return [mark, label, mark_];
  });
  const mean = speed.total / speed.seconds;
  const about = say("speed_about", {
    mean: short(mean),
    highest: short(highest),
    total: count(speed.total),
    time: duration(speed.seconds),
  });
  const title = say("tokens_a_second");
  const picture = svg(
    wide,
    high,
    `${title}: ${about}`,
    ...grid,
    make("svg:path", { d: `M${x(0)},${y(0)}${area}L${x(speed.seconds)},${y(0)}Z`, class: "area" }),
    line(LEFT, y(0), wide - RIGHT, y(0), "axis"),
    ...ticks,
    ...marks.map(([, , mark_]) => mark_),
    ...axisNames(wide, high, ["time", "tokens_a_second"]),
  );
  const rows = [
    ...speed.tokens.map((value, at) => [
      at * width,
      `${duration(at * width)} – ${duration((at + 1) * width)}`,
      short(value),
    ]),
    ...marks.map(([mark, label]) => [mark.at, duration(mark.at), label]),
  ]
    .sort((one, other) => one[0] - other[0])
    .map(([, ...cells]) => cells);
  return figure(title, about, picture, [say("time"), title], rows);
}
