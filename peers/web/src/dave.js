// DAVE as `davey` does it in WebAssembly: two members of a group that a voice gateway made, which is played here.
import "./buffer.js";
import { getDefaultContext, instantiateNapiModuleSync, WASI } from "@napi-rs/wasm-runtime";

const [ALICE, BOB, CHANNEL] = ["1", "2", "3"];
const PROTOCOL_VERSION = 1;

/** The package's own loader, without the threads that it starts for work that frames are not. @param {ArrayBuffer} file */
function load(file) {
  const memory = new WebAssembly.Memory({ initial: 4000, maximum: 65_536, shared: true });
  const { napiModule } = instantiateNapiModuleSync(file, {
    context: getDefaultContext(),
    asyncWorkPoolSize: 0,
    wasi: new WASI({ version: "preview1" }),
    overwriteImports(imports) {
      imports.env = { ...imports.env, ...imports.napi, ...imports.emnapi, memory };
      return imports;
    },
    beforeInit({ instance }) {
      for (const name of Object.keys(instance.exports)) if (name.startsWith("__napi_register__")) instance.exports[name]();
    },
  });
  return napiModule.exports;
}

// ---- The gateway's two messages, in the TLS presentation language (RFC 9420 sections 6 and 12) ---------------------------

const bytes = (...parts) => Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])));
const u16 = (value) => [value >> 8, value & 0xff];
const u32 = (value) => [...u16(value >>> 16), ...u16(value & 0xffff)];
const u64 = (value) => [...u32(0), ...u32(value)];
const vector = (content) => (content.length < 64 ? bytes(content.length, content) : bytes(u16(0x4000 | content.length), content));
const text = (words) => new TextEncoder().encode(words);

/** ECDSA as MLS writes it: two DER integers. @param {Uint8Array} raw */
function der(raw) {
  const integers = [raw.subarray(0, 32), raw.subarray(32)].map((number) => {
    const first = number.findIndex((byte) => byte !== 0);
    const short = number.subarray(first);
    return bytes(2, short.length + (short[0] >> 7), short[0] >> 7 ? [0] : [], short);
  });
  return bytes(0x30, integers[0].length + integers[1].length, ...integers);
}

class Gateway {
  static async make() {
    const gateway = new Gateway();
    gateway.keys = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
    gateway.publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", gateway.keys.publicKey));
    return gateway;
  }

  /** ExternalSender: signature key, basic credential. */
  get sender() {
    return bytes(vector(this.publicKey), u16(1), vector([9]));
  }

  /** A proposal from the gateway, as a list with one message. @param {Uint8Array} keyPackage */
  async add(keyPackage) {
    const [external, proposal, addOf] = [2, 2, 1];
    const content = bytes(vector(u64(Number(CHANNEL))), u64(0), external, u32(0), vector([]), proposal, u16(addOf), keyPackage);
    const [mls10, publicMessage] = [u16(1), u16(1)];
    const signed = bytes(vector(text("MLS 1.0 FramedContentTBS")), vector(bytes(mls10, publicMessage, content)));
    const raw = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, this.keys.privateKey, signed);
    return vector(bytes(mls10, publicMessage, content, vector(der(new Uint8Array(raw)))));
  }
}

/** Alice seals, Bob opens. @param {ArrayBuffer} file */
export async function makeDave(file) {
  const { DAVESession, Codec, MediaType, ProposalsOperationType } = load(file);
  const buffer = ({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength);
  const gateway = await Gateway.make();
  const [alice, bob] = [ALICE, BOB].map((user) => {
    const session = new DAVESession(PROTOCOL_VERSION, user, CHANNEL);
    session.setExternalSender(buffer(gateway.sender));
    return session;
  });
  const proposals = await gateway.add(bob.getSerializedKeyPackage());
  const { commit, welcome } = alice.processProposals(ProposalsOperationType.APPEND, buffer(proposals));
  alice.processCommit(commit);
  bob.processWelcome(welcome);
  const [audio, video] = [MediaType.AUDIO, MediaType.VIDEO];
  return {
    /** @param {boolean} sound @param {ArrayBuffer} plain @returns {Uint8Array} */
    seal: (sound, plain) => alice.encrypt(sound ? audio : video, sound ? Codec.OPUS : Codec.VP8, Buffer.from(plain)),
    /** @param {boolean} sound @param {ArrayBuffer} sealed @returns {Uint8Array} */
    open: (sound, sealed) => bob.decrypt(ALICE, sound ? audio : video, Buffer.from(sealed)),
  };
}
