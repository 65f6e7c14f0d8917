// The shared screen: a track of its own, and its sound where the browser gives it.
import { Listeners } from "../listeners";

export interface ScreenTracks {
  screen: MediaStreamTrack | null;
  "screen-audio": MediaStreamTrack | null;
}

const NOTHING: ScreenTracks = { screen: null, "screen-audio": null };

export class ScreenShare {
  tracks: ScreenTracks = NOTHING;
  #closed = false;
  readonly #listeners = new Listeners<ScreenTracks>();

  subscribe(listener: (tracks: ScreenTracks) => void): void {
    this.#listeners.add(listener);
  }

  /** Why it did not start, in words, or null: it did, or the user thought better of it. */
  async start(): Promise<string | null> {
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: true });
    } catch (fault) {
      const refused = fault instanceof DOMException && fault.name === "NotAllowedError";
      return refused ? null : "The browser found nothing on this device that it could share.";
    }
    // CLNT-21: the meeting is over, or another click shares already.
    if (this.#closed || this.tracks.screen) {
      for (const track of stream.getTracks()) track.stop();
      return null;
    }
    const screen = stream.getVideoTracks()[0];
    if (!screen) return "The browser shared no picture.";
    screen.contentHint = "detail";
    screen.addEventListener("ended", () => {
      if (this.tracks.screen === screen) this.stop();
    });
    this.#put({ screen, "screen-audio": stream.getAudioTracks()[0] ?? null });
    return null;
  }

  stop(): void {
    this.tracks.screen?.stop();
    this.tracks["screen-audio"]?.stop();
    this.#put(NOTHING);
  }

  /** For good: what the user picks later is let go at once. */
  close(): void {
    this.#closed = true;
    this.stop();
  }

  #put(tracks: ScreenTracks): void {
    this.tracks = tracks;
    this.#listeners.tell(tracks);
  }
}
