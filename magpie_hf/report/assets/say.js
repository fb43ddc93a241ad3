// Words and numbers for people. The words come with the page, in its language.

let summary = { words: {} };

function say(key, values = {}) {
  const text = summary.words[key] ?? summary.words[`column_${key}`] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

const NONE = "–";
const count = (value) => (value === null || value === undefined ? NONE : value.toLocaleString("en-US"));
const decimal = (value, digits = 2) => (value === null || value === undefined ? NONE : value.toFixed(digits));
const share = (value) =>
  value === null || value === undefined ? NONE : `${(value * 100).toFixed(value && value < 0.1 ? 1 : 0)} %`;
const domainName = (key) => summary.names[key] ?? key;

// Few digits, whatever the size.
function short(value) {
  const size = Math.abs(value);
  if (size >= 10000) return `${short(value / 1000)}k`;
  if (size >= 100 || Number.isInteger(value)) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(2)));
}

function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 120 && seconds !== 60) return say("for_seconds", { n: Math.round(seconds) });
  if (minutes < 120 && minutes !== 60) return say("for_minutes", { n: minutes });
  return say("for_hours", { n: Number((minutes / 60).toFixed(1)) });
}
