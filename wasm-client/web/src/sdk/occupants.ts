// CLNT-20: who is behind a leaf. MLS gives a leaf that became free to the next who comes, maybe in the same commit, and the keys of the
// epochs before live on for a while (EPOC-2): a frame belongs to whoever had the leaf in the epoch that it was sealed for.

export interface Occupant {
  leaf: number;
  /** Of their key. */
  fingerprint: string;
}

export class Occupants {
  #epoch = -1;
  readonly #entered = new Map<number, { fingerprint: string; epoch: number }>();

  /** The group as it is in an epoch. Gives the leaves whose occupant is not the one before: gone, or somebody else now. */
  see(epoch: number, roster: readonly Occupant[]): Set<number> {
    // Another group, which counts its epochs anew: no key of the one before opens anything.
    const anew = epoch < this.#epoch;
    this.#epoch = epoch;
    const before = new Map(this.#entered);
    this.#entered.clear();
    for (const { leaf, fingerprint } of roster) {
      const former = before.get(leaf);
      const stays = !anew && former?.fingerprint === fingerprint;
      this.#entered.set(leaf, stays ? former : { fingerprint, epoch });
    }
    return new Set([...before].filter(([leaf, former]) => this.#entered.get(leaf) !== former).map(([leaf]) => leaf));
  }

  /** Since which epoch the leaf belongs to whom it belongs to now; null: to nobody. */
  since(leaf: number): number | null {
    return this.#entered.get(leaf)?.epoch ?? null;
  }

  /** Whether a frame of this leaf and epoch is of whom the leaf belongs to now. */
  admits(leaf: number, epoch: number): boolean {
    const since = this.since(leaf);
    return since !== null && epoch >= since;
  }
}
