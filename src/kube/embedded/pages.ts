import type { StoredObject } from '../kube-object.ts';
import type { ObjectList, ObjectQuery } from '../object-store.ts';
import { badRequest } from './api-error.ts';
import { textOf } from './json.ts';
import { isVersion, keyOf } from './object-key.ts';

export interface PageQuery extends ObjectQuery {
  /** At most this many; `undefined`, 0 or less for all. */
  readonly limit?: number | undefined;
  readonly continueToken?: string | undefined;
  /** A state of this version or a later one. */
  readonly notOlderThan?: string | undefined;
  /** The state of exactly this version. */
  readonly exactVersion?: string | undefined;
}

export interface Page extends ObjectList {
  readonly continueToken?: string;
  readonly remainingItemCount?: number;
}

interface Position {
  readonly resourceVersion: string;
  /** The key of the last object that was told. */
  readonly after: string;
}

/** Reads a continue token. Throws `ApiError` (400) for what is none. */
export function readContinue(token: string): Position {
  try {
    const { rv, after } = JSON.parse(Buffer.from(token, 'base64url').toString()) as Record<string, unknown>;
    const [resourceVersion, key] = [textOf(rv), textOf(after)];
    if (resourceVersion !== undefined && isVersion(resourceVersion) && key !== undefined)
      return { resourceVersion, after: key };
  } catch {
    // Told below.
  }
  throw badRequest('continue key is not valid');
}

/** The objects after a position in the order of their keys. */
export function pageOf(
  objects: readonly StoredObject[],
  resourceVersion: string,
  limit: number | undefined,
  position: Position | undefined,
): Page {
  const sorted = objects.toSorted((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
  const rest = position === undefined ? sorted : sorted.filter((object) => keyOf(object) > position.after);
  const items = limit === undefined || limit <= 0 ? rest : rest.slice(0, limit);
  const last = items.at(-1);
  if (last === undefined || items.length === rest.length) return { items, resourceVersion };
  const token = Buffer.from(JSON.stringify({ rv: resourceVersion, after: keyOf(last) })).toString('base64url');
  return { items, resourceVersion, continueToken: token, remainingItemCount: rest.length - items.length };
}
