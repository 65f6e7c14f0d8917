// A web app whose worker can be told to spoil what it sealed: the page of a member who means ill. Everybody in a test uses the
// same page, and only who is told to does ill.
import { createHash } from "node:crypto";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What can be done to a sealed frame on its way to the relay. @typedef {"flip" | "cut" | "noise" | "replay" | "clear"} Malice */

/** Runs in the worker before its own code. It stands behind the sealer, where a hostile member's own code would. */
const PRELUDE = `{
  const Real = self.TransformStream;
  const kept = new Map();
  let malice = null;
  new BroadcastChannel("hostile").onmessage = ({ data }) => { malice = data; };
  const spoil = (frame, clear) => {
    const bytes = new Uint8Array(frame.data);
    const ssrc = frame.getMetadata().synchronizationSource;
    // A VP8 shell has at most 10 bytes: they stay, for the browser's packetizer, and everything after them is fair game.
    const from = Math.min(10, bytes.length - 1);
    if (malice === "flip") bytes[from + Math.floor(Math.random() * (bytes.length - from))] ^= 1 << Math.floor(Math.random() * 8);
    if (malice === "cut") return frame.data.slice(0, bytes.length - 1 - Math.floor(Math.random() * 8));
    if (malice === "noise") for (let at = from; at < bytes.length; at += 1) bytes[at] = Math.floor(Math.random() * 256);
    if (malice === "replay") return (kept.get(ssrc) ?? frame.data).slice(0);
    if (malice === "clear") return clear;
    if (malice === null) kept.set(ssrc, frame.data.slice(0));
    return bytes.buffer;
  };
  self.TransformStream = class {
    constructor({ transform }) {
      return new Real({
        transform(frame, controller) {
          const clear = frame.data.slice(0);
          transform(frame, {
            enqueue(done) {
              // Sealing makes a frame longer, opening shorter; what was opened is left alone.
              if (done.data.byteLength > clear.byteLength) done.data = spoil(done, clear);
              controller.enqueue(done);
            },
          });
        },
      });
    }
  };
}
`;

/** @param {string} web the built app @param {string} folder where the hostile one goes */
export function hostileWebApp(web, folder) {
  return withPrelude(web, folder, PRELUDE);
}

/**
 * The same app, with something that runs in its worker before the worker's own code.
 * @param {string} web the built app
 * @param {string} folder where the other one goes
 * @param {string} prelude
 */
export async function withPrelude(web, folder, prelude) {
  await cp(web, folder, { recursive: true });
  const assets = join(folder, "assets");
  const name = (await readdir(assets)).find((name) => /^worker.*\.js$/.test(name));
  if (!name) throw new Error("the web app has no worker");
  const bytes = Buffer.from(prelude + (await readFile(join(assets, name), "utf8")));
  await writeFile(join(assets, name), bytes);

  // The manifest tells the truth about it: the server may compare.
  const manifest = JSON.parse(await readFile(join(folder, "build.json"), "utf8"));
  const entry = manifest.files.find((/** @type {{ path: string }} */ { path }) => path === `assets/${name}`);
  Object.assign(entry, { size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") });
  await writeFile(join(folder, "build.json"), JSON.stringify(manifest));
  return folder;
}

/** @param {import("./person.js").Person} person @param {Malice | null} malice null to behave again */
export function behave(person, malice) {
  return person.page.evaluate((malice) => {
    const channel = new BroadcastChannel("hostile");
    channel.postMessage(malice);
    channel.close();
  }, malice);
}
