/** Where two answers are not the same. */
export interface Difference {
  /** For example `2.body.details.causes[0].message`: step, then the way to the value. */
  readonly path: string;
  readonly real: unknown;
  readonly embedded: unknown;
}

/** Every smallest part that differs. What is `undefined` is not there. */
export function differences(real: unknown, embedded: unknown, path: string): readonly Difference[] {
  if (Array.isArray(real) && Array.isArray(embedded))
    return Array.from({ length: Math.max(real.length, embedded.length) }, (_, index) =>
      differences(real[index], embedded[index], `${path}[${index}]`),
    ).flat();
  if (isObject(real) && isObject(embedded)) {
    // Answers with different codes and objects of different kinds have nothing in common that is worth telling apart.
    for (const key of ['code', 'kind'])
      if (isName(real[key]) && isName(embedded[key]) && real[key] !== embedded[key])
        return [{ path: `${path}.${key}`, real, embedded }];
    const keys = new Set([...Object.keys(real), ...Object.keys(embedded)]);
    return [...keys].flatMap((key) => differences(real[key], embedded[key], path === '' ? key : `${path}.${key}`));
  }
  return real === embedded ? [] : [{ path, real, embedded }];
}

/** Whether the difference is at a place or below it. */
export function isWithin({ path }: Difference, place: string): boolean {
  return path === place || path.startsWith(`${place}.`) || path.startsWith(`${place}[`);
}

export function inWords({ path, real, embedded }: Difference): string {
  return `${path}\n    real:     ${JSON.stringify(real)}\n    embedded: ${JSON.stringify(embedded)}`;
}

function isName(value: unknown): boolean {
  return typeof value === 'number' || typeof value === 'string';
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
