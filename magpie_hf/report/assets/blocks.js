// Blocks of data in the page, each unpacked when it is first needed.

const byId = (name) => document.getElementById(name);
const unpacked = new Map();
const KEPT = 12; // blocks of details

const parsed = new Promise((resolve) => {
  if (document.readyState === "loading")
    document.addEventListener("DOMContentLoaded", resolve, { once: true });
  else resolve();
});

async function packedBlock(name) {
  // While the browser still reads the file, it may have half of the block.
  if (!byId(name)?.nextElementSibling) await parsed;
  return byId(name).textContent;
}

async function inflate(name) {
  const text = atob(await packedBlock(name));
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function block(name) {
  if (!unpacked.has(name)) {
    unpacked.set(name, inflate(name));
    const details = [...unpacked.keys()].filter((key) => key.startsWith("details-"));
    if (details.length > KEPT) unpacked.delete(details[0]);
  }
  return unpacked.get(name);
}

// All elements are made here, of a name, properties and children. A string becomes text, never markup.
function make(name, properties = {}, ...children) {
  const element = name.includes(":")
    ? document.createElementNS("http://www.w3.org/2000/svg", name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "onclick") element.addEventListener("click", value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const button = (text, onclick, properties = {}) =>
  make("button", { type: "button", class: "plain", onclick, ...properties }, text);

// Give the reader a file.
function save(lines, name) {
  const url = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

const pause = () => new Promise((resolve) => setTimeout(resolve));
