const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** `250ms`, `1.5s`, `2m`, `30d`; `undefined` for anything else. */
export function readDurationMs(text: string): number | undefined {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  return unit === undefined ? undefined : Math.round(Number(amount) * (UNITS_MS[unit] as number));
}

/** Seconds, or milliseconds below one; `never` for a moment that does not come. */
export function durationText(durationMs: number): string {
  if (durationMs === Number.POSITIVE_INFINITY) return 'never';
  if (durationMs !== 0 && Math.abs(durationMs) < 1_000) return `${durationMs}ms`;
  return `${durationMs / 1_000}s`;
}
