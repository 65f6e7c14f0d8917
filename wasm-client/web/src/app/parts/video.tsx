// A media element for one track. The track is handed over as it is; whether it may be shown is decided before.
import { useEffect, useRef } from "preact/hooks";
import type { JSX } from "preact";

export function Video({
  track,
  label,
  mirrored = false,
  contain = false,
}: {
  track: MediaStreamTrack;
  label: string;
  mirrored?: boolean;
  contain?: boolean;
}): JSX.Element {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (!video) return;
    video.srcObject = new MediaStream([track]);
    video.play().catch(() => undefined);
    return () => {
      video.srcObject = null;
    };
  }, [track]);
  const classes = `video${mirrored ? " mirrored" : ""}${contain ? " contain" : ""}`;
  return <video ref={element} class={classes} aria-label={label} tabIndex={-1} autoPlay playsInline muted />;
}

export function Audio({ track, onBlocked }: { track: MediaStreamTrack; onBlocked: () => void }): JSX.Element {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (!audio) return;
    audio.srcObject = new MediaStream([track]);
    audio.play().catch((fault: unknown) => {
      if (fault instanceof DOMException && fault.name === "NotAllowedError") onBlocked();
    });
    return () => {
      audio.srcObject = null;
    };
  }, [track]);
  return <audio ref={element} autoPlay />;
}

/**
 * All sound once more, to be called in the handler of a click, which browsers take as leave to play. Gives whether there is still some that may
 * not play.
 */
export async function playAll(sounds: Iterable<HTMLMediaElement>): Promise<boolean> {
  const all = await Promise.allSettled([...sounds].map((sound) => sound.play()));
  return all.some(
    (one) => one.status === "rejected" && one.reason instanceof DOMException && one.reason.name === "NotAllowedError",
  );
}
