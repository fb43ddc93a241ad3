// Searches the problems for a text or a regular expression, and on request all other texts of the rows.
// Not here: how a text is found (worker.js); other filters.

const SILENCE = 3000; // milliseconds without a word of the worker in which a regular expression has failed

const search = {
  worker: null,
  turn: 0,
  waiting: null,
  watch: null,
  trying: false, // whether a regular expression is being tried on the rows
  first: 0, // the turn of the first regular expression that the worker has not answered; 0 without one
  pending: false, // whether the list waits for a search
  look: 0,
  looks: new Map(), // by number: what to do with the places that are found in some texts
  soon() {
    clearTimeout(this.waiting);
    this.pending = true;
    showBusy();
    this.waiting = setTimeout(() => {
      this.now();
      writeAddress(new URLSearchParams(location.hash.slice(1)).has(FIND));
    }, 100);
  },
  start() {
    const url = URL.createObjectURL(new Blob([byId("worker").textContent], { type: "text/javascript" }));
    this.worker = new Worker(url);
    this.worker.addEventListener("message", ({ data }) => this.heard(data));
    this.worker.postMessage({ ids: list.index.ids, texts: summary.blocks.texts });
  },
  send(message) {
    if (!this.worker) this.start();
    this.worker.postMessage(message);
    this.listen();
  },
  // Wait for the worker's next word, where an expression could keep it from saying one.
  listen() {
    clearTimeout(this.watch);
    if (this.first || this.looks.size) this.watch = setTimeout(() => this.end(), SILENCE);
  },
  // A regular expression can take for ever: the worker is ended with it, and the next search gets a new one.
  end() {
    const left = this.first && this.first !== this.turn;
    this.worker.terminate();
    this.worker = null;
    this.first = 0;
    this.looks.clear();
    if (left) {
      this.now(); // what is searched now only waited for it
      return;
    }
    this.trying = this.pending = false;
    this.turn += 1;
    list.hits = new Uint8Array(list.index.ids.length);
    listAnew().then(() => (byId("found").textContent = say("too_slow")));
  },
  async heard(data) {
    clearTimeout(this.watch); // the page itself may take long to read a block
    if (data.hits) this.trying = this.trying && data.turn !== this.turn;
    if (data.hits || (data.turn && data.turn !== this.first)) this.first = this.trying ? this.turn : 0;
    if (data.need) {
      const worker = this.worker;
      const packed = await packedBlock(data.need);
      if (worker === this.worker) this.send({ block: data.need, packed });
      return;
    }
    if (data.look) {
      this.looks.get(data.look)?.(data.found);
      this.looks.delete(data.look);
    }
    this.listen();
    if (data.turn === this.turn && data.hits) {
      this.pending = false;
      list.hits = data.hits;
      await listAnew();
    } else if (data.turn === this.turn) {
      byId("found").textContent = say("searching", { share: share(data.share) });
    }
  },
  // What is being searched is wanted no more, whatever comes of it.
  forget() {
    clearTimeout(this.waiting);
    this.turn += 1;
    this.trying = this.pending = false;
  },
  // A later search ends an earlier one.
  async now() {
    this.forget();
    const { text, regexp, everywhere } = searched();
    if (!text) {
      list.hits = null;
      return listAnew();
    }
    if (regexp && !isPattern(text)) {
      list.hits = new Uint8Array(list.index.ids.length);
      await listAnew();
      byId("found").textContent = say("no_pattern");
      return undefined;
    }
    const { turn } = this;
    this.trying = regexp;
    if (regexp) this.first ||= turn;
    this.pending = true;
    showBusy();
    this.send({ turn, text, regexp, everywhere, blocks: summary.blocks });
    return undefined;
  },
  // Where a regular expression is found in some texts.
  spots(text, texts) {
    const look = ++this.look;
    return new Promise((resolve) => {
      this.looks.set(look, resolve);
      this.send({ look, text, texts });
    });
  },
};

function isPattern(text) {
  try {
    return Boolean(new RegExp(text, "i"));
  } catch {
    return false;
  }
}
