// What a reader takes along: a row's id, link, values or LaTeX, and formulas of a selection as LaTeX.
// Not here: files (blocks.js).

async function copy(text, from) {
  const name = from.textContent;
  try {
    await navigator.clipboard.writeText(text);
    from.textContent = say("copied");
  } catch {
    from.textContent = say("not_copied");
  }
  setTimeout(() => (from.textContent = name), 1500);
}

const wholeText = (value) =>
  Array.isArray(value) && typeof value[1] === "number"
    ? `${value[0]}\n[${say("left_out", { n: count(value[1]) })}]\n${value[2]}`
    : value;

// All that the page knows of a row, as JSON.
function rowAsJson(row, problem, details) {
  const known = Object.fromEntries(
    Object.keys(list.index.columns).map((name) => [name, listed(name, row)]),
  );
  const shown = (key, one) => {
    if (["candidates", "tools"].includes(key)) return one.map(whole);
    return ["text", "thinking", "raw"].includes(key) ? wholeText(one) : one;
  };
  const whole = (value) =>
    Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shown(key, one)]));
  return JSON.stringify(
    { id: list.index.ids[row], problem: wholeText(problem), ...known, ...whole(details) },
    null,
    2,
  );
}

function copying(row, problem, details) {
  const texts = {
    id: () => list.index.ids[row],
    link: () => location.href.replace(/#.*$/, "") + address(),
    json: () => rowAsJson(row, problem, details),
    latex: () => wholeText(problem),
  };
  return make(
    "div",
    { class: "copying" },
    make("span", { class: "quiet" }, say("copy")),
    ...Object.entries(texts).map(([name, text]) =>
      button(say(`copy_${name}`), (event) => copy(text(), event.currentTarget), { "data-copy": name }),
    ),
  );
}

// A selection with formulas is copied with their LaTeX, not with the signs of the typesetting.
document.addEventListener("copy", (event) => {
  const selection = getSelection();
  if (selection.isCollapsed || event.target.closest?.("input, textarea")) return;
  const part = selection.getRangeAt(0).cloneContents();
  const formulas = part.querySelectorAll("[data-source]");
  if (!formulas.length) return;
  for (const one of formulas) one.replaceWith(one.dataset.source);
  event.clipboardData.setData("text/plain", part.textContent);
  event.preventDefault();
});
