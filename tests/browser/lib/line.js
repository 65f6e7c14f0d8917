// A line between one browser and the relay, over real sockets: what comes from the relay waits in a queue before a bottleneck and is
// dropped when the queue is full. The page is told to find the relay behind it.
import { createSocket } from "node:dgram";
import { once } from "node:events";

const QUEUE_BYTES = 40_000;
const DELAY_MS = 15;

export class Line {
  /** Bits a second towards the browser; without a limit at first. */
  capacity = Infinity;
  dropped = 0;
  /** Which datagrams towards the browser get lost by chance. @type {(datagram: Buffer) => boolean} */
  loses = () => false;
  /** Is shown all that passes. @type {(datagram: Buffer, to: "relay" | "browser") => void} */
  watches = () => undefined;
  #queue = /** @type {Buffer[]} */ ([]);
  #queued = 0;
  /** Bytes that may leave now. */
  #credit = 0;
  #last = performance.now();
  /** @type {{ port: number, address: string } | null} */
  #browser = null;

  /** @param {number} relayPort */
  static async open(relayPort) {
    const line = new Line();
    line.inside = createSocket("udp4");
    line.outside = createSocket("udp4");
    for (const socket of [line.inside, line.outside]) {
      socket.bind(0, "127.0.0.1");
      await once(socket, "listening");
    }
    line.port = line.outside.address().port;
    line.outside.on("message", (datagram, from) => {
      line.#browser = from;
      line.watches(datagram, "relay");
      line.inside.send(datagram, relayPort, "127.0.0.1");
    });
    line.inside.on("message", (datagram) => {
      line.watches(datagram, "browser");
      line.#enqueue(datagram);
    });
    line.timer = setInterval(() => line.#drain(), 2);
    return line;
  }

  #enqueue(datagram) {
    if (this.loses(datagram)) this.dropped += 1;
    else if (this.capacity === Infinity) this.#deliver(datagram);
    else if (this.#queued + datagram.length > QUEUE_BYTES) this.dropped += 1;
    else {
      this.#queue.push(datagram);
      this.#queued += datagram.length;
    }
  }

  #drain() {
    const now = performance.now();
    const most = this.capacity === Infinity ? Infinity : (this.capacity / 8_000) * 10;
    this.#credit = Math.min(this.#credit + ((now - this.#last) * this.capacity) / 8_000, most);
    this.#last = now;
    while (this.#queue.length > 0 && this.#credit > 0) {
      const datagram = /** @type {Buffer} */ (this.#queue.shift());
      this.#queued -= datagram.length;
      this.#credit -= datagram.length + 28;
      this.#deliver(datagram);
    }
  }

  #deliver(datagram) {
    setTimeout(() => {
      if (this.#browser) this.outside?.send(datagram, this.#browser.port, this.#browser.address, () => undefined);
    }, DELAY_MS);
  }

  /** Before the page is visited: its connections go over this line. @param {import("./person.js").Person} person @param {number} relayPort */
  async carry(person, relayPort) {
    await person.page.evaluateOnNewDocument(
      (from, to) => {
        const original = RTCPeerConnection.prototype.setRemoteDescription;
        RTCPeerConnection.prototype.setRemoteDescription = function redirected(description) {
          const lines = description.sdp.split("\r\n").filter((line) => !line.startsWith("a=candidate:") || line.includes(` udp `));
          const sdp = lines.map((line) => (line.startsWith("a=candidate:") ? line.replace(` ${from} typ`, ` ${to} typ`) : line)).join("\r\n");
          return original.call(this, { type: description.type, sdp });
        };
      },
      relayPort,
      this.port,
    );
  }

  close() {
    clearInterval(this.timer);
    this.inside?.close();
    this.outside?.close();
    this.outside = undefined;
  }
}
