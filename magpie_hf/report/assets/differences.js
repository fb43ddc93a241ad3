// The two texts of a pair with the words and formulas in which they differ marked.
// Not here: where the pair stands in the page.

const MOST_CELLS = 16e6; // of the table of a comparison, 32 MB: two texts of 4,000 words

// The words and formulas of a text, each with the key by which it is compared.
function tokensOf(value) {
  const [head, left, tail] = typeof value === "string" ? [value] : value;
  const found = [];
  for (const text of [head, tail]) {
    if (text === tail && tail !== undefined) found.push({ key: {}, left });
    for (const piece of pieces(text ?? "")) {
      if (piece.tex !== undefined) found.push({ key: piece.tex.replace(/\s+/g, ""), piece });
      else for (const [text] of piece.text.matchAll(/\s*\S+|\s+/g)) found.push({ key: text.trim(), text });
    }
  }
  return found;
}

// Of each token of two texts, whether the other lacks it; null where they are too long to compare.
function differing(one, other) {
  let begin = 0;
  while (begin < Math.min(one.length, other.length) && one[begin].key === other[begin].key) begin++;
  let [n, m] = [one.length, other.length];
  while (n > begin && m > begin && one[n - 1].key === other[m - 1].key) [n, m] = [n - 1, m - 1];
  const [high, wide] = [n - begin, m - begin];
  if (high * wide > MOST_CELLS) return null;
  // longest[i][j]: the longest common sequence of what follows the i-th and the j-th token.
  const row = wide + 1;
  const longest = new Uint16Array((high + 1) * row);
  for (let i = high - 1; i >= 0; i--)
    for (let j = wide - 1; j >= 0; j--)
      longest[i * row + j] =
        one[begin + i].key === other[begin + j].key
          ? longest[(i + 1) * row + j + 1] + 1
          : Math.max(longest[(i + 1) * row + j], longest[i * row + j + 1]);
  const flags = [one, other].map((tokens) => new Array(tokens.length).fill(false));
  let [i, j] = [0, 0];
  while (i < high || j < wide) {
    if (i < high && j < wide && one[begin + i].key === other[begin + j].key) [i, j] = [i + 1, j + 1];
    else if (j >= wide || (i < high && longest[(i + 1) * row + j] >= longest[i * row + j + 1]))
      flags[0][begin + i++] = true;
    else flags[1][begin + j++] = true;
  }
  return flags;
}

// Fill an element with tokens, those with a flag inside marks.
async function writeTokens(element, tokens, flags, alive) {
  element.replaceChildren();
  element.dir = "auto";
  element.classList.add("text");
  let began = performance.now();
  let place = element;
  let words = "";
  const flush = () => {
    if (words) place.append(...plainText(words));
    words = "";
  };
  for (const [at, token] of tokens.entries()) {
    if (Boolean(flags[at]) !== (place !== element)) {
      flush();
      place = flags[at] ? make("mark", {}) : element;
      if (flags[at]) element.append(place);
    }
    if (token.text !== undefined) words += token.text;
    else {
      flush();
      place.append(token.piece ? formula(token.piece) : leftOut(token.left));
    }
    if (performance.now() - began > 20) {
      flush();
      await pause();
      if (!alive()) return;
      began = performance.now();
    }
  }
  flush();
}

const leftOut = (left) => make("span", { class: "left-out" }, say("left_out", { n: count(left) }));

function turnDifferences() {
  const unmarked = byId("rows").classList.toggle("unmarked");
  for (const one of document.querySelectorAll(".differences"))
    one.setAttribute("aria-pressed", String(!unmarked));
}
