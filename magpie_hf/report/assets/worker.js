// Finds a text or a regular expression in the rows, beside the page, which therefore never waits for it.
// Not here: what the page does when an expression takes too long: it ends this worker (search.js).

const waiting = new Map(); // by the name of a block: what to do with its data
// By the number of a block of problems: their texts, whole, in small letters and folded.
const kept = new Map();
let ids = [];
let latest = 0;

const ask = (name) =>
  new Promise((resolve) => {
    waiting.set(name, [...(waiting.get(name) ?? []), resolve]);
    postMessage({ need: name });
  });

async function unpack(name) {
  const packed = atob(await ask(name));
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function problems(number) {
  if (!kept.has(number))
    kept.set(
      number,
      unpack(`texts-${number}`).then((texts) => {
        const whole = texts.map((text) => (typeof text === "string" ? text : `${text[0]}\n${text[2]}`));
        return { whole, lower: whole.map((text) => text.toLowerCase()), folded: [] };
      }),
    );
  return kept.get(number);
}

// What a reader may type for a sign of a formula, and what stands for it here.
const SIGNS = {
  "≤": "\\le",
  "≥": "\\ge",
  "≠": "\\ne",
  "×": "\\times",
  "·": "\\cdot",
  "÷": "\\div",
  "±": "\\pm",
  "∞": "\\infty",
  "∈": "\\in",
  "∑": "\\sum",
  "∫": "\\int",
  "√": "\\sqrt",
  "→": "\\to",
  "π": "\\pi",
  "α": "\\alpha",
  "β": "\\beta",
  "γ": "\\gamma",
  "θ": "\\theta",
  "λ": "\\lambda",
};
const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";

// Texts that say the same in other spelling become equal: case, braces, spaces and sizes of formulas.
function fold(text) {
  let found = text;
  if (/[^\u0000-\u007f]/.test(found))
    found = found
      .replace(/[⁰¹²³⁴-⁹]+/g, (signs) => `^${[...signs].map((sign) => RAISED.indexOf(sign)).join("")}`)
      .replace(/[≤≥≠×·÷±∞∈∑∫√→παβγθλ]/g, (sign) => SIGNS[sign])
      .normalize("NFKC")
      .replaceAll("\u2044", "/"); // of ½
  found = found.toLowerCase();
  if (/[\\{}$^_=<>+*/()-]/.test(found))
    found = found
      .replace(/\\(?:left|right|displaystyle|[bB]ig[lrg]*|[,;:!> ])(?![a-z])/g, "")
      .replace(/\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, "$1/$2")
      .replace(/\\[dt]?frac\s*(\d)\s*(\d)/g, "$1/$2")
      .replace(/\\?sqrt\s*[({]\s*([^(){}]*?)\s*[)}]/g, "\\sqrt$1")
      .replace(/\\(leq|le)(?![a-z])|<=/g, "\\le")
      .replace(/\\(geq|ge)(?![a-z])|>=/g, "\\ge")
      .replace(/\\(neq|ne)(?![a-z])|!=/g, "\\ne")
      .replace(/\*\*/g, "^")
      .replace(/\\[()[\]]|[{}$]/g, "")
      .replace(/\s*([\\^_=<>+*/(),|[\]-])\s*/g, "$1");
  return found.replace(/\s+/g, " ");
}

// Whether a text holds what is searched, in any spelling. Folding takes long, so a text that lacks the
// longest word of it is not folded, unless it has other letters than ASCII; a formula's command has no such
// word, since it may stand there as a sign.
function finder(text) {
  const folded = fold(text).trim();
  const lower = text.toLowerCase();
  const words = /\\|[^\u0000-\u007f]/.test(folded) ? [] : (folded.match(/[a-z0-9]+/g) ?? []);
  const longest = words.sort((one, other) => other.length - one.length)[0] ?? "";
  return (small, short) =>
    small.includes(lower) ||
    ((!longest || small.includes(longest) || /[^\u0000-\u007f]/.test(small)) && short().includes(folded));
}

const SPOKEN = ["text", "thinking", "answer", "raw", "majority_answer"];

// Calls a test with each text of a row's details until it holds.
function holds(value, test) {
  if (typeof value === "string") return test(value);
  if (Array.isArray(value)) return value.some((part) => typeof part === "string" && test(part));
  return (
    SPOKEN.some((key) => value[key] && holds(value[key], test)) ||
    [...(value.candidates ?? []), ...(value.tools ?? [])].some((one) => holds(one, test))
  );
}

async function find({ turn, text, regexp, blocks, everywhere }) {
  latest = turn;
  const pattern = regexp ? new RegExp(text, "i") : null;
  const finds = regexp ? null : finder(text);
  const small = text.toLowerCase();
  const test = regexp ? (one) => pattern.test(one) : (one) => finds(one.toLowerCase(), () => fold(one));
  const hits = new Uint8Array(ids.length);
  const all = blocks.texts + (everywhere ? blocks.details : 0);
  const step = async (number) => {
    if (number < blocks.texts) {
      const { whole, lower, folded } = await problems(number);
      whole.forEach((one, at) => {
        const row = number * blocks.texts_rows + at;
        if (
          regexp
            ? pattern.test(one) || pattern.test(ids[row])
            : finds(lower[at], () => (folded[at] ??= fold(one))) || ids[row].toLowerCase().includes(small)
        )
          hits[row] = 1;
      });
      return;
    }
    const rows = await unpack(`details-${number - blocks.texts}`);
    rows.forEach((row, at) => {
      const place = (number - blocks.texts) * blocks.details_rows + at;
      if (!hits[place] && holds(row, test)) hits[place] = 1;
    });
  };
  for (let number = 0; number < all; number++) {
    await step(number);
    if (turn !== latest) return;
    postMessage({ turn, share: (number + 1) / all });
  }
  postMessage({ turn, hits }, [hits.buffer]);
}

// [number of the text, from, to] of what a regular expression finds, for the page to highlight.
function spots({ look, text, texts }) {
  const pattern = new RegExp(text, "gi");
  const found = [];
  texts.forEach((one, number) => {
    for (const match of one.matchAll(pattern))
      if (match[0] && found.length < 1000) found.push([number, match.index, match.index + match[0].length]);
  });
  postMessage({ look, found });
}

onmessage = async ({ data }) => {
  if (data.block) {
    const then = waiting.get(data.block) ?? [];
    waiting.delete(data.block);
    then.forEach((resolve) => resolve(data.packed));
  } else if (data.ids) {
    ids = data.ids;
    // The texts are made ready before anybody searches: unpacked, then folded while nothing else is asked.
    for (let number = 0; number < data.texts; number++) await problems(number);
    for (let number = 0; number < data.texts; number++) {
      const { whole, folded } = await problems(number);
      whole.forEach((one, at) => (folded[at] ??= fold(one)));
      await new Promise((resolve) => setTimeout(resolve));
    }
  } else if (data.look) spots(data);
  else await find(data);
};
