// CLNT-30: who is speaking, heard and not told: from the loudness of the sound that was opened and decoded here, on the track where a
// leaf was authenticated. So neither relay nor server has a say in it, nothing about loudness is on the wire, and whoever claims
// to speak has to make a sound. (A message of the group would be only the sender's claim, and a signature each time.) Pure: time comes in.

/** Of a full-scale sine wave; a quiet voice at a headset is above, the noise of a room below. */
const SPEAKS = 0.01;
/** Loud for this long is a word and not a cough on the desk. */
const WORD_MS = 600;
/** Speech has gaps: this long without a sound, and somebody no longer speaks. */
const PAUSE_MS = 1_500;

interface Heard {
  loudSince: number | null;
  lastLoud: number;
  /** When they last came to be a speaker: whoever speaks on and on stays where they are in the order. */
  began: number | null;
  speaking: boolean;
}

export class SpeakerBook {
  readonly #heard = new Map<number, Heard>();

  /** How loud (root mean square, 0 to 1) somebody was since the last call. */
  hear(leaf: number, level: number, now: number): void {
    const heard = this.#heard.get(leaf) ?? { loudSince: null, lastLoud: -Infinity, began: null, speaking: false };
    this.#heard.set(leaf, heard);
    if (level >= SPEAKS) {
      if (heard.loudSince === null || now - heard.lastLoud > PAUSE_MS) heard.loudSince = now;
      heard.lastLoud = now;
      if (!heard.speaking && now - heard.loudSince >= WORD_MS) {
        heard.speaking = true;
        heard.began = now;
      }
    } else if (now - heard.lastLoud > PAUSE_MS) {
      heard.loudSince = null;
      heard.speaking = false;
    }
  }

  isSpeaking(leaf: number, now: number): boolean {
    const heard = this.#heard.get(leaf);
    return heard !== undefined && heard.speaking && now - heard.lastLoud <= PAUSE_MS;
  }

  /** Who spoke, the latest first. */
  recent(): number[] {
    return [...this.#heard]
      .filter(([, heard]) => heard.began !== null)
      .sort(([, a], [, b]) => (b.began ?? 0) - (a.began ?? 0))
      .map(([leaf]) => leaf);
  }

  /** CLNT-20: these leaves are nobody's or somebody else's now, who starts anew. */
  forget(leaves: ReadonlySet<number>): void {
    for (const leaf of leaves) this.#heard.delete(leaf);
  }
}
