// Puts the worker between a sender or receiver and the network, by one of the two ways browsers have.
import type { EngineWorker } from "../engine-worker";
import type { TransformOptions } from "../messages";

/** `script`: RTCRtpScriptTransform. `streams`: Chromium's createEncodedStreams, on a connection made for it. */
export type Way = "script" | "streams";

interface EncodedStreams {
  createEncodedStreams(): { readable: ReadableStream; writable: WritableStream };
}

/** CLNT-4: before anything is negotiated, so that no frame can come earlier. */
export function attach(
  end: RTCRtpSender | RTCRtpReceiver,
  options: TransformOptions,
  worker: EngineWorker,
  way: Way,
): void {
  if (way === "script") {
    end.transform = worker.scriptTransform(options);
    return;
  }
  if (!hasStreams(end)) throw new Error("this browser has no createEncodedStreams");
  const { readable, writable } = end.createEncodedStreams();
  worker.post({ type: "streams", options, readable, writable }, [readable, writable]);
}

/** What a connection needs to be told for a way. */
export function configuration(
  way: Way,
  iceServers: RTCIceServer[],
): RTCConfiguration & { encodedInsertableStreams?: boolean } {
  return { bundlePolicy: "max-bundle", iceServers, ...(way === "streams" ? { encodedInsertableStreams: true } : {}) };
}

function hasStreams(end: RTCRtpSender | RTCRtpReceiver): end is (RTCRtpSender | RTCRtpReceiver) & EncodedStreams {
  return "createEncodedStreams" in end;
}
