// The workers of a page, for tests of what becomes of a call when one fails. To be run in the page before its own code.

/**
 * Keeps the page's workers in `globalThis.workers`. With `globalThis.doomed`, each new one is ended as soon as it is ready.
 * With `globalThis.deaf`, the page learns of no worker's end by itself, and has to ask.
 */
export function watchWorkers() {
  const Real = globalThis.Worker;
  const workers = [];
  Object.assign(globalThis, {
    workers,
    doomed: false,
    deaf: false,
    Worker: class extends Real {
      constructor(url, options) {
        super(url, options);
        workers.push(this);
        this.addEventListener("message", ({ data }) => globalThis.doomed && data.type === "ready" && this.terminate());
      }
    },
  });
  if (!navigator.locks) return;
  const request = navigator.locks.request.bind(navigator.locks);
  navigator.locks.request = (name, options, granted) => request(name, options, (lock) => (globalThis.deaf ? undefined : granted(lock)));
}

/** Without RTCRtpScriptTransform, Chromium has createEncodedStreams alone. */
export function onlyStreams() {
  delete globalThis.RTCRtpScriptTransform;
}

/** Keeps what the page says of its state, as it changes, in `globalThis.told`. */
export function listen() {
  const told = [];
  Object.assign(globalThis, { told });
  const look = () => {
    const call = document.querySelector('[data-testid="call"]');
    if (!call) return;
    const read = (id) => document.querySelector(`[data-testid="${id}"]`)?.textContent ?? "";
    const now = { phase: call.dataset.phase, headline: read("headline"), connection: read("connection"), notices: read("notices") };
    if (JSON.stringify(now) !== JSON.stringify(told.at(-1))) told.push(now);
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
}
