import type { Cause } from './api-error.ts';
import { isEqual, isObject } from './json.ts';
import { type Schema, fieldPath, schemaOfField } from './schema.ts';

/**
 * What is wrong with the structure of a value, with the words of an API server. A part that is the same in `old` is not looked
 * at again, so that a schema may become stricter under objects that exist.
 */
export function schemaCauses(value: unknown, schema: Schema, path: string, old?: unknown): Cause[] {
  if (old !== undefined && isEqual(value, old)) return [];
  if (value === null) {
    if (schema.nullable === true) return [];
    return [typeCause(path, schema, 'null')];
  }
  const mistyped = typeProblem(value, schema);
  if (mistyped !== undefined)
    return [
      ...fractionCauses(path, schema, mistyped),
      typeCause(path, schema, mistyped),
      ...enumCauses(value, schema, path),
    ];
  const causes = [...enumCauses(value, schema, path), ...combinationCauses(value, schema, path)];
  if (typeof value === 'string') causes.push(...textCauses(value, schema, path));
  if (typeof value === 'number') causes.push(...numberCauses(value, schema, path));
  if (Array.isArray(value)) causes.push(...listCauses(value, schema, path, old));
  if (isObject(value)) causes.push(...objectCauses(value, schema, path, old));
  return causes;
}

function invalid(field: string, value: unknown, detail: string, reason = 'FieldValueInvalid'): Cause {
  return { reason, field, message: `Invalid value: ${shown(value)}: ${detail}` };
}

function shown(value: unknown): string {
  if (isObject(value)) return '"object"';
  if (Array.isArray(value)) return '"array"';
  return JSON.stringify(typeof value === 'string' && value.length > 200 ? `${value.slice(0, 200)}...` : value);
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return value === null ? 'null' : typeof value;
}

function typeProblem(value: unknown, schema: Schema): string | undefined {
  const found = typeOf(value);
  if (schema['x-kubernetes-int-or-string'] === true)
    return found === 'integer' || found === 'string' ? undefined : found;
  if (schema.type === undefined || schema.type === found) return undefined;
  return schema.type === 'number' && found === 'integer' ? undefined : found;
}

function typeCause(path: string, schema: Schema, found: string): Cause {
  const { type, format } = schema;
  // Numbers are told by their names in Go, and what has a format is told by that, where they do not fit.
  const isFraction = found === 'number' && type === 'integer';
  const isNumberForText = found === 'integer' && type === 'string' && format !== undefined;
  const shownType = isFraction ? 'float64' : isNumberForText ? 'int64' : found;
  const plain = isFraction || isNumberForText ? (format ?? type) : type;
  const wanted = schema['x-kubernetes-int-or-string'] === true ? 'integer,string' : plain;
  const problem = `${path} in body must be of type ${wanted}: "${shownType}"`;
  return invalid(path, shownType, problem, 'FieldValueTypeInvalid');
}

/** What an API server says beside that of a fraction for a whole number: it checks formats apart, and knows no field then. */
function fractionCauses(path: string, { type, format }: Schema, found: string): Cause[] {
  if (found !== 'number' || type !== 'integer' || format === undefined) return [];
  return [invalid('<nil>', '', `Checked value must be of type integer with format ${format} in ${path}`)];
}

function enumCauses(value: unknown, schema: Schema, field: string): Cause[] {
  if (schema.enum === undefined || schema.enum.some((each) => isEqual(each, value))) return [];
  const supported = schema.enum.map((each) => JSON.stringify(each)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`;
  return [{ reason: 'FieldValueNotSupported', field, message }];
}

function textCauses(value: string, schema: Schema, path: string): Cause[] {
  const { format } = schema;
  const causes = firstTextCause(value, schema, path);
  if (format !== undefined && !hasFormat(value, format)) {
    const problem = `${path} in body must be of type ${format}: ${shown(value)}`;
    causes.push(invalid(path, value, problem, 'FieldValueTypeInvalid'));
  }
  return causes;
}

/** Of a length and a pattern that are both wrong only one is told. */
function firstTextCause(value: string, { minLength, maxLength, pattern }: Schema, path: string): Cause[] {
  const length = Array.from(value).length;
  if (maxLength !== undefined && length > maxLength)
    return [{ reason: 'FieldValueTooLong', field: path, message: `Too long: may not be more than ${maxLength} bytes` }];
  if (minLength !== undefined && length < minLength)
    return [invalid(path, value, `${path} in body should be at least ${minLength} chars long`)];
  if (pattern !== undefined && !patternOf(pattern).test(value))
    return [invalid(path, value, `${path} in body should match '${pattern}'`)];
  return [];
}

const patterns = new Map<string, RegExp>();

function patternOf(text: string): RegExp {
  let pattern = patterns.get(text);
  if (pattern === undefined) patterns.set(text, (pattern = new RegExp(text, 'u')));
  return pattern;
}

const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Other formats are not checked, as in an API server that does not know them. */
function hasFormat(value: string, format: string): boolean {
  return format !== 'date-time' || (DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)));
}

function numberCauses(value: number, schema: Schema, path: string): Cause[] {
  const causes: Cause[] = [];
  const { minimum, maximum, multipleOf } = schema;
  if (minimum !== undefined && (value < minimum || (schema.exclusiveMinimum === true && value === minimum))) {
    const bound = schema.exclusiveMinimum === true ? 'greater than' : 'greater than or equal to';
    causes.push(invalid(path, value, `${path} in body should be ${bound} ${minimum}`));
  }
  if (maximum !== undefined && (value > maximum || (schema.exclusiveMaximum === true && value === maximum))) {
    const bound = schema.exclusiveMaximum === true ? 'less than' : 'less than or equal to';
    causes.push(invalid(path, value, `${path} in body should be ${bound} ${maximum}`));
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf))
    causes.push(invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  if (schema.format === 'int32' && (value < -(2 ** 31) || value >= 2 ** 31))
    causes.push(invalid(path, value, `${path} in body must be of type int32: ${value}`, 'FieldValueTypeInvalid'));
  return causes;
}

function listCauses(value: readonly unknown[], schema: Schema, path: string, old: unknown): Cause[] {
  const causes: Cause[] = [];
  if (schema.minItems !== undefined && value.length < schema.minItems)
    causes.push(invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`));
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    const message = `Too many: ${value.length}: must have at most ${schema.maxItems} items`;
    // Not each of them as well: a list is bounded so that it need not be looked at.
    return [{ reason: 'FieldValueTooMany', field: path, message }];
  }
  const keys = schema['x-kubernetes-list-type'] === 'map' ? schema['x-kubernetes-list-map-keys'] : undefined;
  const identityOf = (item: unknown) =>
    keys === undefined || !isObject(item) ? item : Object.fromEntries(keys.map((key) => [key, item[key] ?? null]));
  const unique = keys !== undefined || schema.uniqueItems === true || schema['x-kubernetes-list-type'] === 'set';
  const seen = new Set<string>();
  const oldItems = Array.isArray(old) ? old : [];
  for (const [index, item] of value.entries()) {
    const where = `${path}[${index}]`;
    const identity = JSON.stringify(identityOf(item));
    if (unique && seen.has(identity))
      causes.push({ reason: 'FieldValueDuplicate', field: where, message: `Duplicate value: ${identity}` });
    seen.add(identity);
    if (keys !== undefined && !isObject(item))
      causes.push(invalid(where, item, 'must be an object for an array of list-type map'));
    // Only items with an identity can be told to be the same as before.
    const oldItem =
      keys === undefined ? undefined : oldItems.find((each) => isEqual(identityOf(each), identityOf(item)));
    if (schema.items !== undefined) causes.push(...schemaCauses(item, schema.items, where, oldItem));
  }
  return causes;
}

function objectCauses(value: Readonly<Record<string, unknown>>, schema: Schema, path: string, old: unknown): Cause[] {
  const causes: Cause[] = [];
  const count = Object.keys(value).length;
  if (schema.minProperties !== undefined && count < schema.minProperties)
    causes.push(invalid(path, count, `${path} in body should have at least ${schema.minProperties} properties`));
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    const message = `Too many: ${count}: must have at most ${schema.maxProperties} items`;
    causes.push({ reason: 'FieldValueTooMany', field: path, message });
  }
  for (const field of schema.required ?? [])
    if (!Object.hasOwn(value, field))
      causes.push({ reason: 'FieldValueRequired', field: fieldPath(path, field), message: 'Required value' });
  for (const [field, inner] of Object.entries(value)) {
    const below = schemaOfField(schema, field);
    const before = isObject(old) && Object.hasOwn(old, field) ? old[field] : undefined;
    if (below !== undefined) causes.push(...schemaCauses(inner, below, fieldPath(path, field), before));
  }
  return causes;
}

function combinationCauses(value: unknown, schema: Schema, path: string): Cause[] {
  const holds = (each: Schema) => schemaCauses(value, { ...each }, path).length === 0;
  const causes = (schema.allOf ?? []).flatMap((each) => schemaCauses(value, each, path));
  if (schema.anyOf !== undefined && !schema.anyOf.some(holds))
    causes.push(invalid(path, value, `${path} in body must validate at least one schema (anyOf)`));
  if (schema.oneOf !== undefined && schema.oneOf.filter(holds).length !== 1)
    causes.push(invalid(path, value, `${path} in body must validate one and only one schema (oneOf)`));
  if (schema.not !== undefined && holds(schema.not))
    causes.push(invalid(path, value, `${path} in body must not validate the schema (not)`));
  return causes;
}
