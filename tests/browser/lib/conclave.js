// A Conclave of the tests' own: a fresh data folder, free ports, and stopping that leaves nothing behind.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, mkdir, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./browser.js";
import { program, webApp } from "./needs.js";

/** A program that runs, with everything it said. */
class Running {
  /** @type {string} */
  log = "";
  #ended = false;

  /** @param {string[]} args @param {{ tap: boolean, environment: Record<string, string> }} options */
  constructor(args, { tap, environment }) {
    this.args = args;
    this.process = spawn(program({ tap }), args, { env: { ...process.env, ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => (this.log += text));
    }
    this.process.on("exit", () => (this.#ended = true));
    this.process.on("error", (error) => {
      this.#ended = true;
      this.log += String(error);
    });
  }

  /** Waits until it answers at an address; says its own words if it ends before. @param {string} url */
  async answers(url) {
    await eventually(`\`conclave ${this.args[0]}\` at ${url}`, async () => {
      if (this.#ended) return "ended";
      return (await fetch(url)) && "up";
    }, { within: 30_000 });
    if (this.#ended) throw new Error(`\`conclave ${this.args.join(" ")}\` ended at once:\n${this.log}`);
  }

  /** @param {NodeJS.Signals} signal SIGTERM for a clean end, SIGKILL for a crash */
  async stop(signal = "SIGTERM") {
    if (this.#ended) return this.process.exitCode;
    const exit = once(this.process, "exit");
    this.process.kill(signal);
    const patience = setTimeout(() => this.process.kill("SIGKILL"), 10_000);
    await exit;
    clearTimeout(patience);
    return this.process.exitCode;
  }
}

/** What all kinds of installation share: folders, addresses, the API. */
class Installation {
  log = "";
  /** @param {{ folder: string, http: number, media: number, tap: boolean, web: string, level: string, mediaOf?: (port: number) => string[], more?: string[] }} place */
  constructor(place) {
    Object.assign(this, place);
    this.place = place;
    this.url = `http://127.0.0.1:${place.http}`;
    this.data = join(place.folder, "data");
    /** Where a test build of the relay writes what it forwards. */
    this.relayTap = join(place.folder, "relay-tap");
  }

  get environment() {
    return this.place.tap ? { CONCLAVE_RELAY_TAP: this.relayTap } : {};
  }

  serviceArgs() {
    return ["--listen", `127.0.0.1:${this.place.http}`, "--data", this.data, "--web", this.place.web];
  }

  mediaArgs() {
    const port = this.place.media;
    return this.place.mediaOf?.(port) ?? ["--media", `127.0.0.1:${port}`];
  }

  /** @param {string[]} args */
  run(args) {
    return new Running([...args, "--log", this.place.level], { tap: this.place.tap, environment: this.environment });
  }

  /**
   * A meeting's link, made as the start page makes it; with `codec`, for calls in that codec.
   * @param {{ codec?: string }} [options]
   */
  async makeRoom({ codec, profile = "standard" } = {}) {
    const answer = await fetch(`${this.url}/api/rooms`, { method: "POST", body: JSON.stringify({ profile }) });
    if (!answer.ok) throw new Error(`no room: ${answer.status} ${await answer.text()}`);
    const { room, trust_root } = await answer.json();
    const hash = await crypto.subtle.digest("SHA-256", Buffer.from(trust_root, "base64url"));
    const query = codec ? `?codec=${codec}` : "";
    return `${this.url}/m/${room}${query}#${Buffer.from(hash).toString("base64url")}${profile === "standard" ? "" : `.${profile}`}`;
  }
}

/** `conclave up`: all in one process. */
export class Conclave extends Installation {
  /** @type {Running | null} */
  #process = null;
  #earlier = "";

  /**
   * @param {{ tap?: boolean, web?: string, level?: string, media?: (port: number) => string[], more?: string[] }} [options] `tap`: test builds of server and page;
   *   `web`: another page than the built one; `level`: of the server's log; `media`: arguments for the relay's media, by its port;
   *   `more`: further arguments
   */
  static async start({ tap = true, web = webApp({ tap }), level = "info", media, more = [] } = {}) {
    const conclave = new Conclave({ ...(await freePlace()), tap, web, level, mediaOf: media, more });
    await conclave.up();
    return conclave;
  }

  async up() {
    this.#process = this.run(["up", ...this.serviceArgs(), ...this.mediaArgs(), ...(this.place.more ?? [])]);
    await this.#process.answers(this.url);
  }

  /** Everything the server ever said. @returns {string} */
  get words() {
    return this.#earlier + (this.#process?.log ?? "");
  }

  /** @param {NodeJS.Signals} [signal] */
  async down(signal) {
    const code = await this.#process?.stop(signal);
    this.#earlier = this.words;
    this.#process = null;
    return code;
  }

  /** Stops it and removes what it kept. */
  async end() {
    await this.down();
    await rm(this.place.folder, { recursive: true, force: true });
  }
}

/** Key server and relay as processes of their own, so that one can be restarted without the other. */
export class SplitConclave extends Installation {
  /** @type {Running | null} */
  keyServer = null;
  /** @type {Running | null} */
  relay = null;
  #tokenKey = "";

  /** `outside`: the address at which clients are told the relay's signalling is; the relay listens at 127.0.0.1 on the same port. */
  static async start({ tap = true, web = webApp({ tap }), level = "info", media, outside = "127.0.0.1" } = {}) {
    const split = new SplitConclave({ ...(await freePlace()), tap, web, level, mediaOf: media });
    split.signalling = await freePort();
    split.outside = outside;
    await split.startKeyServer();
    await split.startRelay();
    return split;
  }

  async startKeyServer() {
    const relayUrl = `ws://${this.outside}:${this.signalling}/relay/v1`;
    this.keyServer = this.run(["key-server", ...this.serviceArgs(), "--relay-url", relayUrl]);
    await this.keyServer.answers(this.url);
    const said = await eventually("the relay's token key, printed", () => /--token-key is ([0-9a-f]{64})/.exec(this.keyServer?.log ?? "")?.[1]);
    // Kept across restarts: else a running relay would refuse everybody afterwards.
    if (this.#tokenKey && this.#tokenKey !== said) throw new Error("the token key changed at a restart");
    this.#tokenKey = said;
  }

  async startRelay() {
    this.relay = await this.anotherRelay(this.signalling, this.mediaArgs());
  }

  /** A relay of this key server at another place. Who starts it stops it. @param {number} signalling @param {string[]} args */
  async anotherRelay(signalling, args) {
    const address = `127.0.0.1:${signalling}`;
    const relay = this.run(["sfu", "--listen", address, "--token-key", this.#tokenKey, ...args]);
    await relay.answers(`http://${address}/`);
    return relay;
  }

  async end() {
    await Promise.all([this.keyServer?.stop(), this.relay?.stop()]);
    await rm(this.place.folder, { recursive: true, force: true });
  }
}

/**
 * A command of the program that ends by itself, such as an audit.
 * @param {string[]} args
 * @returns {Promise<{ code: number | null, text: string }>}
 */
export async function runToEnd(args) {
  const child = spawn(program(), args, { stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (part) => (text += part));
  const [code] = await once(child, "close");
  return { code, text };
}

async function freePlace() {
  const folder = await mkdtemp(join(tmpdir(), "conclave-test-"));
  await mkdir(join(folder, "relay-tap"));
  return { folder, http: await freePort(), media: await freeMediaPort() };
}

/** @returns {Promise<number>} */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}

/** A port where neither UDP nor TCP is taken: the relay uses both. @returns {Promise<number>} */
export async function freeMediaPort() {
  for (;;) {
    const port = await freePort();
    const socket = createSocket("udp4").bind(port, "127.0.0.1");
    const bound = await once(socket, "listening").then(() => true, () => false);
    socket.close();
    if (bound) return port;
  }
}
