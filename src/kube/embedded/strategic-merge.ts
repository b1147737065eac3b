import { badRequest } from './api-error.ts';
import { isEqual, isObject } from './json.ts';

/**
 * Lists of the built-in kinds served here that a strategic merge patch merges, by the path of their fields: by the key that
 * tells items apart, or `undefined` for lists of texts. Every other list is replaced.
 */
const MERGED_LISTS: Readonly<Record<string, string | undefined>> = {
  'metadata.finalizers': undefined,
  'metadata.ownerReferences': 'uid',
  'status.conditions': 'type',
};

const ORDER = '$setElementOrder/';
const DELETED_TEXTS = '$deleteFromPrimitiveList/';

/** Strategic merge patch, as `kubectl` sends it for built-in kinds. Throws `ApiError` (400) for directives that make no sense. */
export function strategicMerge(target: unknown, patch: unknown, path = ''): unknown {
  if (!isObject(patch)) return patch;
  if (patch['$patch'] === 'delete') return undefined;
  if (patch['$patch'] === 'replace') return withoutDirectives(patch);
  if (patch['$patch'] !== undefined && patch['$patch'] !== 'merge')
    throw badRequest(`A strategic merge patch has no directive $patch: ${JSON.stringify(patch['$patch'])}.`);
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  const retained = patch['$retainKeys'];
  if (Array.isArray(retained)) for (const key of Object.keys(result)) if (!retained.includes(key)) delete result[key];
  for (const [key, value] of Object.entries(patch)) {
    const below = path === '' ? key : `${path}.${key}`;
    if (key.startsWith(DELETED_TEXTS)) {
      const name = key.slice(DELETED_TEXTS.length);
      result[name] = listOf(result[name]).filter((item) => !listOf(value).includes(item));
    } else if (key.startsWith('$')) continue;
    else if (value === null) delete result[key];
    else if (Array.isArray(value))
      result[key] =
        below in MERGED_LISTS
          ? mergedList(result[key], value, MERGED_LISTS[below], listOf(patch[`${ORDER}${key}`]), below)
          : value;
    else {
      const merged = strategicMerge(result[key], value, below);
      if (merged === undefined) delete result[key];
      else result[key] = merged;
    }
  }
  return result;
}

function mergedList(
  target: unknown,
  patch: readonly unknown[],
  mergeKey: string | undefined,
  order: readonly unknown[],
  path: string,
): readonly unknown[] {
  if (patch.some((item) => isObject(item) && item['$patch'] === 'replace'))
    return patch.filter((item) => !isObject(item) || item['$patch'] === undefined);
  const identityOf = (item: unknown) => (mergeKey === undefined ? item : isObject(item) ? item[mergeKey] : undefined);
  const old = listOf(target);
  const placeOf = (item: unknown, items: readonly unknown[]) =>
    items.findIndex((each) => isEqual(identityOf(each), identityOf(item)));
  const merged = patch.flatMap((item) => {
    const place = placeOf(item, old);
    const value = mergeKey === undefined ? item : strategicMerge(old[place], item, path);
    return value === undefined ? [] : [{ place, value }];
  });
  const untouched = old.filter((item) => placeOf(item, patch) === -1);
  // In the order of the patch; what it does not name stays before what it stood before.
  const result: unknown[] = [];
  for (const { place, value } of merged) {
    while (untouched.length > 0 && placeOf(untouched[0], old) < place) result.push(untouched.shift());
    result.push(value);
  }
  result.push(...untouched);
  const rank = (item: unknown) => {
    const identity = identityOf(item);
    const found = order.findIndex((each) => isEqual(mergeKey === undefined ? each : identityOf(each), identity));
    return found === -1 ? order.length : found;
  };
  return order.length === 0 ? result : result.sort((left, right) => rank(left) - rank(right));
}

function withoutDirectives(patch: Readonly<Record<string, unknown>>): unknown {
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith('$')));
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
