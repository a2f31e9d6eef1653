// Keeps the page of live calls up to date; without it the page is as it was when it was opened.
import { ask } from "/static/api.js";

const EVERY_MS = 3000;
const root = document.querySelector("[data-operations]");
const said = root.querySelector("[data-said]");

/** Says something once: screen readers are told of changes only. */
function say(sentence) {
  if (said.textContent !== sentence) said.textContent = sentence;
}

/** Puts rows of text in the place of those of a table's body. */
function fill(name, rows) {
  const body = root.querySelector(`[data-rows="${name}"]`);
  const numbers = Number(body.dataset.numbers);
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = document.createElement("tr");
      cells.forEach((text, at) => {
        const cell = document.createElement(at === 0 ? "th" : "td");
        if (at === 0) cell.scope = "row";
        else if (at >= numbers) cell.className = "number";
        cell.textContent = text;
        row.append(cell);
      });
      return row;
    }),
  );
  root.querySelector(`[data-empty="${name}"]`).hidden = rows.length > 0;
}

async function look() {
  if (!document.hidden) {
    const answer = await ask("GET", "/review/operations/now");
    if (answer.ok && answer.data?.figures) {
      root.querySelector("[data-ready]").textContent = answer.data.ready;
      for (const [name, text] of Object.entries(answer.data.figures)) {
        root.querySelector(`[data-figure="${name}"]`).textContent = text;
      }
      fill("calls", answer.data.calls);
      fill("stages", answer.data.stages);
      say(root.dataset.fresh);
    } else {
      say(root.dataset.late);
    }
  }
  setTimeout(look, EVERY_MS);
}

say(root.dataset.fresh);
setTimeout(look, EVERY_MS);
