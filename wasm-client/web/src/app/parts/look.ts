// How large an element is on the screen, told whenever that changes: 0 while it is out of sight, null when it goes.
import { useEffect, useRef } from "preact/hooks";
import type { RefObject } from "preact";

export function useLook(told: ((height: number | null) => void) | null): RefObject<HTMLLIElement | null> {
  const element = useRef<HTMLLIElement>(null);
  // The callback is another one with each rendering; what is observed is not.
  const latest = useRef(told);
  latest.current = told;
  const observed = told !== null;
  useEffect(() => {
    const tile = element.current;
    if (!tile || !observed) return;
    let inSight = true;
    const tell = (): void => latest.current?.(inSight ? heightOf(tile) : 0);
    const sizes = new ResizeObserver(tell);
    const sight = new IntersectionObserver((entries) => {
      inSight = entries.at(-1)?.isIntersecting ?? inSight;
      tell();
    });
    sizes.observe(tile);
    sight.observe(tile);
    return () => {
      sizes.disconnect();
      sight.disconnect();
      latest.current?.(null);
    };
  }, [observed]);
  return element;
}

/** Pictures fill their tile and are cut where it is of another shape, so a wide one needs as many lines as its width asks for. */
function heightOf(tile: HTMLElement): number {
  const { width, height } = tile.getBoundingClientRect();
  return Math.round(Math.max(height, (width * 9) / 16) * devicePixelRatio);
}
