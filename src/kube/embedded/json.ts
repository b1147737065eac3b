/** Plain JSON values, as they travel. */

export type JsonObject = { readonly [field: string]: unknown };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value if it is an object, and an empty one if not. */
export function objectOf(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A deep-frozen copy; fields that are `undefined` are left out. What is frozen already is shared, not copied. */
export function frozenCopy<Value>(value: Value): Value {
  if (typeof value !== 'object' || value === null || frozenCopies.has(value)) return value;
  const copy = Array.isArray(value)
    ? value.map(frozenCopy)
    : Object.fromEntries(
        Object.entries(value).flatMap(([key, field]) => (field === undefined ? [] : [[key, frozenCopy(field)]])),
      );
  frozenCopies.add(copy);
  return Object.freeze(copy) as Value;
}

/** Only what was made here is known to be frozen to the ground. */
const frozenCopies = new WeakSet<object>();

/** Whether two JSON values are the same, whatever the order of their fields. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  if (Array.isArray(left) && Array.isArray(right))
    return left.length === right.length && left.every((item, index) => isEqual(item, right[index]));
  if (!isObject(left) || !isObject(right)) return false;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && isEqual(left[key], right[key]))
  );
}
