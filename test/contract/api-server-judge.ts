/**
 * What an API server does with a custom resource before it stores it, as far as our definitions ask for it: fills in defaults,
 * checks the structural schema, then evaluates the CEL rules. Nothing here knows zod or our own rules.
 */
import { Environment } from '@marcbachmann/cel-js';
import type { CustomResourceDefinition } from '../../src/api/custom-resources/definitions.ts';
import type { StructuralSchema } from '../../src/api/custom-resources/structural-schema.ts';

type Json = Readonly<Record<string, unknown>>;

export interface Refusal {
  /** For example `spec.permits`. */
  readonly field: string;
  readonly text: string;
}

/** Problems of the structure after which no rule is evaluated; the others, of a mere value, are told beside broken rules. */
const BLOCKING = /^(must be of type|must be one of|too long|too many|is required)/;

const environment = new Environment({ unlistedVariablesAreDyn: true }).registerFunction(
  'string.format(list<dyn>): string',
  (text: string, values: readonly unknown[]) =>
    values.reduce<string>((said, value) => said.replace('%s', String(value)), text),
);

/** Why the object is refused; empty if it is taken. `old` is the stored object on an update. Unknown fields are pruned. */
export function judge(definition: CustomResourceDefinition, object: Json, old?: Json): Refusal[] {
  const schema = definition.spec.versions[0].schema.openAPIV3Schema;
  const stored = withDefaults(schema, object);
  const refusals = structuralRefusals(schema, stored, '');
  if (refusals.some(({ text }) => BLOCKING.test(text))) return refusals;
  return [...refusals, ...brokenRules(schema, stored, old === undefined ? undefined : withDefaults(schema, old), '')];
}

function withDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (schema.items && Array.isArray(value)) return value.map((item) => withDefaults(schema.items as never, item));
  if (!schema.properties || !isObject(value)) return value;
  const filled: Record<string, unknown> = {};
  for (const [name, child] of Object.entries(schema.properties)) {
    const given = value[name] ?? child.default;
    if (given !== undefined) filled[name] = withDefaults(child, given);
  }
  return filled;
}

function structuralRefusals(schema: StructuralSchema, value: unknown, field: string): Refusal[] {
  const refuse = (text: string): Refusal[] => [{ field, text }];
  switch (schema.type) {
    case 'boolean':
      return typeof value === 'boolean' ? [] : refuse('must be of type boolean');
    case 'integer':
      if (typeof value !== 'number' || !Number.isInteger(value)) return refuse('must be of type integer');
      if (value < (schema.minimum ?? value)) return refuse(`must be at least ${schema.minimum}`);
      return value > (schema.maximum ?? value) ? refuse(`must be at most ${schema.maximum}`) : [];
    case 'string':
      if (typeof value !== 'string') return refuse('must be of type string');
      if (value.length < (schema.minLength ?? 0)) return refuse('too short');
      if (value.length > (schema.maxLength ?? value.length)) return refuse('too long');
      if (schema.enum && !schema.enum.includes(value)) return refuse(`must be one of ${schema.enum.join(', ')}`);
      if (schema.format === 'date-time' && Number.isNaN(Date.parse(value))) return refuse('must be of type date-time');
      return schema.pattern && !new RegExp(schema.pattern).test(value) ? refuse(`must match ${schema.pattern}`) : [];
    case 'array':
      if (!Array.isArray(value)) return refuse('must be of type array');
      if (value.length > (schema.maxItems ?? value.length)) return refuse('too many items');
      return value.flatMap((item, index) => structuralRefusals(schema.items as never, item, `${field}[${index}]`));
    case 'object':
  }
  if (!isObject(value)) return refuse('must be of type object');
  const below = (name: string) => `${field}.${name}`.replace(/^\./, '');
  return [
    ...(schema.required ?? [])
      .filter((name) => value[name] === undefined)
      .map((name) => ({ field: below(name), text: 'is required' })),
    ...Object.entries(schema.properties ?? {})
      .filter(([name]) => value[name] !== undefined)
      .flatMap(([name, child]) => structuralRefusals(child, value[name], below(name))),
  ];
}

function brokenRules(schema: StructuralSchema, value: unknown, old: unknown, field: string): Refusal[] {
  const refusals: Refusal[] = [];
  const variables = { self: celValue(value), oldSelf: celValue(old) };
  for (const { rule, message, messageExpression, fieldPath } of schema['x-kubernetes-validations'] ?? []) {
    if (rule.includes('oldSelf') && old === undefined) continue;
    const where = `${field}${fieldPath}`.replace(/^\./, '');
    try {
      if (environment.evaluate(rule, variables) === true) continue;
      refusals.push({ field: where, text: String(environment.evaluate(messageExpression, variables)) });
    } catch (error) {
      refusals.push({ field: where, text: `${String(error)} evaluating rule: ${message}` });
    }
  }
  if (!isObject(value)) return refusals;
  const children = Object.entries(schema.properties ?? {}).filter(([name]) => value[name] !== undefined);
  return [
    ...refusals,
    ...children.flatMap(([name, child]) =>
      brokenRules(child, value[name], isObject(old) ? old[name] : undefined, `${field}.${name}`.replace(/^\./, '')),
    ),
  ];
}

/** CEL has integers apart from doubles; ours are all integers. */
function celValue(value: unknown): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map(celValue);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, child]) => [name, celValue(child)]));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
