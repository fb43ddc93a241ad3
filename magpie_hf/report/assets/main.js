// The page as a whole: views, keys, light and dark.
// It starts as soon as its script is read, while the browser still reads the rows.

const KEYS = [
  ["1 2", "key_views"],
  ["/", "key_search"],
  ["j k ↓ ↑", "key_move"],
  ["Home End", "key_ends"],
  ["Enter", "key_open"],
  ["g b", "key_mark"],
  ["n", "key_note"],
  ["Esc", "key_back"],
  ["d", "key_differences"],
  ["t", "key_theme"],
  ["?", "key_help"],
];

function view(name) {
  for (const one of ["overview", "rows"]) {
    const chosen = one === name;
    byId(one).hidden = !chosen;
    byId(`tab-${one}`).setAttribute("aria-selected", String(chosen));
    byId(`tab-${one}`).tabIndex = chosen ? 0 : -1;
  }
  if (name === "rows") renderList();
}

function visit(name) {
  view(name);
  writeAddress();
}

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    closeRow();
    return;
  }
  if (typing) {
    if (event.key === "Enter" && event.target === byId("search"))
      search.now().then(() => byId("scroll").focus());
    return;
  }
  const inList = !byId("rows").hidden && !event.target.closest("#detail [tabindex], summary");
  const actions = {
    1: () => visit("overview"),
    2: () => visit("rows"),
    "/": () => {
      view("rows");
      byId("search").focus();
      byId("search").select();
    },
    "?": () => byId("help").showModal(),
    t: turnTheme,
    ...(inList && {
      j: () => move(1),
      k: () => move(-1),
      d: turnDifferences,
      Home: () => move(-Infinity),
      End: () => move(Infinity),
      PageDown: () => move(10),
      PageUp: () => move(-10),
      ...(byId("marking") && {
        g: () => byId("marking").toggle("good"),
        b: () => byId("marking").toggle("bad"),
        n: () => byId("marking").ask(),
      }),
    }),
    ...(inList &&
      event.target.closest("#detail") === null && {
        ArrowDown: () => move(1),
        ArrowUp: () => move(-1),
        ...(event.target.matches("button, a")
          ? {}
          : { Enter: () => (list.chosen === null ? move(1) : openRow(list.chosen, true)) }),
      }),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
}

function fillIn() {
  for (const element of document.querySelectorAll("[data-say]"))
    element.textContent = say(element.dataset.say);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
    if (element.matches("button")) element.title = say(element.dataset.label);
    if (element.matches("input")) element.placeholder = say(element.dataset.label);
  }
  byId("name").append(...plainText(summary.title));
  const keys = KEYS.map(([keys, key]) =>
    make(
      "div",
      {},
      make("dt", {}, ...keys.split(" ").map((one) => make("kbd", {}, one))),
      make("dd", {}, say(key)),
    ),
  );
  byId("help").append(
    make("h2", {}, say("help")),
    make("dl", {}, ...keys),
    make("form", { method: "dialog" }, make("button", { class: "plain" }, say("close"))),
  );
}

async function main() {
  summary = await block("summary");
  fillIn();
  overview();
  await openList();
  openMarks();
  await readAddress();
  for (const name of ["overview", "rows"]) byId(`tab-${name}`).addEventListener("click", () => visit(name));
  addEventListener("popstate", readAddress);
  byId("theme").addEventListener("click", turnTheme);
  byId("ask").addEventListener("click", () => byId("help").showModal());
  byId("unfold").addEventListener("click", () =>
    byId("unfold").setAttribute("aria-expanded", String(byId("filters").classList.toggle("unfolded"))),
  );
  document.querySelector("nav").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const other = byId("overview").hidden ? "overview" : "rows";
    visit(other);
    byId(`tab-${other}`).focus();
  });
  document.removeEventListener("keydown", keepKey);
  document.addEventListener("keydown", pressed);
  performance.mark("interactive");
  document.documentElement.dataset.ready = "yes";
  pressAgain();
  if (!search.worker) search.start(); // so that the texts are ready before the first search
}

// The keys that were pressed before the page worked. Behind "/" they are what is searched.
function pressAgain() {
  for (const key of early.splice(0)) {
    const place = document.activeElement;
    if (place === byId("search") && key.length === 1) {
      place.setRangeText(key, place.selectionStart, place.selectionEnd, "end");
      search.soon();
    } else place.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  }
}

main();
