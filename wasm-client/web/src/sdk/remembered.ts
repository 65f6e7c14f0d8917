// What this browser keeps for the next time. Where it keeps nothing for this site (blocked site data), even reading throws: then it
// holds until the page is closed, and nothing else changes.

export function recall(place: string): string | null {
  try {
    return localStorage.getItem(place);
  } catch {
    return null;
  }
}

export function remember(place: string, value: string): void {
  try {
    localStorage.setItem(place, value);
  } catch {
    // See above.
  }
}
