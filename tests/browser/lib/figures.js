// What a measurement prints: one JSON object a line, { case, unit, ours, peers, goal, holds }.

/** @param {number[]} list @param {number} share */
export function quantile(list, share) {
  const sorted = list.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))];
}

/**
 * @param {string} what
 * @param {string} unit
 * @param {number | null} ours
 * @param {{ below?: number, most?: number, peers?: Record<string, number | string> }} [against] a goal, and what others measured in the same run
 */
export function print(what, unit, ours, { below, most, peers = {} } = {}) {
  const goal = below !== undefined ? `< ${below}` : most !== undefined ? `<= ${most}` : null;
  const holds = ours === null || goal === null ? null : below !== undefined ? ours < below : ours <= /** @type {number} */ (most);
  console.log(JSON.stringify({ case: what, unit, ours, peers, goal, holds }));
}
