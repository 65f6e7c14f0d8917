// A network between browsers and the relay that can change under a call: forwarders on an address of their own, which
// lose a client's old ways and let new ones through, as when Wi-Fi goes and mobile data takes over.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";

/** Where the relay is by its candidates and signalling address; it is bound at 127.0.0.1 and the forwarders here. */
export const OUTSIDE = "127.0.0.2";
const INSIDE = "127.0.0.1";

/** Forwards datagrams as a NAT does: each client has a port of its own towards the relay. */
export class Nat {
  /** @type {Map<string, import("node:dgram").Socket>} */
  #ways = new Map();
  /** @type {Set<string>} Clients whose network is gone. */
  #swallowed = new Set();

  /** @param {number} port the relay's, on both sides */
  static async open(port) {
    const nat = new Nat();
    nat.port = port;
    nat.socket = createSocket("udp4").bind(port, OUTSIDE);
    await once(nat.socket, "listening");
    nat.socket.on("message", (datagram, from) => nat.#outwards(datagram, from));
    return nat;
  }

  /** Every way so far is dead for good; a client must come from another address. */
  changeNetworks() {
    for (const client of this.#ways.keys()) this.#swallowed.add(client);
    this.#closeWays();
  }

  /** The relay sees every client at another address from now on, and the clients do not know. */
  rebind() {
    this.#closeWays();
  }

  close() {
    this.#closeWays();
    this.socket.close();
  }

  #closeWays() {
    for (const way of this.#ways.values()) way.close();
    this.#ways.clear();
  }

  #outwards(datagram, from) {
    const client = `${from.address}:${from.port}`;
    if (this.#swallowed.has(client)) return;
    let way = this.#ways.get(client);
    if (!way) {
      way = createSocket("udp4").bind(0, INSIDE);
      way.on("message", (answer) => this.socket.send(answer, from.port, from.address));
      this.#ways.set(client, way);
    }
    way.send(datagram, this.port, INSIDE);
  }
}

/** Forwards connections, for the relay's signalling. */
export class Gate {
  /** @type {Set<import("node:net").Socket>} */
  #sockets = new Set();
  /** Connections that came while nothing is let through. @type {import("node:net").Socket[] | null} */
  #held = null;

  /** @param {number} port the relay's, on both sides; `target` may be changed, as a load balancer does */
  static async open(port) {
    const gate = new Gate();
    gate.target = port;
    gate.server = createServer((client) => gate.#forward(client)).listen(port, OUTSIDE);
    await once(gate.server, "listening");
    return gate;
  }

  /** Nothing passes any more on the connections so far. Neither end is told. */
  changeNetworks() {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  /** New connections are taken and go no further, until `release`. Those that are there go on. */
  hold() {
    this.#held = [];
  }

  /** How many are held. */
  get held() {
    return this.#held?.length ?? 0;
  }

  release() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const client of held) this.#forward(client);
  }

  close() {
    for (const socket of [...this.#sockets, ...(this.#held ?? [])]) socket.destroy();
    this.server.close();
  }

  #forward(client) {
    if (this.#held) return void this.#held.push(client);
    const relay = connect(this.target, INSIDE);
    for (const [from, to] of [[client, relay], [relay, client]]) {
      this.#sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
    }
  }
}
