// WebCrypto's keys for frames: imported once, not to be read back, for one direction, and gone with their epoch (ENGN-2, ENGN-3).

/** What of an AEAD call is neither key nor text. WebCrypto copies it at once. */
export interface AeadCall {
  nonce: Uint8Array<ArrayBuffer>;
  additionalData: Uint8Array<ArrayBuffer>;
}

export type Direction = "encrypt" | "decrypt";

const TAG_BITS = 128;

export class KeyRing {
  readonly #subtle: SubtleCrypto;
  readonly #epochs = new Map<number, Map<number, CryptoKey | Promise<CryptoKey>>>();

  constructor(subtle: SubtleCrypto) {
    this.#subtle = subtle;
  }

  /**
   * Runs the AEAD on `text` under the key of this epoch and KID. `withBytes` is asked once a key: it hands the key's bytes to
   * its callback and wipes them when that returns; by then WebCrypto has its copy.
   */
  run(
    direction: Direction,
    epoch: number,
    kid: number,
    call: AeadCall,
    text: Uint8Array<ArrayBuffer>,
    withBytes: <T>(use: (bytes: Uint8Array<ArrayBuffer>) => T) => T,
  ): Promise<ArrayBuffer> {
    const key = this.#epochs.get(epoch)?.get(kid) ?? this.#import(direction, epoch, kid, withBytes);
    if (!(key instanceof Promise)) return this.#subtle[direction](parameters(call), key, text);
    // What it was given lies in the engine's memory and will not be there any more when the key is.
    const kept = parameters({ nonce: call.nonce.slice(), additionalData: call.additionalData.slice() });
    const copy = text.slice();
    return key.then((ready) => this.#subtle[direction](kept, ready, copy));
  }

  /** Forgets the keys of all epochs but these. */
  keepOnly(holds: (epoch: number) => boolean): void {
    for (const epoch of this.#epochs.keys()) if (!holds(epoch)) this.#epochs.delete(epoch);
  }

  clear(): void {
    this.#epochs.clear();
  }

  get size(): number {
    return [...this.#epochs.values()].reduce((sum, keys) => sum + keys.size, 0);
  }

  #import(
    direction: Direction,
    epoch: number,
    kid: number,
    withBytes: <T>(use: (bytes: Uint8Array<ArrayBuffer>) => T) => T,
  ): Promise<CryptoKey> {
    const keys = this.#epochs.get(epoch) ?? new Map<number, CryptoKey | Promise<CryptoKey>>();
    this.#epochs.set(epoch, keys);
    const importing = withBytes((bytes) => this.#subtle.importKey("raw", bytes, "AES-GCM", false, [direction]));
    keys.set(kid, importing);
    importing.then(
      (key) => void keys.set(kid, key),
      // The next frame tries again.
      () => void keys.delete(kid),
    );
    return importing;
  }
}

function parameters({ nonce, additionalData }: AeadCall): AesGcmParams {
  return { name: "AES-GCM", iv: nonce, additionalData, tagLength: TAG_BITS };
}

/** WebCrypto, if it is here and does AES-GCM as it should: test case 2 of McGrew and Viega's GCM specification. */
export async function workingSubtle(): Promise<SubtleCrypto | null> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  if (!subtle) return null;
  try {
    const ring = new KeyRing(subtle);
    const zeros = new Uint8Array(16);
    const call = { nonce: new Uint8Array(12), additionalData: new Uint8Array() };
    const sealed = await ring.run("encrypt", 0, 0, call, zeros, (use) => use(zeros));
    const expected = "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf";
    const found = [...new Uint8Array(sealed)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return found === expected ? subtle : null;
  } catch {
    return null;
  }
}
