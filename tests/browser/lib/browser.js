// Real browsers, headless, with fake cameras and microphones, and open to loopback addresses.
import { getuid } from "node:process";
import puppeteer from "puppeteer-core";
import { browserProgram } from "./needs.js";

/** @typedef {"chromium" | "firefox"} Kind */

/** Both, for tests that say the same of each. @type {Kind[]} */
export const KINDS = ["chromium", "firefox"];

/** Pages that nobody looks at must go on encoding and decoding at full speed. */
const UNTHROTTLED = [
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

const CHROMIUM = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
  "--auto-select-desktop-capture-source=Entire screen",
  "--autoplay-policy=no-user-gesture-required",
  "--allow-loopback-in-peer-connection",
];

const FIREFOX = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.peerconnection.ice.loopback": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "media.getdisplaymedia.enabled": true,
  "media.autoplay.default": 0,
  "permissions.default.camera": 1,
  "permissions.default.microphone": 1,
  "dom.min_background_timeout_value": 4,
};

/**
 * Starts a browser. Close it with `browser.close()`, best in an `after` hook.
 * @param {Kind} kind
 * @param {{ args?: string[], prefs?: Record<string, string | number | boolean>, acceptInsecureCerts?: boolean, throttled?: boolean }} [extra]
 *   `throttled`: pages in the background are treated as they are on people's machines
 */
export async function launch(kind, { args = [], prefs = {}, acceptInsecureCerts = false, throttled = false } = {}) {
  const executablePath = browserProgram(kind);
  if (kind === "firefox") {
    return puppeteer.launch({
      browser: "firefox",
      executablePath,
      headless: true,
      args,
      acceptInsecureCerts,
      extraPrefsFirefox: { ...FIREFOX, ...(throttled && { "dom.min_background_timeout_value": 1_000 }), ...prefs },
      protocolTimeout: 60_000,
    });
  }
  // Chromium refuses to put root into its sandbox; anybody else keeps it.
  const sandbox = getuid?.() === 0 ? ["--no-sandbox"] : [];
  return puppeteer.launch({
    browser: "chrome",
    executablePath,
    headless: true,
    args: [...CHROMIUM, ...(throttled ? [] : UNTHROTTLED), ...sandbox, ...args],
    ignoreDefaultArgs: throttled ? UNTHROTTLED : [],
    protocolTimeout: 60_000,
  });
}

/** Each page is a person's own screen: that others lie before it in one browser does not mean that nobody looks at it. */
function lookedAt() {
  let shown = true;
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (shown ? "visible" : "hidden") });
  Object.assign(globalThis, {
    /** Turns to another tab, or comes back. @param {boolean} to */
    turn(to) {
      shown = to;
      document.dispatchEvent(new Event("visibilitychange"));
    },
  });
}

/**
 * A page whose words are kept: console lines and uncaught errors.
 * @param {import("puppeteer-core").Browser} browser
 * @param {{ width?: number, height?: number, ownContext?: boolean }} [options] `ownContext`: with storage of its own,
 *   as another person on another machine would have
 */
export async function openPage(browser, { width = 1280, height = 800, ownContext = true } = {}) {
  const page = ownContext ? await (await browser.createBrowserContext()).newPage() : await browser.newPage();
  await page.setViewport({ width, height });
  await page.evaluateOnNewDocument(lookedAt);
  /** @type {string[]} */
  const log = [];
  /** @type {string[]} */
  const errors = [];
  page.on("console", (message) => log.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => errors.push(error instanceof Error ? error.message : String(error)));
  return { page, log, errors };
}

/**
 * Waits until `probe` gives something that is not null, undefined or false, and gives it back. The limit is for giving up, not
 * something a test asserts.
 * @template T
 * @param {string} what for the message when it does not come
 * @param {() => Promise<T> | T} probe
 * @param {{ within?: number, every?: number }} [limits] in milliseconds
 */
export async function eventually(what, probe, { within = 20_000, every = 100 } = {}) {
  const end = Date.now() + within;
  let last;
  for (;;) {
    try {
      const found = await probe();
      if (found !== null && found !== undefined && found !== false) return found;
      last = found;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what}: did not come within ${within} ms (last: ${last})`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}
