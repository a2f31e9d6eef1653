"use strict";
// The try-it page: one call with oneself. The shopper's leg sends, the merchant's leg receives.

const $ = (id) => document.getElementById(id);
const POLL_MS = 500;
const KEEP = 120;
// What is said before both sides are listened to may be missed.
const LISTENING_S = 2;
const STATES = {
  warming: "warming · 准备中", armed: "armed · 保护中", degraded: "degraded · 降级", failed: "failed · 失效",
  open: "open · 已接通", ended: "ended · 已结束",
};
const SHOWS = { covered: "covered picture · 已遮挡", held: "held cover · 保持", curtain: "curtain · 幕布" };

let call = null;
let stopDrawing = () => {};

class Call {
  constructor(mode, line) {
    this.mode = mode;
    this.line = line;
    this.peers = [];
    this.after = 0;
    this.history = [];
    this.closed = false;
  }

  async open(stream) {
    const answer = await fetch("/v1/calls", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        shopper: { id: "demo-shopper" }, merchant: { id: "demo-merchant" }, mode: this.mode,
        consent: { token: crypto.randomUUID(), notice_version: "demo", scopes: ["protect", "hear", "keep"] },
        purpose: "demo",
      }),
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    const admitted = await answer.json();
    this.id = admitted.call_id;
    this.merchant = mouth();
    this.shopper = mouth();
    // The merchant's picture is a still card: what it sends is not what this page is about.
    const card = drawnCard();
    this.stopCard = card.stop;
    await this.join(admitted.legs.merchant, new MediaStream([...card.stream.getTracks(), this.merchant.track]), $("safe"));
    const tracks = stream.getTracks();
    if (!stream.getAudioTracks().length) tracks.push(this.shopper.track);
    await this.join(admitted.legs.shopper, new MediaStream(tracks), null);
  }

  async join(leg, stream, video) {
    const peer = new RTCPeerConnection();
    this.peers.push(peer);
    for (const track of stream.getTracks()) peer.addTrack(track, stream);
    if (video) peer.ontrack = ({ track }) => {
      if (track.kind === "video") video.srcObject = new MediaStream([track]);
    };
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    const answer = await fetch(new URL(leg.url).pathname, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${leg.token}` },
      body: peer.localDescription.sdp,
    });
    if (!answer.ok) throw new Error((await answer.json()).detail);
    await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  }

  async watch() {
    while (!this.closed) {
      const began = performance.now();
      try {
        const [status, events] = await Promise.all([
          fetch(`/v1/calls/${this.id}`).then((r) => r.json()),
          fetch(`/demo/events/${this.id}?after=${this.after}`).then((r) => r.json()),
        ]);
        this.show(status);
        for (const event of events.events || []) {
          this.after = Math.max(this.after, Number(event.sequence));
          tick(event);
        }
        if (status.state === "ended" || status.state === "failed") {
          say(`The call is over: ${status.ended_reason || status.state}. 通话已结束。`);
          await hangUp();
        }
      } catch (error) {
        say(`The server does not answer. 服务器无响应。`);
      }
      await new Promise((done) => setTimeout(done, Math.max(100, POLL_MS - (performance.now() - began))));
    }
  }

  show(status) {
    const protection = status.protection || {};
    const state = status.state === "open" ? protection.state : status.state;
    $("state").textContent = STATES[state] || state || "–";
    $("state").className = `pill ${state || ""}`;
    $("showing").textContent = SHOWS[protection.showing] || protection.showing || "–";
    const coverage = status.coverage || {};
    $("protected").textContent = share(coverage.protected_s, coverage.camera_s);
    const heard = sum(coverage.heard_s), sound = sum(coverage.sound_s);
    if (heard > LISTENING_S && this.line) {
      this.merchant.say(this.line);
      this.line = "";
    }
    $("heard").textContent = share(heard, sound);
    const frames = status.frames || {};
    $("frames").textContent = `${frames.in ?? "–"} / ${frames.out ?? "–"}`;
    $("over").textContent = frames.over_budget ?? "–";
    $("lapses").textContent = (coverage.lapses || []).length;
    const budget = (coverage.video || {}).budget_ms || 33;
    $("budget").textContent = budget;
    const latency = status.latency || {};
    const main = latency.total || latency.added || latency.protect;
    if (main && main.n) this.history.push(main);
    this.history = this.history.slice(-KEEP);
    chart(this.history, budget);
    stages(latency);
    $("own-facts").textContent = size($("own"));
    $("safe-facts").textContent = size($("safe"));
  }

  async close() {
    this.closed = true;
    for (const peer of this.peers) peer.close();
    for (const one of [this.merchant, this.shopper]) if (one) one.stop();
    if (this.stopCard) this.stopCard();
    if (this.id) await fetch(`/v1/calls/${this.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
  }
}

function gathered(peer) {
  return new Promise((done) => {
    if (peer.iceGatheringState === "complete") return done();
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState === "complete") done();
    });
    setTimeout(done, 2000);
  });
}

async function source(kind) {
  if (kind === "camera") {
    return navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: true });
  }
  if (document.body.dataset.sample === "video") {
    const video = document.createElement("video");
    Object.assign(video, { src: "/demo/sample", loop: true, muted: true, playsInline: true });
    await video.play();
    return video.captureStream();
  }
  const drawn = drawnRoom();
  stopDrawing = drawn.stop;
  return drawn.stream;
}

function mouth() {
  const audio = new AudioContext();
  const gain = audio.createGain();
  gain.gain.value = 0;
  const tone = audio.createOscillator();
  const out = audio.createMediaStreamDestination();
  tone.connect(gain).connect(out);
  tone.start();
  return {
    track: out.stream.getAudioTracks()[0],
    stop: () => audio.close().catch(() => {}),
    say: async (line) => {
      try {
        const answer = await fetch(line);
        const said = audio.createBufferSource();
        said.buffer = await audio.decodeAudioData(await answer.arrayBuffer());
        said.connect(out);
        said.start();
      } catch (error) {
        if (audio.state !== "closed") say("This browser cannot play the sample voice. 此浏览器无法播放示例语音。");
      }
    },
  };
}

function painted(width, height, paint) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const pen = canvas.getContext("2d");
  const timer = setInterval(() => paint(pen, performance.now() / 1000), 33);
  paint(pen, 0);
  return { stream: canvas.captureStream(30), stop: () => clearInterval(timer) };
}

function drawnCard() {
  return painted(320, 240, (pen, t) => {
    pen.fillStyle = "#2f6f62";
    pen.fillRect(0, 0, 320, 240);
    pen.fillStyle = "#f4f1ea";
    pen.font = "28px sans-serif";
    pen.fillText("merchant · 商家", 50, 130 + 4 * Math.sin(t));
  });
}

function drawnRoom() {
  // A room with a plant, a picture and a person who moves; simple shapes, so it is plain what is hidden.
  return painted(640, 480, (pen, t) => {
    pen.fillStyle = "#c9b79c"; pen.fillRect(0, 0, 640, 480);
    pen.fillStyle = "#8a6f4d"; pen.fillRect(0, 380, 640, 100);
    pen.fillStyle = "#e9e3d4"; pen.fillRect(40, 50, 150, 110);
    pen.fillStyle = "#5d86a8"; pen.fillRect(50, 60, 130, 90);
    pen.fillStyle = "#3e6b3a";
    for (let i = 0; i < 7; i++) { pen.beginPath(); pen.ellipse(560 + 22 * Math.sin(i * 2), 250 + i * 14, 34, 12, i, 0, 7); pen.fill(); }
    pen.fillStyle = "#a2542f"; pen.fillRect(530, 350, 66, 60);
    const x = 320 + 90 * Math.sin(t * 0.6), y = 215 + 8 * Math.sin(t * 1.7);
    pen.fillStyle = "#41506b"; pen.beginPath(); pen.ellipse(x, y + 225, 130, 140, 0, 0, 7); pen.fill();
    pen.fillStyle = "#d9a683"; pen.fillRect(x - 26, y + 60, 52, 50);
    pen.beginPath(); pen.ellipse(x, y, 68, 88, 0, 0, 7); pen.fill();
    pen.fillStyle = "#3a2a20"; pen.beginPath(); pen.ellipse(x, y - 48, 72, 52, 0, Math.PI, 0); pen.fill();
    for (const side of [-1, 1]) {
      pen.fillStyle = "#fff"; pen.beginPath(); pen.ellipse(x + side * 26, y - 10, 13, 8, 0, 0, 7); pen.fill();
      pen.fillStyle = "#2b2320"; pen.beginPath(); pen.arc(x + side * 26 + 3 * Math.sin(t), y - 10, 6, 0, 7); pen.fill();
      pen.fillRect(x + side * 26 - 15, y - 30, 30, 5);
    }
    pen.strokeStyle = "#b07c5c"; pen.lineWidth = 5; pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x - 6, y + 24); pen.stroke();
    pen.fillStyle = "#9c4a42"; pen.beginPath(); pen.ellipse(x, y + 46, 24, 6 + 4 * Math.abs(Math.sin(t * 5)), 0, 0, 7); pen.fill();
  });
}

function chart(history, budget) {
  const canvas = $("chart"), pen = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const { width, height } = canvas;
  pen.clearRect(0, 0, width, height);
  const top = Math.max(budget * 1.2, ...history.map((row) => row.p95 || 0)) * 1.05;
  const y = (ms) => height - 4 - (height - 10) * ms / top;
  pen.setLineDash([6, 5]);
  line(pen, colour("--alarm"), [[0, y(budget)], [width, y(budget)]], 1.5);
  pen.setLineDash([]);
  const points = (key) => history.map((row, i) => [i * width / (KEEP - 1), y(row[key] || 0)]);
  line(pen, colour("--warn"), points("p95"), 2);
  line(pen, colour("--accent"), points("p50"), 2);
}

function line(pen, colour, points, width) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

function stages(latency) {
  const rows = Object.entries(latency).filter(([, s]) => s && typeof s === "object").map(([name, s]) => {
    const row = document.createElement("tr");
    for (const text of [name, ms(s.p50), ms(s.p95), ms(s.p99), s.n ?? ""]) {
      row.append(Object.assign(document.createElement("td"), { textContent: text }));
    }
    return row;
  });
  if (rows.length) $("stages").tBodies[0].replaceChildren(...rows);
}

function tick(event) {
  const kind = event.type.split("guardian.").pop().replace(/\.v\d+$/, "");
  if (kind === "call.coverage") return;
  const data = event.data, item = document.createElement("li");
  item.append(Object.assign(document.createElement("time"), { textContent: new Date(event.time).toLocaleTimeString() }));
  if (data.violation_id) {
    item.append(Object.assign(document.createElement("b"), { className: data.risk_level, textContent: data.risk_level }));
    item.append(` ${data.subcategory} · ${data.status} · ${data.actor.role} “${data.transcript.text}”`);
  } else {
    item.append(`${kind} ${data.role || data.state || data.reason || ""}`);
  }
  const list = $("ticker");
  if (list.firstElementChild && list.firstElementChild.className === "quiet") list.replaceChildren();
  list.prepend(item);
  while (list.children.length > 50) list.lastElementChild.remove();
}

const sum = (values) => Object.values(values || {}).reduce((a, b) => a + b, 0);
const ms = (value) => (value == null ? "–" : value.toFixed(1));
const share = (part, whole) => (whole ? `${Math.min(100, Math.round(100 * part / whole))} % · ${part.toFixed(0)} s` : "–");
const size = (video) => (video.videoWidth ? `${video.videoWidth} × ${video.videoHeight}` : "–");
const say = (text) => { $("say").textContent = text; };

function buttons(running) {
  $("start").disabled = running;
  $("stop").disabled = !running;
  $("complain").disabled = !running;
  $("source").disabled = running;
}

async function hangUp() {
  const ending = call;
  call = null;
  stopDrawing();
  if (ending) await ending.close();
  const stream = $("own").srcObject;
  if (stream) for (const track of stream.getTracks()) track.stop();
  $("own").srcObject = null;
  $("safe").srcObject = null;
  buttons(false);
}

$("controls").addEventListener("submit", async (event) => {
  event.preventDefault();
  buttons(true);
  $("ticker").replaceChildren();
  say("Connecting · 正在连接");
  try {
    const stream = await source($("source").value);
    $("own").srcObject = stream;
    call = new Call($("mode").value, $("source").value === "sample" ? "/demo/voice" : "");
    await call.open(stream);
    say("In the call: left is yours, right is all that leaves. 左侧为原始画面，右侧为商家所见。");
    call.watch();
  } catch (error) {
    await hangUp();
    say(error.message || String(error));
  }
});

$("mode").addEventListener("change", async () => {
  if (!call) return;
  await fetch(`/v1/calls/${call.id}/mode`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ mode: $("mode").value }),
  });
});
$("complain").addEventListener("click", async () => {
  if (!call || !call.id) return;
  const answer = await fetch(`/v1/calls/${call.id}/complaint`, { method: "POST" });
  say(answer.ok ? "The complaint is a case to review now. 投诉已成为待审核案例。" : (await answer.json()).detail);
});
$("stop").addEventListener("click", async () => { await hangUp(); say("Hung up · 已挂断"); });
addEventListener("pagehide", () => { if (call) call.close(); });
