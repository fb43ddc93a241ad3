// Keeps the keys that are pressed before the page works; main.js presses them again.

const early = [];
const keepKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  early.push(event.key);
  if (event.key.length === 1) event.preventDefault(); // such as a browser's own search at "/"
};
document.addEventListener("keydown", keepKey);
