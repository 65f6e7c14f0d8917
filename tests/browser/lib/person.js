// One person at one page: what somebody does with mouse and keyboard, and what they can read there. Everything about the
// meeting is read from the page's elements; the test build's `conclaveTap` is for counts and for looking behind the page.
import { eventually, openPage } from "./browser.js";

const byTestid = (/** @type {string} */ id) => `[data-testid="${id}"]`;

/** Firefox has no screen when it is headless, so there the captured screen is a canvas that moves. */
function drawnScreen() {
  // Not on blank pages, which are not secure contexts.
  if (!navigator.mediaDevices) return;
  navigator.mediaDevices.getDisplayMedia = async () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
    const paint = canvas.getContext("2d");
    let turn = 0;
    const timer = setInterval(() => {
      turn += 1;
      paint.fillStyle = `hsl(${turn * 7} 80% 50%)`;
      paint.fillRect(0, 0, 640, 360);
      paint.fillStyle = "white";
      paint.fillRect((turn * 8) % 600, 100, 40, 160);
    }, 100);
    const stream = canvas.captureStream(10);
    stream.getVideoTracks()[0].addEventListener("ended", () => clearInterval(timer));
    return stream;
  };
}

/**
 * @typedef {object} View what the page shows of a meeting
 * @property {string} phase
 * @property {number} epoch
 * @property {string} code
 * @property {{ leaf: string, name: string, me: boolean, picture: string, sound: string }[]} tiles
 * @property {{ leaf: string, name: string, trust: string }[]} roster
 * @property {string} headline
 * @property {string} relay
 * @property {string} delivery
 */

export class Person {
  /**
   * Opens a page, in storage of its own. Nothing is visited yet.
   * @param {import("puppeteer-core").Browser} browser
   * @param {string} name
   * @param {{ width?: number, height?: number }} [size]
   */
  static async open(browser, name, size = {}) {
    const { page, log, errors } = await openPage(browser, size);
    const kind = (await browser.version()).toLowerCase().includes("firefox") ? "firefox" : "chromium";
    if (kind === "firefox") await page.evaluateOnNewDocument(drawnScreen);
    return new Person(page, name, kind, log, errors);
  }

  /** Opens a page and joins with the link. @param {import("puppeteer-core").Browser} browser @param {string} name @param {string} link */
  static async joining(browser, name, link) {
    const person = await Person.open(browser, name);
    await person.join(link);
    return person;
  }

  /**
   * @param {import("puppeteer-core").Page} page
   * @param {string} name
   * @param {"chromium" | "firefox"} kind
   * @param {string[]} log what the page wrote to the console
   * @param {string[]} errors what nobody caught in it
   */
  constructor(page, name, kind, log, errors) {
    Object.assign(this, { page, name, kind, log, errors });
    this.page = page;
    this.name = name;
    this.kind = kind;
    this.log = log;
    this.errors = errors;
  }

  // ---- What a person does ------------------------------------------------------------------------------------------

  /** Starts a meeting from the start page and gives its link. @param {string} url */
  async start(url) {
    await this.page.goto(url);
    await this.enter();
    return /** @type {Promise<string>} */ (this.attribute("copy-link", "data-link"));
  }

  /** @param {string} link */
  async join(link) {
    await this.page.goto(link);
    await this.enter();
  }

  /** Types the name at the door and waits for the call. */
  async enter() {
    await this.fillName();
    await this.click("go");
    await this.inCall();
  }

  async fillName() {
    const field = await this.find("name");
    await field.evaluate((input) => input.select());
    await field.type(this.name);
  }

  async inCall() {
    await eventually(`${this.name} in the call`, async () => {
      const call = await this.page.$(`${byTestid("call")}[data-phase="call"]`);
      if (call) return true;
      const message = await this.page.$eval("h1", (title) => title.parentElement?.textContent ?? "").catch(() => "");
      throw new Error(`the page says: ${message}`);
    }, { within: 30_000 });
  }

  /** Comes to the page and clicks. A page behind others is not drawn, and what is not drawn cannot be clicked on. @param {string} id */
  async click(id) {
    await this.page.bringToFront();
    await (await this.find(id)).click();
  }

  leave() {
    return this.click("leave");
  }

  /** Opens one of the panels, if it is not open. @param {"security" | "chat"} panel */
  async openPanel(panel) {
    if (!(await this.page.$(byTestid(panel)))) await this.click(`panel-${panel}`);
    await this.find(panel);
  }

  /** @param {string} text */
  async write(text) {
    await this.openPanel("chat");
    const field = await this.find("chat-text");
    await field.type(text);
    await field.press("Enter");
  }

  async close() {
    await this.page.browserContext().close().catch(() => undefined);
  }

  // ---- What a person sees ------------------------------------------------------------------------------------------

  /** @param {string} id */
  async find(id) {
    const element = await this.page.waitForSelector(byTestid(id), { timeout: 20_000 });
    if (!element) throw new Error(`no ${id} on ${this.name}'s page`);
    return element;
  }

  /** @param {string} id @param {string} name */
  async attribute(id, name) {
    return (await this.find(id)).evaluate((element, name) => element.getAttribute(name), name);
  }

  /** @returns {Promise<View>} */
  view() {
    return this.page.evaluate(() => {
      const call = document.querySelector('[data-testid="call"]');
      const read = (/** @type {string} */ id) => document.querySelector(`[data-testid="${id}"]`)?.textContent ?? "";
      const all = (/** @type {string} */ id) => [...document.querySelectorAll(`[data-testid="${id}"]`)].map((element) => /** @type {HTMLElement} */ (element).dataset);
      return {
        phase: call?.dataset.phase ?? "none",
        epoch: Number(call?.dataset.epoch ?? -1),
        code: [...document.querySelectorAll('[data-testid="code"] span')].map((group) => group.textContent).join(" "),
        tiles: all("tile").map(({ leaf, name, me, picture, sound }) => ({ leaf, name, me: me === "true", picture, sound })),
        screens: all("screen-tile").map(({ leaf, name, picture }) => ({ leaf, name, picture })),
        roster: all("member").map(({ leaf, name, trust }) => ({ leaf, name, trust })),
        headline: read("headline"),
        notices: read("notices"),
        relay: call?.dataset.relay ?? "none",
        delivery: call?.dataset.delivery ?? "none",
      };
    });
  }

  /** The lines of the chat, as `name: text`. */
  async chat() {
    await this.openPanel("chat");
    return this.page.$$eval(byTestid("chat-line"), (lines) =>
      lines.map((line) => `${line.querySelector("strong")?.textContent}: ${line.querySelector(".line-text")?.textContent}`),
    );
  }

  /** What a tile shows now: whether there is a picture at all, and whether anything is on it. @param {string} name */
  picture(name, testid = "tile") {
    return this.page.evaluate(
      (name, testid) => {
        const video = document.querySelector(`[data-testid="${testid}"][data-name="${CSS.escape(name)}"] video`);
        if (!(video instanceof HTMLVideoElement) || video.videoWidth === 0) return null;
        const canvas = Object.assign(document.createElement("canvas"), { width: 32, height: 18 });
        const paint = canvas.getContext("2d");
        paint.drawImage(video, 0, 0, 32, 18);
        const pixels = paint.getImageData(0, 0, 32, 18).data;
        let light = 0;
        for (let at = 0; at < pixels.length; at += 4) light = Math.max(light, pixels[at], pixels[at + 1], pixels[at + 2]);
        return { width: video.videoWidth, height: video.videoHeight, light };
      },
      name,
      testid,
    );
  }

  /** Waits until this person sees another's picture, lit and moving. @param {string} name @param {{ testid?: string, within?: number }} [options] */
  async sees(name, { testid = "tile", within = 30_000 } = {}) {
    await eventually(`${this.name} sees ${name}`, async () => {
      const picture = await this.picture(name, testid);
      return picture !== null && picture.light > 40;
    }, { within });
    const before = await this.decoded(name, testid);
    await eventually(`${name}'s picture moves at ${this.name}`, async () => (await this.decoded(name, testid)) > before, { within });
  }

  // ---- Counts, by the test build -----------------------------------------------------------------------------------

  /** Frames decoded for the picture in somebody's tile. @param {string} name */
  async decoded(name, testid = "tile") {
    return (await this.inbound(name, testid))?.framesDecoded ?? 0;
  }

  /** Frames opened of somebody's camera, shown or not. @param {string} name */
  async opened(name) {
    const leaf = (await this.view()).tiles.find((tile) => tile.name === name)?.leaf;
    const opener = (await this.transforms()).find(({ role, stream, leaf: of }) => role === "open" && stream === "camera" && of === Number(leaf));
    return opener?.passed ?? 0;
  }

  /** The browser's account of the stream in somebody's tile. @param {string} name @returns {Promise<any>} */
  inbound(name, testid = "tile") {
    return this.page.evaluate(
      async (name, testid) => {
        const video = document.querySelector(`[data-testid="${testid}"][data-name="${CSS.escape(name)}"] video`);
        const track = video?.srcObject?.getVideoTracks()[0]?.id;
        const all = await globalThis.conclaveTap.rtc();
        return all.find((entry) => entry.type === "inbound-rtp" && entry.trackIdentifier === track) ?? null;
      },
      name,
      testid,
    );
  }

  /** All the browser counts of RTP streams. @returns {Promise<any[]>} */
  rtc() {
    return this.page.evaluate(() => globalThis.conclaveTap.rtc());
  }

  /** Sound that came in, by stream. @returns {Promise<Map<string, { samples: number, concealed: number, energy: number }>>} */
  async sounds() {
    const inbound = (await this.rtc()).filter((entry) => entry.type === "inbound-rtp" && entry.kind === "audio");
    return new Map(inbound.map((entry) => [entry.id, { samples: entry.totalSamplesReceived ?? 0, concealed: entry.concealedSamples ?? 0, energy: entry.totalAudioEnergy ?? 0 }]));
  }

  /** What each transform in the worker let through and refused. @returns {Promise<{ id: string, role: string, stream: string | null, leaf: number | null, passed: number, dropped: Record<string, number> }[]>} */
  transforms() {
    return this.page.evaluate(() => globalThis.conclaveTap.stats());
  }

  /**
   * Frames refused by the opener so far, by reason. Not among them are those that came twice: where the relay probes a line, it repeats
   * packets by RTX (RELY-23), a browser may put their frame together once more, and the window lets go of it. Of a newcomer's, those of an epoch before their first do not count: the relay
   * forwards to them at once, and what the others sealed before they switched is not theirs to open. Frames that are late because a
   * busy machine held the worker up are left out and not refused.
   * @param {{ newcomer?: boolean }} [options]
   */
  async refused({ newcomer = false } = {}) {
    /** @type {Record<string, number>} */
    const all = {};
    for (const { role, dropped } of await this.transforms()) {
      if (role !== "open") continue;
      for (const [why, count] of Object.entries(dropped)) all[why] = (all[why] ?? 0) + count;
    }
    delete all.late;
    delete all.replayed;
    if (newcomer) delete all["epoch-over"];
    return all;
  }

  /**
   * Frames sealed since the last call: what the encoder made and what was sent, in base64.
   * @returns {Promise<{ stream: string, codec: string, key: boolean, ssrc: number, rtpTimestamp: number, clear: string, sealed: string }[]>}
   */
  sealed() {
    return this.page.evaluate(() => globalThis.conclaveTap.frames());
  }

  /** Forgets what was sealed so far: a test that wants frames of now must not get those of minutes ago. */
  async forgetSealed() {
    await this.page.evaluate(() => globalThis.conclaveTap.frames(0));
  }

  /**
   * As many frames sealed from now on, of one stream or of any.
   * @param {number} count
   * @param {{ stream?: string }} [options]
   */
  async sealsNow(count, { stream } = {}) {
    await this.forgetSealed();
    /** @type {Awaited<ReturnType<Person["sealed"]>>} */
    const frames = [];
    await eventually(`${count} frames of ${this.name}`, async () => {
      frames.push(...(await this.sealed()).filter((frame) => stream === undefined || frame.stream === stream));
      return frames.length >= count;
    });
    return frames.slice(0, count);
  }

  /** The same frames' clear bytes as `conclave audit blindness --frames` reads them. */
  async dump() {
    return Buffer.from(await this.page.evaluate(() => globalThis.conclaveTap.dump()), "base64");
  }

  /** What this person's worker says of a frame. @param {"audio" | "video"} kind @param {string} frame base64 */
  tryOpening(kind, frame) {
    return this.page.evaluate((kind, frame) => globalThis.conclaveTap.open(kind, frame), kind, frame);
  }
}

/**
 * Waits until all pages show the same epoch, code and roster, and the roster is these people; gives the view.
 * @param {Person[]} people
 */
export async function agreed(people, { within = 30_000 } = {}) {
  const names = people.map((person) => person.name).toSorted();
  await Promise.all(people.map((person) => person.openPanel("security")));
  return eventually(`${names.join(", ")} in one epoch`, async () => {
    const views = await Promise.all(people.map((person) => person.view()));
    const [first] = views;
    for (const view of views) {
      const told = JSON.stringify([view.epoch, view.phase, view.roster.map(({ name }) => name).toSorted()]);
      if (view.phase !== "call" || view.code === "" || view.code !== first.code || view.epoch !== first.epoch) throw new Error(told);
      if (JSON.stringify(view.roster.map(({ name }) => name).toSorted()) !== JSON.stringify(names)) throw new Error(told);
      // PF-06: the tiles are the tree as well.
      if (JSON.stringify(view.tiles.map(({ name }) => name).toSorted()) !== JSON.stringify(names)) throw new Error(told);
    }
    return first;
  }, { within });
}
