// The map of the problems: a point for each row that has an embedding, of which one picks a region.
// Not here: where the points lie; that was computed when the page was written.

const SIDE = 1000; // as in embedding_map.py
const EDGE = 0.02; // of each side, left free around the points
const NEAR = 40; // of them, around a point that is clicked
const MOST_COLOURS = 20;

function mapSection() {
  const canvas = make("canvas", { role: "img", "aria-label": say("map") });
  const frame = make("div", { class: "brush", hidden: true });
  const legend = make("p", { class: "legend across" });
  const box = make("div", { class: "map" }, canvas, frame);
  const colours = summary.filters.filter(
    (one) => one.kind === "range" || one.values.length <= MOST_COLOURS || one.name === "reason",
  );
  const select = make(
    "select",
    { id: "coloured-by" },
    ...colours.map(({ name }) => make("option", { value: name }, filterName(name))),
  );
  select.addEventListener("change", () => colour());
  const colour = async () => {
    await block("index"); // the list opens with it
    const [points, { values, codes }] = await Promise.all([block("map"), column(select.value)]);
    paint(canvas, points, values, codes, filterOf(select.value), legend);
  };
  new ResizeObserver(() => canvas.clientWidth && colour()).observe(box);
  picking(box, frame);
  const about = say("map_about", { first: share(summary.map[0]), second: share(summary.map[1] ?? 0) });
  const made = section("map", about, box, legend);
  made.querySelector("h2").append(make("label", {}, `${say("coloured_by")} `, select));
  return made;
}

function paint(canvas, points, values, codes, filter, legend) {
  const ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const pen = canvas.getContext("2d");
  const size = Math.max(2, (points.rows.length > 20000 ? 1.5 : 3.5) * ratio);
  const hue = (part) => `hsl(${Math.round(part * 320)} 65% 55% / 85%)`;
  const place = (at, from, whole) => (EDGE + (1 - 2 * EDGE) * (from[at] / SIDE)) * whole - size / 2;
  const one = (value) => (Array.isArray(value) ? value[0] : value) ?? null;
  const toneOf = (value) => {
    if (value === null) return "hsl(0 0% 55% / 35%)";
    if (filter.kind === "choice") return hue(filter.values.indexOf(codes[value]) / filter.values.length);
    return hue(0.75 - 0.75 * ((value - filter.low) / (filter.high - filter.low)));
  };
  const painted = new Map();
  for (let at = 0; at < points.rows.length; at++) {
    const value = one(values[points.rows[at]]);
    if (!painted.has(value)) painted.set(value, []);
    painted.get(value).push(at);
  }
  const few = [...painted].sort(([, a], [, b]) => b.length - a.length);
  for (const [value, places] of few) {
    pen.fillStyle = toneOf(value);
    for (const at of places)
      pen.fillRect(place(at, points.x, canvas.width), place(at, points.y, canvas.height), size, size);
  }
  const named =
    filter.kind === "choice"
      ? filter.values.map((value, at) => [valueName(filter.name, value), hue(at / filter.values.length)])
      : [filter.low, (filter.low + filter.high) / 2, filter.high].map((value) => [
          short(value),
          toneOf(value),
        ]);
  legend.replaceChildren(
    ...named.map(([name, tone]) => {
      const sign = make("i", {});
      sign.style.background = tone;
      return make("span", {}, sign, name);
    }),
  );
}

// A rectangle that is marked, or the surroundings of a point that is clicked, become a filter.
function picking(box, frame) {
  let from = null;
  const at = (event) => {
    const { left, top, width, height } = box.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height].map((part) =>
      Math.round(((Math.max(0, Math.min(1, part)) - EDGE) / (1 - 2 * EDGE)) * SIDE),
    );
  };
  const percent = (place) => (EDGE + (1 - 2 * EDGE) * (place / SIDE)) * 100;
  const region = (to) => [0, 1].map((axis) => [from[axis], to[axis]].sort((a, b) => a - b));
  box.addEventListener("pointerdown", (event) => {
    from = at(event);
    if (event.pointerType === "mouse") box.setPointerCapture(event.pointerId);
  });
  box.addEventListener("pointermove", (event) => {
    if (!from || event.pointerType !== "mouse") return;
    const [[left, right], [top, bottom]] = region(at(event));
    frame.hidden = false;
    frame.style.inset =
      `${percent(top)}% ${100 - percent(right)}% ${100 - percent(bottom)}% ${percent(left)}%`;
  });
  box.addEventListener("pointercancel", () => (from = null));
  box.addEventListener("pointerup", (event) => {
    if (!from) return;
    let ends = region(at(event));
    if (ends.every(([least, most]) => most - least < 5))
      ends = ends.map(([least]) => [least - NEAR, least + NEAR]);
    from = null;
    frame.hidden = true;
    show({ region: ends.map((one) => one.join("-")).join("x"), show: "all" });
  });
}

// Whether a row lies in a region, as "left-rightxtop-bottom".
async function regionTest(value) {
  const { rows, x, y } = await block("map");
  const [[left, right], [top, bottom]] = value
    .split("x")
    .map((ends) => /^(-?\d+)-(-?\d+)$/.exec(ends).slice(1).map(Number));
  const inside = new Set(
    rows.filter((_, at) => x[at] >= left && x[at] <= right && y[at] >= top && y[at] <= bottom),
  );
  return (row) => inside.has(row);
}
