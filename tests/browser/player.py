"""Chromium as a reviewer's player: what it shows and sounds of a file."""

from __future__ import annotations

import base64
from typing import Any

from tests.browser.people import FLAGS, LIMIT_S

PLAYER = """
async ([data, type, moments, sound]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const video = document.createElement("video");
  document.body.append(video);
  const said = (name) => new Promise((resolve, reject) => {
    video.addEventListener(name, resolve, { once: true });
    video.addEventListener("error", () => reject(new Error(video.error.message)), { once: true });
  });
  const grey = () => {
    const canvas = new OffscreenCanvas(16, 12);
    const drawing = canvas.getContext("2d");
    drawing.drawImage(video, 0, 0, 16, 12);
    const pixels = drawing.getImageData(0, 0, 16, 12).data;
    return pixels.filter((_, i) => i % 4 === 1).reduce((sum, value) => sum + value, 0) / (16 * 12);
  };
  const loaded = said("loadeddata");
  video.src = URL.createObjectURL(new Blob([bytes], { type }));
  await loaded;
  const found = { duration: video.duration, size: [video.videoWidth, video.videoHeight], greys: [] };
  found.seekable = video.seekable.length ? [video.seekable.start(0), video.seekable.end(0)] : null;
  const paused = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  for (const moment of moments) {
    const there = said("seeked");
    // What is drawn may still be the picture of before when the player is there.
    const painted = new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    video.currentTime = moment;
    await there;
    await Promise.race([painted, paused(5000)]);
    found.greys.push([video.currentTime, grey()]);
  }
  const back = said("seeked");
  video.currentTime = 0;
  await back;
  found.shown = [];
  const each = (_, { mediaTime }) => {
    found.shown.push([mediaTime, grey()]);
    video.requestVideoFrameCallback(each);
  };
  video.requestVideoFrameCallback(each);
  video.playbackRate = 2;
  const over = said("ended");
  await video.play();
  await over;
  found.loud = [];
  if (!sound) return found;
  const audio = await new OfflineAudioContext(2, 1, 48000).decodeAudioData(bytes.buffer);
  for (let side = 0; side < audio.numberOfChannels; side += 1) {
    const samples = audio.getChannelData(side);
    const most = samples.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const first = samples.findIndex((value) => Math.abs(value) > 0.3 * most);
    const tone = samples.slice(first + 2400, first + 7200);
    let crossings = 0;
    for (let i = 1; i < tone.length; i += 1) crossings += tone[i - 1] < 0 && tone[i] >= 0;
    found.loud.push([first / audio.sampleRate, (crossings * audio.sampleRate) / tone.length, most]);
  }
  return found;
}
"""


async def played(chromium: str, data: bytes, media_type: str, moments: list[float], sound: bool) -> Any:
    """What was found: length, size, what can be sought in, `greys` at the moments, all pictures `shown` with
    their times, and for each side when it is loud first, the tone it has then, and how loud it ever is."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            page = await browser.new_page()
            page.set_default_timeout(LIMIT_S * 1000)
            what = [base64.b64encode(data).decode(), media_type, moments, sound]
            return await page.evaluate(PLAYER, what)
        finally:
            await browser.close()
