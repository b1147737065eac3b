import { Environment } from '@marcbachmann/cel-js';
import type { Cause } from './api-error.ts';
import { isEqual, isObject } from './json.ts';
import { type Rule, type Schema, fieldPath, schemaOfField } from './schema.ts';

/** Evaluates an expression over `self` and `oldSelf`. */
type Program = (variables: Readonly<Record<string, unknown>>) => unknown;

/**
 * What the rules of a schema say about a value and everything in it. A rule over `oldSelf` is looked at only if there was a
 * value before; a rule over `self` alone only if the value is another one now.
 */
export function ruleCauses(value: unknown, schema: Schema, path = '', old?: unknown): readonly Cause[] {
  const causes = causesOfPlace(value, schema, path, old);
  if (Array.isArray(value)) {
    // No item is known to be the one it was before, so no rule over `oldSelf` is looked at.
    const { items } = schema;
    if (items !== undefined && mayHaveRules(items))
      causes.push(...value.flatMap((item, index) => ruleCauses(item, items, `${path}[${index}]`)));
  } else if (isObject(value))
    for (const [field, inner] of Object.entries(value)) {
      const below = schemaOfField(schema, field);
      if (below === undefined || !mayHaveRules(below)) continue;
      const before = isObject(old) && Object.hasOwn(old, field) ? old[field] : undefined;
      causes.push(...ruleCauses(inner, below, fieldPath(path, field), before));
    }
  return causes;
}

/** Whether there are rules in a schema at all. */
export function mayHaveRules(schema: Schema): boolean {
  let known = withRules.get(schema);
  if (known === undefined) {
    const { properties = {}, items, additionalProperties: others } = schema;
    const below = [...Object.values(properties), ...(items === undefined ? [] : [items])];
    if (typeof others === 'object') below.push(others);
    withRules.set(schema, (known = schema['x-kubernetes-validations'] !== undefined || below.some(mayHaveRules)));
  }
  return known;
}

const withRules = new WeakMap<Schema, boolean>();

function causesOfPlace(value: unknown, schema: Schema, path: string, old: unknown): Cause[] {
  const rules = schema['x-kubernetes-validations'];
  if (rules === undefined || value === null) return [];
  const variables = { self: celValue(value, schema), ...(old === undefined ? {} : { oldSelf: celValue(old, schema) }) };
  return rules.flatMap((rule) => {
    const isTransition = OLD_SELF.test(rule.rule);
    if (isTransition ? old === undefined : old !== undefined && isEqual(value, old)) return [];
    return causesOfRule(rule, variables, value, path);
  });
}

const OLD_SELF = /\boldSelf\b/;

/** None if the rule holds. One that cannot be evaluated is broken, and then the error is told of the place of the rule. */
function causesOfRule(
  rule: Rule,
  variables: Readonly<Record<string, unknown>>,
  value: unknown,
  path: string,
): readonly Cause[] {
  const place = JSON.stringify(typeof value === 'object' ? 'object' : value);
  try {
    if (programOf(rule.rule)(variables) === true) return [];
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error);
    const message = `Invalid value: ${place}: ${why} evaluating rule: ${rule.message ?? rule.rule}`;
    return [{ reason: 'FieldValueInvalid', field: path, message }];
  }
  const problem = messageOf(rule, variables);
  const { reason = 'FieldValueInvalid', fieldPath: field } = rule;
  // Of a field within, the value is not told: the rule is about more than that field.
  const shown = field === undefined ? ` ${place}:` : '';
  const beginnings = {
    FieldValueForbidden: `Forbidden: ${problem}`,
    FieldValueRequired: `Required value: ${problem}`,
    FieldValueDuplicate: `Duplicate value: ${place}`,
    FieldValueInvalid: `Invalid value:${shown} ${problem}`,
  };
  return [{ reason, field: `${path}${field ?? ''}`.replace(/^\./, ''), message: beginnings[reason] }];
}

/** Why the rule is broken, in its own words. */
function messageOf(rule: Rule, variables: Readonly<Record<string, unknown>>): string {
  const plain = rule.message ?? `failed rule: ${rule.rule}`;
  if (rule.messageExpression === undefined) return plain;
  try {
    const text = programOf(rule.messageExpression)(variables);
    return typeof text === 'string' && text.trim() !== '' && !text.includes('\n') ? text : plain;
  } catch {
    return plain;
  }
}

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  enableOptionalTypes: true,
  homogeneousAggregateLiterals: false,
}).registerFunction(
  // Of the `format` of Kubernetes' CEL what messages need: `%s`, in order.
  'string.format(list<dyn>): string',
  (text: string, values: readonly unknown[]) =>
    values.reduce<string>((said, value) => said.replace('%s', String(value)), text),
);
const programs = new Map<string, Program>();

/** Throws for an expression that cannot be parsed. */
function programOf(expression: string): Program {
  let program = programs.get(expression);
  if (program === undefined) programs.set(expression, (program = environment.parse(expression) as Program));
  return program;
}

/** Whole numbers where the schema says integer; everything else as it is. */
function celValue(value: unknown, schema: Schema | undefined): unknown {
  if (typeof value === 'number') return schema?.type === 'integer' ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map((item) => celValue(item, schema?.items));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([field, inner]) => [field, celValue(inner, schema && schemaOfField(schema, field))]),
  );
}
