// What can be read of RTP beside a running call: headers, which SRTP leaves in clear, and the payload descriptors that browsers write before a
// sealed frame. Facts only, for docs/what-the-relay-learns.md.

/** Header extensions by the last words of their URI. */
const NAMES = new Map([
  ["sdes:mid", "mid"],
  ["sdes:rtp-stream-id", "rid"],
  ["sdes:repaired-rtp-stream-id", "repaired-rid"],
  ["transport-wide-cc-extensions-01", "transport-wide number"],
  ["dependency-descriptor-rtp-header-extension", "Dependency Descriptor"],
]);

/**
 * What a description says of its streams: extensions by id, and codecs by payload type.
 * @param {string} sdp
 */
export function agreedOn(sdp) {
  /** @type {Map<number, string>} */
  const extensions = new Map();
  for (const [, id, uri] of sdp.matchAll(/^a=extmap:(\d+)(?:\/\w+)? (\S+)/gm)) {
    const name = [...NAMES].find(([end]) => uri.endsWith(end))?.[1] ?? uri;
    extensions.set(Number(id), name);
  }
  /** @type {Map<number, string>} */
  const codecs = new Map();
  for (const [, type, name] of sdp.matchAll(/^a=rtpmap:(\d+) ([^/]+)/gm)) codecs.set(Number(type), name.toLowerCase());
  return { extensions, codecs };
}

/**
 * The header of an RTP packet; null for anything else (STUN, DTLS, RTCP).
 * @param {Buffer} datagram
 */
export function header(datagram) {
  if (datagram.length < 12 || datagram[0] >> 6 !== 2 || (datagram[1] >= 192 && datagram[1] < 224)) return null;
  /** @type {Map<number, Buffer>} */
  const extensions = new Map();
  let at = 12 + 4 * (datagram[0] & 15);
  if (datagram[0] & 0x10) {
    const profile = datagram.readUInt16BE(at);
    const end = at + 4 + 4 * datagram.readUInt16BE(at + 2);
    const long = profile >> 4 === 0x100;
    for (at += 4; at < end; ) {
      const [id, length, start] = long ? [datagram[at], datagram[at + 1], at + 2] : [datagram[at] >> 4, (datagram[at] & 15) + 1, at + 1];
      // Padding is a byte of its own.
      if (datagram[at] === 0) {
        at += 1;
        continue;
      }
      extensions.set(id, datagram.subarray(start, start + length));
      at = start + length;
    }
  }
  return { payloadType: datagram[1] & 127, ssrc: datagram.readUInt32BE(8), contributors: datagram[0] & 15, extensions };
}

/**
 * What the structure in a Dependency Descriptor says (AV1 RTP specification, appendix A); null where there is none.
 * @param {Buffer} descriptor
 */
export function structure(descriptor) {
  let at = 0;
  const read = (/** @type {number} */ bits) => {
    let value = 0;
    for (let end = at + bits; at < end; at += 1) value = value * 2 + ((descriptor[at >> 3] >> (7 - (at & 7))) & 1);
    return value;
  };
  const among = (/** @type {number} */ count) => {
    let bits = 0;
    while (1 << (bits + 1) <= count) bits += 1;
    const spare = (1 << (bits + 1)) - count;
    const value = read(bits);
    return value < spare ? value : value * 2 + read(1) - spare;
  };
  if (descriptor.length <= 3) return null;
  read(24);
  if (read(1) === 0) return null;
  read(4);
  read(6);
  const targets = read(5) + 1;
  let [spatial, temporal, mostTemporal, templates] = [0, 0, 0, 0];
  for (;;) {
    templates += 1;
    const next = read(2);
    if (next === 3) break;
    if (next === 1) temporal += 1;
    if (next === 2) [spatial, temporal] = [spatial + 1, 0];
    mostTemporal = Math.max(mostTemporal, temporal);
  }
  read(2 * targets * templates);
  for (let template = 0; template < templates; template += 1) while (read(1) === 1) read(4);
  const chains = among(targets + 1);
  if (chains > 0) {
    for (let target = 0; target < targets; target += 1) among(chains);
    read(4 * templates * chains);
  }
  return { targets, spatial: spatial + 1, temporal: mostTemporal + 1, chains, resolutions: read(1) === 1 };
}

/**
 * The records of a relay's capture (`sfu-relay/src/tap.rs`).
 * @param {Buffer} capture
 */
export function* records(capture) {
  for (let at = 0; at + 9 <= capture.length; ) {
    const length = capture.readUInt32BE(at);
    if (at + 9 + length > capture.length) return;
    yield { timestamp: capture.readUInt32BE(at + 4), payload: capture.subarray(at + 9, at + 9 + length) };
    at += 9 + length;
  }
}

/**
 * How many bytes stand in a packet before what it carries of a sealed frame (its shell included); null: it is no packet of that frame.
 * @param {Buffer} payload
 * @param {Buffer} sealed
 */
export function before(payload, sealed) {
  for (let bytes = 0; bytes < Math.min(64, payload.length - 16); bytes += 1) {
    if (sealed.indexOf(payload.subarray(bytes)) >= 0) return bytes;
  }
  return null;
}

/** The fields of payload descriptors, by codec: each a name where a packet has it. @type {Record<string, (payload: Buffer) => (string | false)[]>} */
const FIELDS = {
  opus: () => [],
  vp8: ([first, second]) => {
    const more = first & 0x80 ? second : 0;
    return [
      first & 0x20 && "not referred to",
      first & 0x10 && "start",
      more & 0x80 && "picture id",
      more & 0x40 && "TL0 index",
      more & 0x20 && "temporal layer",
      more & 0x10 && "key index",
    ].map((field) => field || false);
  },
  vp9: ([first]) =>
    [
      first & 0x80 && "picture id",
      first & 0x40 && "refers to others",
      first & 0x20 && "layers",
      first & 0x10 && "which ones it refers to",
      first & 0x08 && "start",
      first & 0x04 && "end",
      first & 0x02 && "structure",
      first & 0x01 && "not referred to by higher layers",
    ].map((field) => field || false),
  // That an OBU goes on, or will, hangs on its size.
  av1: ([first]) => [first & 0x30 && "number of OBUs", first & 0x08 && "new sequence"].map((field) => field || false),
  h264: ([first, second]) => {
    const type = first & 31;
    return [type === 28 ? `piece of a type ${second & 31}` : type === 24 ? "several together" : `type ${type}`];
  },
};

/** @param {string} codec @param {Buffer} payload */
export const fields = (codec, payload) => FIELDS[codec](payload).filter((field) => field !== false);
