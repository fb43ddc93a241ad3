// A model's text as it is, with its formulas typeset.
// It never becomes markup: only text nodes and KaTeX's elements are made.

const LONGEST = 5000; // characters of a formula
const HIDDEN = new RegExp(
  "[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u061c\\u200b\\u200e\\u200f" +
    "\\u202a-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb]",
);
const ENVIRONMENT =
  /\\begin\{((?:align|alignat|aligned|equation|gather|gathered|cases|array|split|CD|[pbvBV]?matrix)\*?)\}/y;
const FENCE = /^[ \t]*```(\w*)[ \t]*\n?$/;
const KATEX = {
  throwOnError: false,
  trust: false,
  strict: "ignore",
  maxSize: 20,
  maxExpand: 500,
  output: "htmlAndMathml",
};

// [{text} or {tex, display, source}], in order; a program is a text that is `code`.
function pieces(text) {
  if (!text.includes("```")) return inProse(text);
  return atPrograms(text).flatMap((part, at) => (at % 2 ? [{ text: part, code: true }] : inProse(part)));
}

// Prose, a program with its fences, prose and so on; a program without an end is prose.
function atPrograms(text) {
  const parts = [""];
  for (const line of text.match(/[^\n]*\n|[^\n]+/g)) {
    const fence = FENCE.exec(line);
    const inside = parts.length % 2 === 0;
    if (fence && !inside) parts.push(line);
    else parts[parts.length - 1] += line;
    if (fence && inside && !fence[1]) parts.push("");
  }
  if (parts.length % 2 === 0) {
    const open = parts.pop();
    parts[parts.length - 1] += open;
  }
  return parts;
}

function inProse(text) {
  const found = [];
  // Where each closing delimiter comes next, found once: thousands of unclosed openers must cost nothing.
  const ahead = new Map();
  const next = (closing, from) => {
    if (!ahead.has(closing) || (ahead.get(closing) >= 0 && ahead.get(closing) < from))
      ahead.set(closing, text.indexOf(closing, from));
    const at = ahead.get(closing);
    return at >= 0 && at - from <= LONGEST ? at : -1;
  };
  let plain = 0;
  let at = 0;
  while ((at = special(text, at)) >= 0) {
    const formula = formulaAt(text, at, next);
    if (formula) {
      const before = text.slice(plain, at);
      if (before) found.push({ text: formula.display ? before.trimEnd() : before });
      found.push({ ...formula, source: text.slice(at, formula.end) });
      at = plain = after(text, found.at(-1));
    } else {
      at += text[at] === "\\" ? 2 : text.startsWith("$$", at) ? 2 : 1;
    }
  }
  if (plain < text.length) found.push({ text: text.slice(plain) });
  return found;
}

// Where the text continues after a formula. A full stop or comma there is typeset with the formula,
// so that it does not begin a line.
function after(text, formula) {
  const sign = formula.tex.startsWith("\\begin")
    ? ""
    : (/^ ?[.,;:](?=\s|$)/.exec(text.slice(formula.end, formula.end + 3))?.[0] ?? "");
  formula.tex += sign.trim();
  const at = formula.end + sign.length;
  // A displayed formula has a line of its own already.
  return formula.display ? at + /^\s*/.exec(text.slice(at, at + 50))[0].length : at;
}

function special(text, from) {
  const dollar = text.indexOf("$", from);
  const slash = text.indexOf("\\", from);
  return dollar < 0 ? slash : slash < 0 ? dollar : Math.min(dollar, slash);
}

function formulaAt(text, at, next) {
  const two = text.slice(at, at + 2);
  if (two === "\\(" || two === "\\[" || two === "$$") {
    const closing = { "\\(": "\\)", "\\[": "\\]", $$: "$$" }[two];
    const end = next(closing, at + 2);
    const tex = end < 0 ? "" : text.slice(at + 2, end);
    return tex.trim() ? { tex, display: two !== "\\(", end: end + 2 } : null;
  }
  if (two === "\\b") {
    ENVIRONMENT.lastIndex = at;
    const name = ENVIRONMENT.exec(text)?.[1];
    const end = name ? next(`\\end{${name}}`, at) : -1;
    return end < 0
      ? null
      : { tex: text.slice(at, end + name.length + 6), display: true, end: end + name.length + 6 };
  }
  const end = text[at] === "$" ? closingDollar(text, at) : -1;
  return end < 0 ? null : { tex: text.slice(at + 1, end), display: false, end: end + 1 };
}

// The dollar sign that closes the formula opened at `start`; -1 where it means money, or nothing closes it.
function closingDollar(text, start) {
  let depth = 0;
  for (let at = start + 1; at < Math.min(text.length, start + LONGEST); at++) {
    const sign = text[at];
    if (sign === "\\") at++;
    else if (sign === "{") depth++;
    else if (sign === "}") depth--;
    else if (sign === "\n" && text[at + 1] === "\n") return -1;
    else if (sign === "$" && depth <= 0) return isFormula(text.slice(start + 1, at), text[at + 1]) ? at : -1;
  }
  return -1;
}

function isFormula(tex, after) {
  if (!tex.trim() || /\d/.test(after ?? "")) return false;
  const words = /[A-Za-z]{3,}/.test(tex.replace(/\\[A-Za-z]+(\{[^{}]*\})?/g, " "));
  const tight = !/^\s|\s$/.test(tex);
  if (tight)
    return !(/^[\d.,]+[\s-]/.test(tex) && (words || /,\s*[A-Za-z]{2,}\s/.test(tex)) && !/[\\^_=]/.test(tex));
  return !words && (/[\\^_={}<>+*/]/.test(tex) || /^\s*[A-Za-z\d]\s*$/.test(tex));
}

// A text with its invisible and direction-changing characters shown by code point.
function plainText(text) {
  if (!HIDDEN.test(text)) return [text];
  const parts = [];
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    if (!HIDDEN.test(text[at])) continue;
    if (at > from) parts.push(text.slice(from, at));
    const code = `U+${text.charCodeAt(at).toString(16).toUpperCase().padStart(4, "0")}`;
    parts.push(make("span", { class: "hidden-sign" }, code));
    from = at + 1;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}

function formula(piece) {
  const element = make("span", {
    class: piece.display ? "display" : "inline",
    title: piece.source.slice(0, 300),
    "data-source": piece.source,
  });
  try {
    katex.render(piece.tex, element, { ...KATEX, displayMode: piece.display });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // KaTeX fails on some inputs, for example when its stack overflows.
    element.replaceChildren(...plainText(piece.source));
  }
  return element;
}

// Fill an element with a text, a few formulas at a time; `alive` says whether it is still on view.
async function write(element, value, alive = () => true) {
  element.replaceChildren();
  element.dir = "auto";
  element.classList.add("text");
  const [head, left, tail] = typeof value === "string" ? [value] : value;
  let began = performance.now();
  for (const text of [head, tail]) {
    if (text === tail && tail !== undefined)
      element.append(leftOut(left));
    for (const piece of pieces(text ?? "")) {
      element.append(
        ...(piece.code
          ? [make("code", {}, ...plainText(piece.text))]
          : piece.tex === undefined
            ? plainText(piece.text)
            : [formula(piece)]),
      );
      if (performance.now() - began > 20) {
        await pause();
        if (!alive()) return;
        began = performance.now();
      }
    }
  }
}
