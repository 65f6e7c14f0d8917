// CLNT-30: how loud people are, from what the browser says of the sounds that it has decoded; of those only whose leaf was authenticated.
import type { Authenticated } from "../messages";

export interface Loud {
  leaf: number;
  /** The root mean square since the last look, a full-scale square wave being 1. */
  level: number;
}

interface InboundAudio {
  type: string;
  kind?: string;
  trackIdentifier?: string;
  totalAudioEnergy?: number;
  totalSamplesDuration?: number;
}

interface End {
  readonly track: MediaStreamTrack;
  readonly loudness: Loudness;
  readonly authenticated: Pick<Authenticated, "leaf" | "stream"> | null;
}

/** How loud each sound was since the last look at it. */
export function loudnessIn(report: RTCStatsReport, ends: readonly End[]): Loud[] {
  const told: Loud[] = [];
  report.forEach((entry: InboundAudio) => {
    if (entry.type !== "inbound-rtp" || entry.kind !== "audio" || entry.trackIdentifier === undefined) return;
    const end = ends.find(({ track }) => track.id === entry.trackIdentifier);
    const { totalAudioEnergy: energy = 0, totalSamplesDuration: duration = 0 } = entry;
    if (!end) return;
    const level = end.loudness.since(energy, duration);
    if (end.authenticated?.stream === "microphone" && level !== null)
      told.push({ leaf: end.authenticated.leaf, level });
  });
  return told;
}

/** Of a sound that the browser has decoded: from its growing totals, the loudness in between. */
export class Loudness {
  #energy = 0;
  #duration = 0;

  /** The root mean square since the last call, a full-scale square wave being 1; null where nothing was played. */
  since(energy: number, duration: number): number | null {
    const [more, longer] = [energy - this.#energy, duration - this.#duration];
    this.#energy = energy;
    this.#duration = duration;
    return longer > 0 && more >= 0 ? Math.sqrt(more / longer) : null;
  }
}
