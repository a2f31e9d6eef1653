// One clip: pictures and voices that are opened by one-time links, a waveform, and a transcript that follows.

import { ask } from "./api.js";

const BEFORE_S = 1;

export class Player {
  /**
   * @param {HTMLElement} root the clip's section
   * @param {Record<string, string>} words
   */
  constructor(root, words) {
    this.root = root;
    this.words = words;
    this.videos = [...root.querySelectorAll("video")];
    this.main = this.videos.find((one) => one.dataset.part === "media") ?? this.videos[0];
    this.others = this.videos.filter((one) => one !== this.main);
    this.shell = root.querySelector(".player");
    this.wave = root.querySelector(".wave");
    this.seconds = Number(this.wave.dataset.seconds);
    this.seek = root.querySelector(".seek");
    this.head = root.querySelector(".head");
    this.spoken = [...root.querySelectorAll(".word")].map((node) => ({ node, start: Number(node.dataset.start), end: Number(node.dataset.end) }));
    this.hits = [...root.querySelectorAll(".region")]
      .map((node) => ({ start: Number(node.dataset.start), end: Number(node.dataset.end) }))
      .sort((a, b) => a.start - b.start);
    this.at = 0;
    this.muted = this.shell.dataset.muted === "yes";
    this.opening = null;
    this.connect();
    this.drawStills();
    this.paint();
  }

  connect() {
    const acts = { play: () => this.toggle(), replay: () => this.replay(), next: () => this.jump(1), previous: () => this.jump(-1), blur: () => this.blur(), sound: () => this.sound() };
    for (const button of this.root.querySelectorAll("[data-do]")) button.addEventListener("click", acts[button.dataset.do]);
    for (const button of this.root.querySelectorAll("[data-at]")) button.addEventListener("click", () => this.go(Number(button.dataset.at)));
    this.root.querySelector(".transcript").addEventListener("click", (event) => {
      const word = event.target.closest(".word");
      if (word) this.go(Number(word.dataset.start));
    });
    this.wave.querySelector("svg").addEventListener("click", (event) => {
      const frame = event.currentTarget.getBoundingClientRect();
      this.go(((event.clientX - frame.left) / frame.width) * this.seconds);
    });
    this.seek.addEventListener("input", () => this.go(Number(this.seek.value)));
    for (const name of ["play", "pause", "ended"]) this.main.addEventListener(name, () => this.state());
    this.main.addEventListener("timeupdate", () => this.follow());
    this.main.addEventListener("error", () => this.again());
    for (const one of this.others) one.muted = true;
    this.main.muted = this.muted;
  }

  /** Opens the clip: each file by a link of its own, told in the chain. */
  open() {
    this.opening ??= this.load().catch((error) => {
      this.opening = null;
      this.fault(error.message);
      throw error;
    });
    return this.opening;
  }

  async load() {
    this.fault("");
    for (const video of [this.main, ...this.others]) {
      const link = await ask("POST", `/v1/evidence/${this.root.dataset.clip}/links`, { part: video.dataset.part });
      if (!link.ok) throw new Error(link.data?.detail ?? "");
      const loaded = new Promise((resolve, reject) => {
        video.addEventListener("loadedmetadata", resolve, { once: true });
        video.addEventListener("error", () => reject(new Error(video.error?.message ?? "")), { once: true });
      });
      video.preload = "auto";
      video.src = new URL(link.data.url, location.href).pathname;
      await loaded;
      if (video.videoWidth) video.parentElement.style.aspectRatio = `${video.videoWidth} / ${video.videoHeight}`;
      video.currentTime = this.at;
    }
    this.loaded = true;
  }

  /** A link opens for a minute: what is asked for later, with what is not there yet, needs another one. */
  async again() {
    if (!this.loaded) return;
    this.loaded = false;
    this.opening = null;
    const playing = this.wanted;
    await this.open();
    if (playing) await this.start();
  }

  async start() {
    await this.open();
    this.wanted = true;
    for (const one of this.others) one.play().catch(() => {});
    await this.main.play();
    this.tick();
  }

  stop() {
    this.wanted = false;
    for (const one of this.videos) one.pause();
  }

  async toggle() {
    if (this.main.paused) await this.start().catch(() => {});
    else this.stop();
  }

  async replay() {
    const hit = this.current();
    this.go(Math.max(0, (hit?.start ?? 0) - BEFORE_S));
    await this.start().catch(() => {});
  }

  /** The hit that is played, or the last one before, or the first. */
  current() {
    return this.hits.findLast((hit) => hit.start - BEFORE_S <= this.at + 0.05) ?? this.hits[0];
  }

  jump(step) {
    const stops = this.hits.map((hit) => Math.max(0, hit.start - BEFORE_S));
    const next = step > 0 ? stops.find((at) => at > this.at + 0.05) : stops.findLast((at) => at < this.at - 0.05);
    this.go(next ?? (step > 0 ? stops.at(-1) : stops[0]) ?? 0);
  }

  go(at) {
    this.at = Math.min(Math.max(at, 0), this.seconds);
    if (this.loaded) for (const one of this.videos) one.currentTime = this.at;
    this.paint();
  }

  follow() {
    this.at = this.main.currentTime;
    for (const one of this.others) {
      if (Math.abs(one.currentTime - this.at) > 0.3) one.currentTime = this.at;
    }
    this.paint();
  }

  tick() {
    if (this.main.paused) return;
    this.follow();
    requestAnimationFrame(() => this.tick());
  }

  state() {
    const playing = !this.main.paused && !this.main.ended;
    this.label("play", playing ? this.words.pause : this.words.play);
    if (!playing) for (const one of this.others) one.pause();
  }

  blur() {
    const blurred = this.shell.classList.toggle("blurred");
    this.root.querySelector(".stills")?.classList.toggle("blurred", blurred);
    this.label("blur", blurred ? this.words.show_picture : this.words.blur_picture);
  }

  sound() {
    this.muted = !this.muted;
    this.main.muted = this.muted;
    this.label("sound", this.muted ? this.words.sound_on : this.words.sound_off);
  }

  label(name, text) {
    this.root.querySelector(`[data-do="${name}"] .text`).textContent = text;
  }

  fault(detail) {
    const note = this.root.querySelector(".fault");
    note.hidden = !detail;
    note.textContent = detail ? this.words.play_fault.replace("{detail}", () => detail) : "";
  }

  /** Shows where it is: playhead, slider, clock, and the words that are said. */
  paint() {
    const x = this.seconds ? (this.at / this.seconds) * this.head.ownerSVGElement.viewBox.baseVal.width : 0;
    this.head.setAttribute("x1", x);
    this.head.setAttribute("x2", x);
    this.seek.value = this.at;
    const whole = Math.floor(this.at);
    this.root.querySelector(".at").textContent = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    let first = null;
    for (const { node, start, end } of this.spoken) {
      const now = this.at >= start && this.at < end;
      node.classList.toggle("now", now);
      if (now) first ??= node;
    }
    if (first && !this.main.paused) this.reveal(first);
    for (const boxes of this.root.querySelectorAll(".boxes")) {
      boxes.classList.toggle("on", this.at >= Number(boxes.dataset.start) - BEFORE_S - 0.1 && this.at <= Number(boxes.dataset.end) + BEFORE_S);
    }
  }

  /** Within the transcript only: the page does not move under whoever reads it. */
  reveal(word) {
    const frame = this.root.querySelector(".transcript");
    const top = word.offsetTop - frame.offsetTop;
    if (top < frame.scrollTop || top > frame.scrollTop + frame.clientHeight - 30) frame.scrollTop = Math.max(0, top - frame.clientHeight / 3);
  }

  async drawStills() {
    for (const still of this.root.querySelectorAll(".still")) {
      try {
        const bytes = Uint8Array.from(atob(still.dataset.jpeg), (letter) => letter.charCodeAt(0));
        const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
        const canvas = still.querySelector("canvas");
        canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      } catch {
        still.hidden = true;
      }
    }
  }
}
