// Measuring media: over a span of time, by the counts of both ends.
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "./browser.js";

/** @typedef {import("./person.js").Person} Person */

/**
 * The share of a sender's pictures that a receiver decoded, over a span. Of simulcast layers only the one that the relay
 * forwards counts: the one with the receiver's height. Layers inside one stream (SVC) are a frame each to the sending browser
 * (`framesEncoded`) and to the transforms, and one picture to a decoder, so there it is pictures that are counted. A span in
 * which the relay changed the layer, or the receiver's height changed, says nothing and is
 * measured again. So is one in which frames came out of the opener and were not decoded then, a few times: browsers let frames
 * go when the machine is too busy to decode them all. What is ours to deliver admits no such excuse: `openedShare` is that of
 * the frames opened in all spans together, the bad ones too.
 * @param {Person} sender
 * @param {Person} receiver
 * @param {{ span?: number, least?: number, testid?: string }} [options] in milliseconds; and the frames without which a span says too little
 */
export async function decodedShare(sender, receiver, { span = 6_000, least = 30, testid = "tile" } = {}) {
  let best = null;
  const all = { sent: 0, opened: 0 };
  for (let spans = 0; spans < 8; spans += 1) {
    const before = await bothEnds(sender, receiver, testid);
    await pause(span);
    const after = await bothEnds(sender, receiver, testid);
    const layer = layerOf(before);
    if (layer === null || layer !== layerOf(after) || before.received.frameHeight !== after.received.frameHeight) continue;
    const decoded = after.received.framesDecoded - before.received.framesDecoded;
    const sent = sentOn(after, layer) - sentOn(before, layer);
    if (sent < least) continue;
    all.sent += sent;
    all.opened += after.opened - before.opened;
    const found = { decoded, sent, share: decoded / sent, height: after.received.frameHeight };
    if (best === null || found.share > best.share) best = found;
    if (best.share >= 0.95) break;
  }
  if (best === null) throw new Error(`no span of ${span} ms in which ${receiver.name} received one layer of ${sender.name}`);
  return { ...best, openedShare: all.opened / all.sent };
}

async function bothEnds(sender, receiver, testid) {
  // The sender first: what is on its way in between is counted as received at both ends of the span alike.
  const sent = (await sender.rtc()).filter((entry) => entry.type === "outbound-rtp" && entry.kind === "video");
  const sealers = (await sender.transforms()).filter((transform) => transform.role === "seal" && transform.stream === (testid === "tile" ? "camera" : "screen"));
  const pictures = sealers.reduce((all, { pictures }) => all + pictures, 0);
  const received = await receiver.inbound(sender.name, testid);
  if (!received) throw new Error("nothing received");
  const leaf = (await receiver.view()).tiles.find(({ name }) => name === sender.name)?.leaf;
  const stream = testid === "tile" ? "camera" : "screen";
  const opener = (await receiver.transforms()).find((transform) => transform.role === "open" && transform.stream === stream && transform.leaf === Number(leaf));
  return { sent, pictures, received, opened: opener?.pictures ?? 0 };
}

function layerOf({ sent, received }) {
  const sending = sent.filter((entry) => (entry.framesSent ?? entry.framesEncoded ?? 0) > 0);
  if (sending.length === 1) return sending[0].ssrc;
  return sending.find((entry) => entry.frameHeight === received.frameHeight)?.ssrc ?? null;
}

function sentOn({ sent, pictures }, ssrc) {
  const entry = sent.find((entry) => entry.ssrc === ssrc);
  if (entry && layersInside(entry)) return pictures;
  return entry?.framesSent ?? entry?.framesEncoded ?? 0;
}

/** Several spatial layers in one stream, or there were a moment ago. @param {{ rid?: string, scalabilityMode?: string }} outbound */
const layersInside = ({ rid, scalabilityMode = "" }) => rid === undefined && /^L[123]T3/.test(scalabilityMode);

/**
 * Sound that a listener got over a span, stream by stream: how much of it was made up by the browser because nothing came, and
 * whether there was anything to hear.
 * @param {Person} listener
 */
export async function heard(listener, span = 2_000) {
  const before = await listener.sounds();
  await pause(span);
  const after = await listener.sounds();
  return [...after].flatMap(([id, now]) => {
    const then = before.get(id);
    const samples = then ? now.samples - then.samples : 0;
    return samples > 0 ? [{ concealed: (now.concealed - then.concealed) / samples, energy: now.energy - then.energy }] : [];
  });
}

/**
 * Waits until somebody's sound arrives whole and audible: that of all who send, or of a number of them.
 * @param {Person} listener
 * @param {{ within?: number, of?: number | "all" }} [options]
 */
export function hears(listener, { within = 30_000, of = "all" } = {}) {
  return eventually(`${listener.name} hears ${of}`, async () => {
    const streams = await heard(listener);
    const whole = streams.filter(({ concealed, energy }) => concealed < 0.1 && energy > 0).length;
    if (whole > 0 && whole >= (of === "all" ? streams.length : of)) return true;
    throw new Error(JSON.stringify(streams));
  }, { within });
}

/** Waits until sound arrives and is silence. @param {Person} listener */
export function hearsSilence(listener, { within = 30_000 } = {}) {
  return eventually(`${listener.name} hears silence`, async () => {
    const streams = await heard(listener, 1_000);
    if (streams.length > 0 && streams.every(({ energy }) => energy < 1e-6)) return true;
    throw new Error(JSON.stringify(streams));
  }, { within });
}

/** Waits until somebody's picture goes on at another's page. @param {Person} watcher @param {Person} watched */
export async function goesOn(watcher, watched, { frames = 15, within = 30_000, testid = "tile" } = {}) {
  // A new connection counts from nought, so that the count may fall in between.
  let last = await watcher.decoded(watched.name, testid);
  let seen = 0;
  await eventually(`${frames} more frames of ${watched.name} at ${watcher.name}`, async () => {
    const now = await watcher.decoded(watched.name, testid);
    if (now > last) seen += now - last;
    last = now;
    return seen >= frames;
  }, { within });
}
