// The page of a case: players, keys, the claim, and what was decided before.

import { ask } from "./api.js";
import { keep } from "./lease.js";
import { Player } from "./player.js";

const data = JSON.parse(document.getElementById("case-data").textContent);
const path = `/v1/cases/${data.case}`;
const form = document.getElementById("deciding");
const help = document.getElementById("help");
const players = [...document.querySelectorAll(".clip")].filter((one) => one.querySelector(".player")).map((one) => new Player(one, data.words));
let player = players[0];
for (const one of players) one.root.addEventListener("pointerdown", () => { player = one; });

keep(form, path, data.words);

// What was refused is read first.
const news = document.getElementById("news");
if (news.childElementCount) {
  news.tabIndex = -1;
  news.focus();
}

// --- deciding -------------------------------------------------------------------------------------

/** Chooses the first of some verdicts, or the one after the chosen one. */
function choose(values) {
  const boxes = values.map((value) => form.querySelector(`[name="verdict"][value="${value}"]`)).filter(Boolean);
  if (!boxes.length) return;
  const box = boxes[(boxes.findIndex((one) => one.checked) + 1) % boxes.length];
  box.checked = true;
  box.focus();
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

const ESCALATIONS = [...form.querySelectorAll('[name="verdict"][value^="escalate."]')].map((one) => one.value);
const VERDICTS = {
  1: ["confirm.explicit", "confirm.implied"],
  2: ["dismiss.false_positive"],
  3: ["dismiss.wrong_selection"],
  4: ["dismiss.technical_error"],
  5: ["dismiss.exception_missing"],
  e: ESCALATIONS,
};

function actionsFit() {
  const confirms = form.querySelector('[name="verdict"]:checked')?.value.startsWith("confirm.") ?? false;
  const group = form.querySelector(".actions");
  if (group) group.disabled = !confirms;
}
form.addEventListener("change", actionsFit);
actionsFit();

// A form that is sent twice would be refused the second time.
form.addEventListener("submit", (event) => {
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => { delete form.dataset.sent; });

// --- keys -----------------------------------------------------------------------------------------

const TYPING = 'input:not([type="radio"]):not([type="checkbox"]):not([type="range"]), textarea, select, [contenteditable]';
const KEYS = {
  " ": () => player?.toggle(),
  j: () => player?.jump(1),
  k: () => player?.jump(-1),
  h: () => player?.blur(),
  m: () => player?.sound(),
  r: () => player?.replay(),
  n: () => {
    const button = form.querySelector('[value="decide_next"]:not(:disabled)');
    if (button) form.requestSubmit(button);
  },
  "?": () => help.showModal(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || help.open) return;
  if (event.target instanceof Element && event.target.closest(TYPING)) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  // A button that has the focus is pressed by the space bar, as everywhere.
  if (key === " " && event.target instanceof Element && event.target.closest("button, a, summary, [type=checkbox]")) return;
  const act = KEYS[key] ?? (VERDICTS[key] && (() => choose(VERDICTS[key])));
  if (!act) return;
  event.preventDefault();
  if (!event.repeat) act();
});
document.querySelector("[data-help]").addEventListener("click", () => help.showModal());

// --- what was decided before ----------------------------------------------------------------------

function line(...texts) {
  const item = document.createElement("li");
  item.textContent = texts.filter(Boolean).join(" · ");
  return item;
}

function when(at) {
  try {
    return new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short", timeZone: data.zone }).format(new Date(at));
  } catch {
    return at;
  }
}

const opener = document.getElementById("earlier-open");
opener?.addEventListener("click", async () => {
  const place = document.getElementById("earlier");
  const answer = await ask("GET", `${path}/earlier`);
  const said = document.createElement("ul");
  if (!answer.ok) said.append(line(answer.data?.detail ?? ""));
  else {
    for (const one of answer.data.decisions) {
      const by = one.by === data.me ? data.words.you : data.names[one.by] ?? data.words.an_api_key;
      said.append(line(data.said[one.choice], data.said[`reason_${one.reason}`], by, when(one.at)));
    }
    for (const one of answer.data.party) {
      const family = one.category.split(".")[0];
      said.append(line(data.words.earlier_party, data.said[`category_${family}`] ?? one.category, data.said[`found_${one.finding}`], when(one.made_at)));
    }
    if (!said.childElementCount) said.append(line(data.words.earlier_none));
    opener.setAttribute("aria-expanded", "true");
    opener.disabled = true;
  }
  place.replaceChildren(said);
});
