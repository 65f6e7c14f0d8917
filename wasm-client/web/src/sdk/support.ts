/** What this browser lacks to encrypt a call, in words, or null. */
export function missingFeature(): string | null {
  if (!window.isSecureContext) return "This page did not come over a secure connection.";
  if (typeof WebAssembly !== "object") return "It cannot run WebAssembly.";
  if (typeof RTCPeerConnection !== "function") return "It has no WebRTC.";
  if (!hasScriptTransform() && !hasEncodedStreams()) return "It cannot encrypt media frames in a worker.";
  if (!("mediaDevices" in navigator)) return "It gives no access to camera and microphone.";
  return null;
}

export function hasScriptTransform(): boolean {
  return typeof RTCRtpScriptTransform === "function";
}

/** Chromium's older way, `createEncodedStreams`. */
export function hasEncodedStreams(): boolean {
  return typeof RTCRtpSender === "function" && "createEncodedStreams" in RTCRtpSender.prototype;
}
