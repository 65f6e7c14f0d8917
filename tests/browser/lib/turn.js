// Debian's coturn on loopback, with a certificate of its own for TLS.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./browser.js";
import { freePort } from "./conclave.js";

const SECRET = "north-star-of-the-sea";

export class TurnServer {
  static async start() {
    const turn = new TurnServer();
    turn.folder = await mkdtemp(join(tmpdir(), "conclave-turn-"));
    [turn.plain, turn.tls] = [await freePort(), await freePort()];
    const [key, certificate] = [join(turn.folder, "key.pem"), join(turn.folder, "certificate.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
    const made = spawnSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout", key, "-out", certificate, ...subject]);
    if (made.status !== 0) throw new Error(`no certificate: ${made.stderr}`);
    turn.secretFile = join(turn.folder, "secret");
    await writeFile(turn.secretFile, `${SECRET}\n`, { mode: 0o600 });
    const settings = [
      "listening-ip=127.0.0.1", "relay-ip=127.0.0.1", "allow-loopback-peers", `listening-port=${turn.plain}`, `tls-listening-port=${turn.tls}`,
      "use-auth-secret", `static-auth-secret=${SECRET}`, "realm=conclave.test", "fingerprint", `cert=${certificate}`, `pkey=${key}`, "no-cli",
      "cli-password=unused", "verbose", "log-file=stdout", "simple-log", `pidfile=${join(turn.folder, "pid")}`, `userdb=${join(turn.folder, "db")}`,
    ];
    const file = join(turn.folder, "turnserver.conf");
    await writeFile(file, settings.join("\n") + "\n", { mode: 0o600 });
    turn.log = "";
    turn.process = spawn("turnserver", ["-c", file], { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [turn.process.stdout, turn.process.stderr]) stream.setEncoding("utf8").on("data", (text) => (turn.log += text));
    await eventually("coturn listens", async () => {
      const socket = connect(turn.tls, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
      return true;
    });
    return turn;
  }

  /** @param {...("turn" | "turns")} kinds */
  args(...kinds) {
    const urls = {
      turn: [`turn:127.0.0.1:${this.plain}?transport=udp`],
      // Firefox takes no TLS at an address without a name, and the name may mean an address that coturn does not listen at.
      turns: ["localhost", "127.0.0.1"].map((host) => `turns:${host}:${this.tls}?transport=tcp`),
    };
    return ["--turn-url", kinds.flatMap((kind) => urls[kind]).join(","), "--turn-secret-file", this.secretFile];
  }

  async end() {
    if (this.process.exitCode === null) {
      const exit = once(this.process, "exit");
      this.process.kill("SIGKILL");
      await exit;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Makes every connection of a page go through TURN and nothing else. Runs in the page. */
export function relayedOnly() {
  const Plain = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Plain {
    constructor(configuration) {
      super({ ...configuration, iceTransportPolicy: "relay" });
    }
    setConfiguration(configuration) {
      super.setConfiguration({ ...configuration, iceTransportPolicy: "relay" });
    }
  };
}
