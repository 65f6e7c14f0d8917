// How many pictures a stream's frames were: of layers inside one stream (SVC) each is a frame, and those of one moment are one picture.

export class Moments {
  #count = 0;
  #last = "";

  get count(): number {
    return this.#count;
  }

  /** `timestamp`: of RTP. Streams that share a transform (simulcast) are told apart by their `ssrc`. */
  meet(timestamp: number, ssrc = 0): void {
    const moment = `${ssrc} ${timestamp}`;
    if (moment === this.#last) return;
    this.#last = moment;
    this.#count += 1;
  }
}
