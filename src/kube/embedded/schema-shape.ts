import { isObject } from './json.ts';
import { type Schema, fieldPath, keepsUnknown, schemaOfField } from './schema.ts';

/** Drops what the schema does not know; the paths dropped go to `dropped`. */
export function prune(value: unknown, schema: Schema, path: string, dropped: string[]): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item, index) => prune(item, items, `${path}[${index}]`, dropped));
  }
  if (!isObject(value) || schema.type !== 'object') return value;
  const kept: [string, unknown][] = [];
  for (const [field, inner] of Object.entries(value)) {
    const below = schemaOfField(schema, field);
    const where = fieldPath(path, field);
    if (below !== undefined) kept.push([field, prune(inner, below, where, dropped)]);
    else if (keepsUnknown(schema)) kept.push([field, inner]);
    else dropped.push(where);
  }
  return Object.fromEntries(kept);
}

/** Fills in defaults, from the outside in; `null` counts as absent where it is not allowed, whether there is a default or not. */
export function withDefaults(value: unknown, schema: Schema): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => withDefaults(item, items));
  }
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = { ...value };
  for (const [field, below] of Object.entries(schema.properties ?? {})) {
    if (result[field] === null && below.nullable !== true) delete result[field];
    if (!Object.hasOwn(result, field) && below.default !== undefined) result[field] = below.default;
  }
  for (const [field, inner] of Object.entries(result)) {
    const below = schemaOfField(schema, field);
    if (below !== undefined) result[field] = withDefaults(inner, below);
  }
  return result;
}
