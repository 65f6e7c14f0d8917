// Makes conclave.json: known answers for RFC 9605 sections 5.1 and 5.2, for the shells, and for frames that must be
// refused. It shares nothing with the Rust code but the documents, so that the two check each other. Node >= 20:
//
//     node e2ee-core/vectors/generate.mjs > e2ee-core/vectors/conclave.json

import { createCipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';

const SUITES = {
  1: { aes: 'aes-128-ctr', hash: 'sha256', enc: 16, auth: 32, tag: 10 },
  2: { aes: 'aes-128-ctr', hash: 'sha256', enc: 16, auth: 32, tag: 8 },
  3: { aes: 'aes-128-ctr', hash: 'sha256', enc: 16, auth: 32, tag: 4 },
  4: { aes: 'aes-128-gcm', hash: 'sha256', enc: 16, auth: 0, tag: 16 },
  5: { aes: 'aes-256-gcm', hash: 'sha512', enc: 32, auth: 0, tag: 16 },
  6: { aes: 'aes-256-ctr', hash: 'sha512', enc: 32, auth: 64, tag: 10 },
  7: { aes: 'aes-256-ctr', hash: 'sha512', enc: 32, auth: 64, tag: 8 },
  8: { aes: 'aes-256-ctr', hash: 'sha512', enc: 32, auth: 64, tag: 4 },
};
const STREAMS = { microphone: 0, camera: 1, 'screen-video': 2, 'screen-audio': 3 };

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const from = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const u64 = (value) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(value)); return b; };
const u16 = (value) => { const b = Buffer.alloc(2); b.writeUInt16BE(value); return b; };
const filled = (seed, length) => {
  let out = Buffer.alloc(0);
  for (let i = 0; out.length < length; i++) out = Buffer.concat([out, createHash('sha256').update(`${seed}/${i}`).digest()]);
  return out.subarray(0, length);
};
const keyLength = (suite) => SUITES[suite].enc + SUITES[suite].auth;

// hkdfSync extracts and expands in one; "" as salt is RFC 9605's.
const derive = (suite, base, info, length) => Buffer.from(hkdfSync(SUITES[suite].hash, base, Buffer.alloc(0), info, length));

const label = (text, kid, suite) => Buffer.concat([Buffer.from(text), u64(kid), u16(suite)]);

function number(value) {
  if (value < 8n) return { nibble: Number(value), bytes: Buffer.alloc(0) };
  let bytes = u64(value);
  while (bytes[0] === 0) bytes = bytes.subarray(1);
  return { nibble: 8 | (bytes.length - 1), bytes };
}

function header(kid, counter) {
  const k = number(BigInt(kid)), c = number(BigInt(counter));
  return Buffer.concat([Buffer.from([(k.nibble << 4) | c.nibble]), k.bytes, c.bytes]);
}

function sframe(suite, base, kid, counter, metadata, plaintext) {
  const s = SUITES[suite];
  const key = derive(suite, base, label('SFrame 1.0 Secret key ', kid, suite), keyLength(suite));
  const nonce = derive(suite, base, label('SFrame 1.0 Secret salt ', kid, suite), 12);
  u64(counter).forEach((byte, i) => { nonce[4 + i] ^= byte; });
  const head = header(kid, counter);
  const aad = Buffer.concat([head, metadata]);
  if (s.auth === 0) {
    const cipher = createCipheriv(s.aes, key, nonce).setAAD(aad);
    return Buffer.concat([head, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  }
  const cipher = createCipheriv(s.aes, key.subarray(0, s.enc), Buffer.concat([nonce, Buffer.alloc(4)]));
  const text = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const tag = createHmac(s.hash, key.subarray(s.enc))
    .update(u64(aad.length)).update(u64(text.length)).update(u64(s.tag)).update(nonce).update(aad).update(text).digest();
  return Buffer.concat([head, text, tag.subarray(0, s.tag)]);
}

// --- 5.1 -----------------------------------------------------------------------------------------------------------

function ratchet(suite) {
  const generation = 5n, stepBits = 2;
  let base = filled(`ratchet ${suite}`, keyLength(suite));
  const steps = [];
  for (let step = 0; step < 6; step++) {
    steps.push({ kid: String((generation << BigInt(stepBits)) | BigInt(step % (1 << stepBits))), base_key: hex(base) });
    base = derive(suite, base, Buffer.from('SFrame 1.0 Ratchet'), SUITES[suite].hash === 'sha256' ? 32 : 64);
  }
  return { suite, generation: String(generation), step_bits: stepBits, steps };
}

// --- 5.2 -----------------------------------------------------------------------------------------------------------

const EPOCH_BITS = 4;

function leafBits(leafCount) {
  let bits = 0;
  while (2 ** bits < leafCount) bits++;
  return bits;
}

function kid(leafCount, leaf, epoch, context) {
  const s = BigInt(leafBits(leafCount)), e = BigInt(EPOCH_BITS);
  return (BigInt(context) << (s + e)) + (BigInt(leaf) << e) + (BigInt(epoch) % (1n << e));
}

function mls(suite, leafCount, leaf, epoch, context) {
  const base = filled(`mls ${suite} ${epoch}`, keyLength(suite));
  const id = kid(leafCount, leaf, epoch, context);
  return {
    suite, leaf_count: leafCount, leaf, epoch: String(epoch), context, leaf_bits: leafBits(leafCount), kid: String(id),
    base_key: hex(base),
    key: hex(derive(suite, base, label('SFrame 1.0 Secret key ', id, suite), keyLength(suite))),
    salt: hex(derive(suite, base, label('SFrame 1.0 Secret salt ', id, suite), 12)),
  };
}

// --- shells --------------------------------------------------------------------------------------------------------

const SHELLS = {
  opus: { key: [0, ''], delta: [0, ''] },
  vp9: { key: [0, ''], delta: [0, ''] },
  vp8: { key: [0x10, '1000009d012a4001b400'], delta: [0x11, '11'] },
  av1: { key: [0x20, '0a0a 000000043cfecc018008'], delta: [0x21, ''] },
  h264: {
    key: [0x30, '00000001 6742e01fda05067e7806d0442350 00000001 68ce3880 00000001 65b8'],
    delta: [0x31, '00000001 61e0'],
  },
  h265: {
    key: [0x40, '00000001 40010c01ffff016000000300b0000003000003005dac09'
      + '00000001 4201010160000003 00b0000003000003005da00a080b9f796b924c2080 00000001 4401c0718012 00000001 2601ac'],
    delta: [0x41, '00000001 0201d0'],
  },
};

function leb128(value) {
  const out = [];
  do { out.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0)); value >>>= 7; } while (value > 0);
  return Buffer.from(out);
}

function escape(bytes) {
  const out = [];
  let zeros = 0;
  for (const byte of bytes) {
    if (zeros === 2 && byte <= 3) { out.push(3); zeros = 0; }
    out.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Buffer.from(out);
}

function wrap(codec, head, sealed) {
  if (codec === 'av1') return Buffer.concat([head, Buffer.from([0x32]), leb128(sealed.length), sealed]);
  if (codec === 'h264' || codec === 'h265') return Buffer.concat([head, escape(sealed), Buffer.from([0x80])]);
  return Buffer.concat([head, sealed]);
}

function frame({ suite = 4, codec, type, stream, leafCount = 3, leaf = 2, epoch = 9, counter = 0, plaintext }) {
  const base = filled(`frames ${suite} ${epoch}`, keyLength(suite));
  const [id, head] = SHELLS[codec][type];
  const keyId = kid(leafCount, leaf, epoch, STREAMS[stream]);
  const sealed = sframe(suite, base, keyId, counter, Buffer.from([1, id]), plaintext);
  return {
    suite, codec, frame_type: type, stream, leaf_count: leafCount, leaf, epoch: String(epoch), base_key: hex(base),
    counter: String(counter), plaintext: hex(plaintext), sframe: hex(sealed), frame: hex(wrap(codec, from(head), sealed)),
  };
}

// An H.264 frame with an escape in it, found by trying counters: one in some ten thousand of short frames has one.
function escapedFrame() {
  for (let counter = 0; ; counter++) {
    const made = frame({ codec: 'h264', type: 'delta', stream: 'camera', counter, plaintext: filled('escape', 400) });
    if (escape(from(made.sframe)).length > made.sframe.length / 2) return made;
  }
}

function frames() {
  const out = [];
  for (const codec of Object.keys(SHELLS)) {
    const stream = codec === 'opus' ? 'microphone' : 'camera';
    for (const type of ['key', 'delta']) {
      for (const length of [0, 1, 3, 200]) {
        out.push(frame({ codec, type, stream, plaintext: filled(`${codec} ${type}`, length) }));
      }
    }
  }
  out.push(frame({ codec: 'opus', type: 'key', stream: 'screen-audio', counter: 7, plaintext: filled('sa', 80) }));
  out.push(frame({ codec: 'av1', type: 'key', stream: 'screen-video', counter: 65536, plaintext: filled('sv', 2_000) }));
  out.push(frame({ codec: 'vp8', type: 'key', stream: 'camera', leafCount: 1000, leaf: 999, epoch: 12345678901, counter: 300, plaintext: filled('big', 64) }));
  for (const suite of [1, 5, 6]) out.push(frame({ suite, codec: 'vp8', type: 'delta', stream: 'camera', plaintext: filled(`suite ${suite}`, 50) }));
  out.push(escapedFrame());
  return out;
}

// --- frames to refuse ----------------------------------------------------------------------------------------------

const replaced = (bytes, at, value) => { const b = Buffer.from(bytes); b[at] = value; return b; };

function refused() {
  const out = [];
  const add = (why, kind, bytes, reason) => out.push({ why, kind, frame: hex(bytes), reason });
  const good = (codec, type, more = {}) => from(frame({
    codec, type, stream: codec === 'opus' ? 'microphone' : 'camera', plaintext: filled('refused', 40), ...more,
  }).frame);

  add('empty', 'video', Buffer.alloc(0), 'bad-shell');
  add('empty', 'audio', Buffer.alloc(0), 'bad-header');
  add('a clear VP8 key frame', 'video', from('5000009d012a4001b400 0123456789'), 'bad-shell');
  add('the VP8 shell with another size', 'video', replaced(good('vp8', 'key'), 6, 0x41), 'bad-shell');
  add('a VP8 delta frame in the shell of a key frame', 'video',
    Buffer.concat([from('1000009d012a4001b400'), good('vp8', 'delta').subarray(1)]), 'not-authentic');
  add('a VP8 frame in the shell of AV1', 'video', (() => {
    const inner = good('vp8', 'delta').subarray(1);
    return Buffer.concat([from('32'), leb128(inner.length), inner]);
  })(), 'not-authentic');
  add('a VP8 frame without its shell', 'video', good('vp8', 'delta').subarray(1), 'not-authentic');
  add('the AV1 sequence header with another level', 'video', replaced(good('av1', 'key'), 5, 0x05), 'bad-shell');
  add('an AV1 size in two bytes where one would do', 'video', (() => {
    const b = good('av1', 'delta');
    return Buffer.concat([b.subarray(0, 1), Buffer.from([b[1] | 0x80, 0]), b.subarray(2)]);
  })(), 'bad-shell');
  for (const [codec, type] of [['av1', 'delta'], ['h264', 'delta'], ['h265', 'delta']]) {
    add(`a byte behind the ${codec} frame`, 'video', Buffer.concat([good(codec, type), Buffer.from([7])]), 'bad-shell');
  }
  add('a byte behind the VP9 frame', 'video', Buffer.concat([good('vp9', 'key'), Buffer.from([7])]), 'not-authentic');
  add('an H.264 frame with a start code inside', 'video',
    Buffer.concat([good('h264', 'delta').subarray(0, 10), from('000001'), good('h264', 'delta').subarray(10)]), 'bad-shell');
  add('an H.264 frame with a needless escape', 'video',
    Buffer.concat([good('h264', 'delta').subarray(0, 10), from('00000309'), good('h264', 'delta').subarray(10)]), 'bad-shell');
  add('an H.264 frame without its stop bit', 'video', good('h264', 'delta').subarray(0, -1), 'bad-shell');
  add('a KID of 0 in two bytes', 'audio', Buffer.concat([from('8000'), filled('kid', 40)]), 'bad-header');
  add('a counter of 7 in two bytes', 'audio', Buffer.concat([from('0807'), filled('ctr', 40)]), 'bad-header');
  add('a counter with a leading zero', 'audio', Buffer.concat([from('090100').fill(0, 1, 2), filled('ctr', 40)]), 'bad-header');
  add('a header that goes on behind the end', 'audio', from('ffffff'), 'bad-header');
  add('a video frame on an audio track', 'audio', good('vp9', 'key'), 'wrong-kind');
  add('an audio frame on a video track', 'video', good('opus', 'key', { stream: 'screen-audio' }), 'wrong-kind');
  add('a blank leaf', 'video', good('vp8', 'key', { leaf: 1 }), 'not-a-member');
  add('an own frame sent back', 'video', good('vp8', 'key', { leaf: 0 }), 'own-frame');
  add('context 4', 'video', Buffer.concat([header(kid(3, 2, 9, 4), 0), filled('context', 40)]), 'unknown-stream');
  add('an epoch that was never there', 'video', good('vp9', 'key', { epoch: 8 }), 'epoch-over');
  add('another base key', 'video', Buffer.concat([header(kid(3, 2, 9, 1), 0), filled('forged', 40)]), 'not-authentic');
  add('shorter than a tag', 'video', good('vp9', 'key').subarray(0, 12), 'not-authentic');
  return out;
}

const document = {
  format: 'conclave-media-vectors/1',
  ratchet: Object.keys(SUITES).map((suite) => ratchet(Number(suite))),
  mls: [
    mls(4, 1, 0, 0, 0), mls(4, 2, 1, 15, 1), mls(4, 3, 2, 16, 3), mls(4, 4, 3, 17, 2), mls(4, 5, 4, 4294967301, 1),
    mls(4, 1000, 999, 7, 1), mls(5, 1024, 1023, 9, 3), mls(5, 1025, 1024, 9, 0), mls(1, 4, 0, 1, 1), mls(6, 8, 5, 2, 2),
  ],
  frames: frames(),
  // Every one of these is for a receiver at leaf 0 in epoch 9 with leaves 0 and 2 of 3, and the frames' base key.
  refused: refused(),
};

const rows = (name) => `  ${JSON.stringify(name)}: [\n${document[name].map((row) => `    ${JSON.stringify(row)}`).join(',\n')}\n  ]`;
console.log(`{\n  "format": ${JSON.stringify(document.format)},\n${['ratchet', 'mls', 'frames', 'refused'].map(rows).join(',\n')}\n}`);
