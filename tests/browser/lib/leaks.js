// Searching texts for secrets, in whatever spelling a program may have printed them.

const WINDOW = 8;

/**
 * Every stretch of 8 bytes that a text gives away: as it stands, and by its runs of hexadecimal, base64 and lists of numbers.
 * @param {string} text
 * @returns {Set<string>} as Latin-1 strings of 8 characters
 */
export function windowsOf(text) {
  const windows = new Set();
  const take = (/** @type {Buffer} */ bytes) => {
    const latin = bytes.toString("latin1");
    for (let at = 0; at + WINDOW <= latin.length; at += 1) windows.add(latin.slice(at, at + WINDOW));
  };
  take(Buffer.from(text));
  for (const [run] of text.matchAll(/(?:[0-9a-fA-F]{2}[ :]?){8,}/g)) {
    const digits = run.replaceAll(/[ :]/g, "");
    for (const from of [0, 1]) take(Buffer.from(digits.slice(from, digits.length - ((digits.length - from) % 2)), "hex"));
  }
  for (const [run] of text.matchAll(/[A-Za-z0-9+/_-]{11,}/g)) {
    // Where the secret begins within a longer run is not known: a byte's place repeats every four characters.
    for (let from = 0; from < 4; from += 1) take(Buffer.from(run.slice(from).replaceAll("+", "-").replaceAll("/", "_"), "base64url"));
  }
  for (const [run] of text.matchAll(/(?:\b\d{1,3}\b[,\s]+){7,}\d{1,3}\b/g)) {
    take(Buffer.from(run.split(/[,\s]+/).map(Number).filter((number) => number < 256)));
  }
  return windows;
}

/**
 * Where 8 consecutive bytes of a secret stand among a text's windows, or -1. Stretches of fewer than four different bytes are
 * anybody's and are left out.
 * @param {Set<string>} windows
 * @param {Buffer} secret
 */
export function leakOf(windows, secret) {
  const latin = secret.toString("latin1");
  for (let at = 0; at + WINDOW <= latin.length; at += 1) {
    const window = latin.slice(at, at + WINDOW);
    if (windows.has(window) && new Set(window).size >= 4) return at;
  }
  return -1;
}
