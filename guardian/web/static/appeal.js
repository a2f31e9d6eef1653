// Holds the case of an appeal while somebody works on it, and says so when that has ended.
import { ask } from "/static/api.js";

const EVERY_MS = 60_000;
const root = document.querySelector("[data-lease]");
const told = root.querySelector("[data-told]");
let active = true;

for (const kind of ["keydown", "pointerdown", "input"]) {
  document.addEventListener(kind, () => {
    active = true;
  });
}

async function renew() {
  if (active) {
    active = false;
    const path = `/v1/cases/${root.dataset.case}/renew`;
    const answer = await ask("POST", path, { lease: root.dataset.lease });
    // Until the server can be reached again the claim may still hold.
    if (!answer.ok && answer.status !== 0) {
      told.textContent = root.dataset.lost;
      told.hidden = false;
      return;
    }
  }
  setTimeout(renew, EVERY_MS);
}

setTimeout(renew, EVERY_MS);
