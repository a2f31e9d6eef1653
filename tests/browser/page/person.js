"use strict";
// A participant's page as a call service would write it: fetch, RTCPeerConnection, nothing else.
// It also lets the tests look: every picture that is received goes to `/luma` as its luma plane.

const mine = document.getElementById("mine");
const theirs = document.getElementById("theirs");
const FRAGMENT = "application/trickle-ice-sdpfrag";
const GATHER_MS = 5000;

class Person {
  constructor() {
    this.stream = null;
    this.peer = null;
    this.receiver = null;
    this.session = null;
    this.presented = [];
    this.analyser = null;
  }

  async openCamera(video) {
    // What a browser does to voices would take the test's steady tones for noise.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ video, audio });
    mine.srcObject = this.stream;
    const { width, height, frameRate } = this.camera().getSettings();
    return { width, height, frameRate };
  }

  camera() {
    return this.stream.getVideoTracks()[0];
  }

  // ticket: {url, token}
  // wish: {way: "two-way" | "whip" | "whep", codec, layers, trickle, ice, watcher}
  async join(ticket, wish) {
    const peer = this.peer = new RTCPeerConnection(wish.ice || {});
    peer.ontrack = ({ track }) => this.receive(track, wish.watcher);
    this.addMedia(peer, wish);
    await this.keepSize(peer);
    const found = [];
    peer.onicecandidate = ({ candidate }) => { if (candidate && candidate.candidate) found.push(candidate); };
    const offer = await peer.createOffer();
    const told = wish.trickle ? offer.sdp : await described(peer, offer);
    const response = await fetch(ticket.url, {
      method: "POST",
      headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${ticket.token}` },
      body: told,
    });
    const text = await response.text();
    if (!response.ok) return { status: response.status, problem: text };
    this.session = {
      url: new URL(response.headers.get("Location"), ticket.url).href,
      etag: response.headers.get("ETag"),
      token: ticket.token,
    };
    const answer = { status: response.status, offer: told, answer: text };
    const all = gathered(peer);
    if (wish.trickle) {
      // Only now are the servers known that candidates can be had from (RFC 9725 section 4.6).
      peer.setConfiguration({ ...wish.ice, iceServers: linked(response.headers.get("Link") || "") });
      await peer.setLocalDescription(offer);
    }
    await peer.setRemoteDescription({ type: "answer", sdp: text });
    if (wish.trickle) {
      await all;
      answer.patched = await this.patch(fragment(offer.sdp, found));
    }
    return answer;
  }

  // Through an SFU somebody else speaks for the page: `peer` sends, and `receiver` shows what is there.
  async offer() {
    const peer = this.peer = new RTCPeerConnection();
    this.addMedia(peer, { way: "whip" });
    await this.keepSize(peer);
    return described(peer, await peer.createOffer());
  }

  async accept(sdp) {
    await this.peer.setRemoteDescription({ type: "answer", sdp });
  }

  async answer(sdp, watcher) {
    const peer = this.receiver = new RTCPeerConnection();
    peer.ontrack = ({ track }) => this.receive(track, watcher);
    await peer.setRemoteDescription({ type: "offer", sdp });
    return described(peer, await peer.createAnswer());
  }

  addMedia(peer, wish) {
    const direction = { whip: "sendonly", whep: "recvonly" }[wish.way] || "sendrecv";
    for (const kind of ["audio", "video"]) {
      const sent = direction !== "recvonly" && this.stream.getTracks().find((track) => track.kind === kind);
      const options = { direction, streams: sent ? [this.stream] : [] };
      if (kind === "video" && wish.layers) options.sendEncodings = wish.layers;
      const transceiver = peer.addTransceiver(sent || kind, options);
      if (kind === "video" && wish.codec) transceiver.setCodecPreferences(only(wish.codec, direction));
    }
  }

  // On a busy machine a browser sends smaller pictures; fewer of them are as good and can be waited for.
  async keepSize(peer) {
    for (const sender of peer.getSenders()) {
      if (!sender.track || sender.track.kind !== "video") continue;
      const parameters = sender.getParameters();
      parameters.degradationPreference = "maintain-resolution";
      await sender.setParameters(parameters);
    }
  }

  receive(track, watcher) {
    const stream = theirs.srcObject || new MediaStream();
    stream.addTrack(track);
    theirs.srcObject = stream;
    if (track.kind === "audio") {
      this.analyser = analyserOf(track);
    } else {
      this.countPresented();
      if (watcher) sendPictures(track, watcher).catch(() => {});
    }
  }

  countPresented() {
    theirs.requestVideoFrameCallback((now, { width, height, presentedFrames }) => {
      this.presented = [width, height, presentedFrames];
      this.countPresented();
    });
  }

  async request(method, headers, body) {
    const { url, token } = this.session;
    const authorization = { Authorization: `Bearer ${token}` };
    return (await fetch(url, { method, headers: { ...authorization, ...headers }, body })).status;
  }

  patch(body) {
    return this.request("PATCH", { "Content-Type": FRAGMENT, "If-Match": this.session.etag }, body);
  }

  hangUp() {
    return this.request("DELETE", {});
  }

  hangUpWhenLeaving() {
    const { url, token } = this.session;
    const headers = { Authorization: `Bearer ${token}` };
    addEventListener("pagehide", () => fetch(url, { method: "DELETE", headers, keepalive: true }));
  }

  async setLayer(change) {
    const sender = this.peer.getSenders().find(({ track }) => track && track.kind === "video");
    const parameters = sender.getParameters();
    Object.assign(parameters.encodings[0], change);
    await sender.setParameters(parameters);
  }

  // What one would see in getStats of the connections, cut down to what the tests ask for.
  async stats() {
    const found = { presented: this.presented, received: {}, sent: {} };
    for (const peer of [this.peer, this.receiver]) {
      if (peer) note(found, await peer.getStats());
    }
    return found;
  }

  // The loudest frequency in Hz and its level in dB of what is heard of the other one.
  pitch() {
    if (!this.analyser) return [0, -1000];
    const levels = new Float32Array(this.analyser.frequencyBinCount);
    this.analyser.getFloatFrequencyData(levels);
    const loudest = levels.reduce((best, level, bin) => (level > levels[best] ? bin : best), 0);
    return [loudest * this.analyser.context.sampleRate / this.analyser.fftSize, levels[loudest]];
  }

  // The picture of the other one as a PNG, read from a canvas.
  picture() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [theirs.videoWidth, theirs.videoHeight];
    canvas.getContext("2d").drawImage(theirs, 0, 0);
    return canvas.toDataURL("image/png").split(",")[1];
  }
}

// The SDP of a description with all its candidates.
async function described(peer, description) {
  const all = gathered(peer);
  await peer.setLocalDescription(description);
  await all;
  return peer.localDescription.sdp;
}

function gathered(peer) {
  return new Promise((done) => {
    const look = () => { if (peer.iceGatheringState === "complete") done(); };
    peer.addEventListener("icegatheringstatechange", look);
    setTimeout(done, GATHER_MS);
  });
}

// One codec with what repairs its losses, as a page that knows no other would offer.
function only(mime, direction) {
  const side = direction === "sendonly" ? RTCRtpSender : RTCRtpReceiver;
  return side.getCapabilities("video").codecs.filter((codec) => [mime, "video/rtx"].includes(codec.mimeType));
}

// The servers of a Link header: <turn:...>; rel="ice-server"; username="..."; credential="...", ...
function linked(header) {
  const links = header.matchAll(/<([^>]+)>((?:\s*;\s*[\w-]+="(?:[^"\\]|\\.)*")*)/g);
  return [...links].map(([, urls, rest]) => {
    const named = Object.fromEntries([...rest.matchAll(/([\w-]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key, value]));
    return { urls, username: named.username, credential: named.credential };
  });
}

function note(found, report) {
  for (const entry of report.values()) {
    const codec = entry.codecId && report.get(entry.codecId);
    const named = { ...entry, codec: codec && codec.mimeType };
    if (entry.type === "inbound-rtp") found.received[entry.kind] = named;
    if (entry.type === "outbound-rtp" && (entry.active ?? true)) found.sent[entry.kind] = named;
    if (entry.type === "transport" && entry.selectedCandidatePairId) {
      const pair = report.get(entry.selectedCandidatePairId);
      found.local = report.get(pair.localCandidateId).candidateType;
      found.remote = report.get(pair.remoteCandidateId).candidateType;
    }
  }
}

function fragment(sdp, candidates) {
  const credentials = sdp.split("\r\n").filter((line) => /^a=ice-(ufrag|pwd):/.test(line)).slice(0, 2);
  const bundled = candidates.filter(({ sdpMLineIndex }) => sdpMLineIndex === 0);
  const lines = bundled.map(({ candidate }) => `a=${candidate}`);
  const section = ["m=audio 9 UDP/TLS/RTP/SAVPF 0", `a=mid:${bundled.length ? bundled[0].sdpMid : 0}`];
  return [...credentials, ...section, ...lines, "a=end-of-candidates", ""].join("\r\n");
}

function analyserOf(track) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  return analyser;
}

// Every decoded picture, in order: one is sent when the one before it has been looked at.
async function sendPictures(track, watcher) {
  const pictures = new MediaStreamTrackProcessor({ track, maxBufferSize: 60 }).readable.getReader();
  for (;;) {
    const { done, value: frame } = await pictures.read();
    if (done) return;
    const { width, height } = frame.visibleRect;
    const planes = new Uint8Array(frame.allocationSize());
    await frame.copyTo(planes);
    frame.close();
    await fetch(`/luma?who=${watcher}&w=${width}&h=${height}`, { method: "POST", body: planes.subarray(0, width * height) });
  }
}

window.person = new Person();
