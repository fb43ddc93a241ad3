// Searches the problems for a text and, on request, the answers and all other texts of the rows.
// Not here: other filters.

const search = {
  text: "",
  turn: 0,
  waiting: null,
  soon() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.now(), 200);
  },
  // Block by block, so that the page stays responsive. A later search ends an earlier one.
  async now() {
    const turn = ++this.turn;
    this.text = byId("search").value.trim().toLowerCase();
    if (!this.text) {
      list.hits = null;
      return listAnew();
    }
    const { ids, hits } = { ids: list.index.columns.id, hits: new Uint8Array(list.index.columns.id.length) };
    const kinds = [
      ["texts", summary.blocks.texts, summary.blocks.texts_rows],
      ...(byId("everywhere").checked
        ? [["details", summary.blocks.details, summary.blocks.details_rows]]
        : []),
    ];
    const all = kinds.reduce((sum, [, blocks]) => sum + blocks, 0);
    let done = 0;
    let shownAt = performance.now();
    for (const [kind, blocks, size] of kinds) {
      for (let number = 0; number < blocks; number++) {
        const values = await (kind === "texts" ? block(`texts-${number}`) : inflate(`details-${number}`));
        if (turn !== this.turn) return undefined;
        values.forEach((value, at) => {
          const row = number * size + at;
          if (
            !hits[row] &&
            (holds(value, this.text) || (kind === "texts" && ids[row].toLowerCase().includes(this.text)))
          )
            hits[row] = 1;
        });
        done += 1;
        if (performance.now() - shownAt > 100) {
          byId("found").textContent = say("searching", { share: share(done / all) });
          await pause();
          shownAt = performance.now();
        }
      }
    }
    list.hits = hits;
    return listAnew();
  },
};

const SPOKEN = ["text", "thinking", "answer", "raw", "majority_answer"];

function holds(value, text) {
  if (typeof value === "string") return value.toLowerCase().includes(text);
  if (Array.isArray(value))
    return value.some((part) => typeof part === "string" && part.toLowerCase().includes(text));
  return (
    SPOKEN.some((key) => value[key] && holds(value[key], text)) ||
    (value.candidates ?? []).some((one) => holds(one, text))
  );
}
