// Which codec and which layers a sender uses, and which header extensions it negotiates.
export type VideoCodec = "vp8" | "vp9" | "av1" | "h264";

const MIME: Record<VideoCodec, string> = { vp8: "video/vp8", vp9: "video/vp9", av1: "video/av1", h264: "video/h264" };
const DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
const MID = "urn:ietf:params:rtp-hdrext:sdes:mid";
const LEVELS = ["urn:ietf:params:rtp-hdrext:ssrc-audio-level", "urn:ietf:params:rtp-hdrext:csrc-audio-level"];

/** `?codec=` in the page's address: a preference and no more, so that each codec can be tried in a real call. */
export function preferredCodec(search: string): VideoCodec {
  const asked = new URLSearchParams(search).get("codec");
  return asked === "vp9" || asked === "av1" || asked === "h264" ? asked : "vp8";
}

/**
 * Layers inside one stream that refer to each other on key frames only: what a receiver does not get, it need not have had. By the highest
 * layer that there is.
 */
const ALL_INSIDE = { mode: "L3T3_KEY", maxBitrate: 1_700_000 };
const INSIDE = [{ mode: "L1T3", maxBitrate: 150_000 }, { mode: "L2T3_KEY", maxBitrate: 600_000 }, ALL_INSIDE];

/**
 * Three simulcast layers where the codec's layers are streams of their own, else three inside one stream; the relay picks one for each
 * receiver. It tells layers inside apart by the Dependency Descriptor alone, so a browser that sends none sends one layer (decisions/0015).
 */
export function cameraEncodings(codec: VideoCodec): (RTCRtpEncodingParameters & { scalabilityMode?: string })[] {
  if (codec === "vp8" || codec === "h264") {
    return [
      { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150_000 },
      { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
      { rid: "f", scaleResolutionDownBy: 1, maxBitrate: 1_700_000 },
    ];
  }
  const { mode, maxBitrate } = ALL_INSIDE;
  return [{ maxBitrate, ...(tellsLayers() ? { scalabilityMode: mode } : {}) }];
}

interface Layered {
  active?: boolean;
  maxBitrate?: number;
  scaleResolutionDownBy?: number;
  scalabilityMode?: string;
}

/** `false`: it was so before. */
export function setActive(encoding: Layered, active: boolean): boolean {
  const changes = (encoding.active ?? true) !== active;
  encoding.active = active;
  return changes;
}

export function hasLayersInside({ scalabilityMode }: Layered): boolean {
  return INSIDE.some(({ mode }) => mode === scalabilityMode);
}

/**
 * Makes the layers inside up to the highest of those that are wanted, each as large as before; null: all. `false`: it was so before.
 * The bitrate goes with them: else a browser spends all of it on what is left, and does not look for more when more is wanted.
 */
export function makeLayersInside(encoding: Layered, wanted: readonly number[] | null): boolean {
  const top = wanted ? Math.min(Math.max(-1, ...wanted), INSIDE.length - 1) : INSIDE.length - 1;
  const starts = setActive(encoding, top >= 0);
  const inside = INSIDE[top];
  if (inside === undefined || encoding.scalabilityMode === inside.mode) return starts;
  encoding.scalabilityMode = inside.mode;
  encoding.maxBitrate = inside.maxBitrate;
  encoding.scaleResolutionDownBy = 2 ** (INSIDE.length - 1 - top);
  return true;
}

/** For a browser that knows no such layers: the same without them. */
export function withoutLayersInside(encodings: readonly RTCRtpEncodingParameters[]): RTCRtpEncodingParameters[] {
  return encodings.map((encoding) => {
    const plain: RTCRtpEncodingParameters & { scalabilityMode?: string } = { ...encoding };
    delete plain.scalabilityMode;
    return plain;
  });
}

export const SCREEN_ENCODINGS: RTCRtpEncodingParameters[] = [{ maxBitrate: 2_500_000, maxFramerate: 15 }];

/** Only this codec and its retransmission: no RED, no FEC, whose packets would carry frames past the transform's view. */
export function preferVideo(transceiver: RTCRtpTransceiver, codec: VideoCodec): void {
  keep(transceiver, "video", (mime) => mime === MIME[codec] || mime === "video/rtx");
}

export function preferOpus(transceiver: RTCRtpTransceiver): void {
  keep(transceiver, "audio", (mime) => mime === "audio/opus");
}

function keep(transceiver: RTCRtpTransceiver, kind: "audio" | "video", wanted: (mime: string) => boolean): void {
  const codecs = (RTCRtpSender.getCapabilities(kind)?.codecs ?? []).filter((codec) =>
    wanted(codec.mimeType.toLowerCase()),
  );
  if (!codecs.some((codec) => codec.mimeType.toLowerCase() !== "video/rtx")) return;
  try {
    transceiver.setCodecPreferences(codecs);
  } catch {
    // An older browser wants receive capabilities here. The offer is hardened in SDP as well (sdp.ts).
  }
}

interface NegotiatesExtensions {
  getHeaderExtensionsToNegotiate(): { uri: string; direction: RTCRtpTransceiverDirection }[];
  setHeaderExtensionsToNegotiate(extensions: { uri: string; direction: RTCRtpTransceiverDirection }[]): void;
}

/** The Dependency Descriptor on, so that the relay needs no look at payloads; audio levels off. Where the browser lets us. */
export function chooseExtensions(transceiver: RTCRtpTransceiver): void {
  if (!negotiatesExtensions(transceiver)) return;
  const extensions = transceiver.getHeaderExtensionsToNegotiate();
  for (const extension of extensions) {
    if (extension.uri === DEPENDENCY_DESCRIPTOR) extension.direction = "sendrecv";
    if (LEVELS.includes(extension.uri)) extension.direction = "stopped";
    // Of a line made in a running session Chromium tells this one as stopped, and then takes no list in which it is.
    if (extension.uri === MID) extension.direction = "sendrecv";
  }
  try {
    transceiver.setHeaderExtensionsToNegotiate(extensions);
  } catch {
    // The relay then sees fewer layers of this stream. Levels are taken out of the offer in SDP as well (sdp.ts).
  }
}

function tellsLayers(): boolean {
  return "setHeaderExtensionsToNegotiate" in RTCRtpTransceiver.prototype;
}

function negotiatesExtensions(transceiver: RTCRtpTransceiver): transceiver is RTCRtpTransceiver & NegotiatesExtensions {
  return "setHeaderExtensionsToNegotiate" in transceiver && "getHeaderExtensionsToNegotiate" in transceiver;
}
