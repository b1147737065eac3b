/** How much a change of a status matters: `count` if nothing but numbers that may lag has changed. */
export type Urgency = 'transition' | 'count';

export interface StatusChange {
  /** Merge patch of the object's status subresource, bound to the version that it was decided on. */
  readonly patch: {
    readonly metadata: { readonly resourceVersion: string };
    readonly status: Readonly<Record<string, unknown>>;
  };
  readonly urgency: Urgency;
}

/** What turns the status `current` into `wanted`; `undefined` if nothing does. `counts` names the fields that may lag. */
export function statusChange(
  current: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
  resourceVersion: string,
  counts: readonly string[],
): StatusChange | undefined {
  const status: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(wanted)) {
    if (value !== undefined && !isEqual(current[field], value)) status[field] = value;
  }
  for (const field of Object.keys(current)) {
    if (wanted[field] === undefined && current[field] !== undefined) status[field] = null;
  }
  const changed = Object.keys(status);
  if (changed.length === 0) return undefined;
  const urgency = changed.every((field) => counts.includes(field)) ? 'count' : 'transition';
  return { patch: { metadata: { resourceVersion }, status }, urgency };
}

/** Equality of JSON values; the order of an object's fields does not matter. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left) !== Array.isArray(right)) return false;
  const [leftEntries, rightEntries] = [definedEntries(left), definedEntries(right)];
  if (leftEntries.length !== rightEntries.length) return false;
  return leftEntries.every(([name, value]) => isEqual(value, (right as Record<string, unknown>)[name]));
}

function definedEntries(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, each]) => each !== undefined);
}
