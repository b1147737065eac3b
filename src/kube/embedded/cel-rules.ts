import { Environment } from '@marcbachmann/cel-js';
import type { Cause } from './api-error.ts';
import { isEqual, isObject } from './json.ts';
import { type Rule, type Schema, schemaOfField } from './schema.ts';

/** Evaluates an expression over `self` and `oldSelf`. */
type Program = (variables: Readonly<Record<string, unknown>>) => unknown;

/**
 * What the rules of one place in a schema say about a value there. A rule over `oldSelf` is looked at only if there was a
 * value before; a rule over `self` alone only if the value is another one now.
 */
export function ruleCauses(value: unknown, schema: Schema, path: string, old: unknown): Cause[] {
  const rules = schema['x-kubernetes-validations'];
  if (rules === undefined) return [];
  const variables = { self: celValue(value, schema), ...(old === undefined ? {} : { oldSelf: celValue(old, schema) }) };
  return rules.flatMap((rule) => {
    const isTransition = OLD_SELF.test(rule.rule);
    if (isTransition ? old === undefined : old !== undefined && isEqual(value, old)) return [];
    const problem = problemOf(rule, variables);
    if (problem === undefined) return [];
    const place = value !== null && typeof value === 'object' ? 'object' : value;
    return [
      {
        reason: rule.reason ?? 'FieldValueInvalid',
        field: `${path}${rule.fieldPath ?? ''}`.replace(/^\./, ''),
        message: messageOf(rule, place, problem),
      },
    ];
  });
}

const OLD_SELF = /\boldSelf\b/;

function messageOf({ reason }: Rule, value: unknown, problem: string): string {
  if (reason === 'FieldValueForbidden') return `Forbidden: ${problem}`;
  if (reason === 'FieldValueRequired') return `Required value: ${problem}`;
  if (reason === 'FieldValueDuplicate') return `Duplicate value: ${JSON.stringify(value)}`;
  return `Invalid value: ${JSON.stringify(value)}: ${problem}`;
}

/** Why the rule is broken, in its own words; `undefined` if it holds. A rule that cannot be evaluated is broken, as in an API server. */
function problemOf(rule: Rule, variables: Readonly<Record<string, unknown>>): string | undefined {
  try {
    if (programOf(rule.rule)(variables) === true) return undefined;
  } catch (error) {
    return `rule evaluation error: ${error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : String(error)}`;
  }
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
