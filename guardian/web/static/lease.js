// A claim: kept by whoever works on the case, counted down before it ends, and told when it is lost.

import { ask } from "./api.js";

const NEAR_S = 120;

/**
 * @param {HTMLFormElement} form
 * @param {string} path of the case in the API
 * @param {Record<string, string>} words
 */
export function keep(form, path, words) {
  const line = form.querySelector(".lease[data-left]");
  const note = document.getElementById("lease-note");
  if (!line) return;
  let until = line.dataset.until;
  let ends = performance.now() + Number(line.dataset.left) * 1000;
  let asked = performance.now();
  let asking = false;
  let lost = false;
  const every = Math.max(5000, Math.min(60000, Number(line.dataset.left) * 100));

  async function renew() {
    if (lost || asking || performance.now() - asked < every) return;
    asking = true;
    const answer = await ask("POST", `${path}/renew`, { lease: form.elements.lease.value });
    asking = false;
    asked = performance.now();
    if (answer.ok) {
      // Two times of the server's: what the browser's clock says makes no difference.
      ends += new Date(answer.data.until) - new Date(until);
      until = answer.data.until;
    } else if (answer.status === 409) lose();
    show();
  }

  function lose() {
    if (lost) return;
    lost = true;
    note.textContent = words.lease_over;
    note.hidden = false;
    const again = document.createElement("button");
    again.name = "do";
    again.value = "claim";
    again.formNoValidate = true;
    again.textContent = words.claim_again;
    note.after(again);
    form.querySelectorAll('[value="decide"], [value="decide_next"], [value="release"]').forEach((one) => { one.disabled = true; });
  }

  function show() {
    const left = Math.ceil((ends - performance.now()) / 1000);
    if (left <= 0) lose();
    if (lost) return;
    note.hidden = left > NEAR_S;
    // Said now and then: whoever listens to the page is not told every second.
    const told = left > 30 ? Math.ceil(left / 30) * 30 : Math.ceil(left / 10) * 10;
    const text = words.lease_left.replace("{seconds}", told);
    if (!note.hidden && note.textContent !== text) note.textContent = text;
  }

  for (const kind of ["keydown", "pointerdown", "input"]) addEventListener(kind, renew, { passive: true });
  document.addEventListener("play", renew, true);
  document.addEventListener("timeupdate", renew, true);
  setInterval(show, 1000);
  show();
}
