// Tells whoever looks at the queue that new cases have come; what they are is on the page when it is loaded anew.

const note = document.querySelector("[data-feed]");
const IDLE_MS = 15 * 60 * 1000; // A page that nobody looks at must not keep somebody signed in.
const AGAIN_MS = 10000;
let feed = null;
let active = performance.now();

function tell(fresh) {
  note.replaceChildren();
  if (!fresh) return;
  const words = fresh === 1 ? note.dataset.one : note.dataset.many.replace("{count}", fresh < 100 ? fresh : "100+");
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = note.dataset.show;
  note.append(`${words} – `, link);
}

function close() {
  feed?.close();
  feed = null;
}

function open() {
  if (feed || document.hidden) return;
  feed = new EventSource(note.dataset.feed);
  feed.addEventListener("queue", (event) => tell(JSON.parse(event.data).new));
  feed.addEventListener("error", () => {
    if (performance.now() - active > IDLE_MS) close();
    else if (feed?.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, AGAIN_MS);
    }
  });
}

for (const kind of ["pointermove", "keydown", "pointerdown"]) {
  addEventListener(kind, () => { active = performance.now(); }, { passive: true });
}
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
addEventListener("pagehide", close);
open();
