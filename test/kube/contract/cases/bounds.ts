/** One request for each thing that the definitions of our kinds forbid, made from the definitions themselves. */
import { customResourceDefinitions } from '../../../../src/api/custom-resources/definitions.ts';
import type { StructuralSchema } from '../../../../src/api/custom-resources/structural-schema.ts';
import { type ContractCase, lock, patch, pool, post } from '../contract-case.ts';

/** A value that breaks exactly one keyword of a schema, where that can be. */
interface Violation {
  /** For example `status.holders[0].depth`. */
  readonly field: string;
  readonly value: unknown;
}

const MOMENT = '2026-01-31T12:00:00Z';

/** A small value that the schema takes. `index` tells items of one list apart. */
function validOf(schema: StructuralSchema, index = 0): unknown {
  const { type, enum: words, minimum = 0, minLength = 0, pattern, format, properties = {}, required = [] } = schema;
  if (words !== undefined) return words[0];
  if (type === 'integer') return minimum;
  if (type === 'boolean') return true;
  if (type === 'array') return [];
  if (type === 'object')
    return Object.fromEntries(required.map((name) => [name, validOf(properties[name] as StructuralSchema, index)]));
  if (format === 'date-time') return MOMENT;
  if (pattern === undefined) return 'a'.repeat(minLength);
  return [`${index + 1}`, `A${index + 1}`].find((text) => new RegExp(pattern).test(text));
}

/** Values of another type, out of bounds, or of no allowed form. */
function wrongValues(schema: StructuralSchema): readonly (readonly [keyword: string, value: unknown])[] {
  const { type, enum: words, minimum, maximum, minLength, maxLength, pattern, format, maxItems, items } = schema;
  const wrong: (readonly [string, unknown])[] = [['type', type === 'string' ? 7 : 'no such type']];
  if (words !== undefined) wrong.push(['enum', 'no such word']);
  if (minimum !== undefined) wrong.push(['minimum', minimum - 1]);
  if (maximum !== undefined) wrong.push(['maximum', maximum + 1]);
  if (minLength !== undefined) wrong.push(['minLength', '']);
  if (maxLength !== undefined) wrong.push(['maxLength', '1'.repeat(maxLength + 1)]);
  if (pattern !== undefined) wrong.push(['pattern', '!']);
  if (format === 'date-time') wrong.push(['format', 'noon']);
  if (items === undefined) return wrong;
  const several = (count: number) => Array.from({ length: count }, (_, index) => validOf(items, index));
  if (maxItems !== undefined) wrong.push(['maxItems', several(maxItems + 1)]);
  if (schema['x-kubernetes-list-map-keys'] !== undefined)
    wrong.push(['list-map-keys', [validOf(items), validOf(items)]]);
  return wrong;
}

/** What is wrong with an item is told of the item. */
function fieldOf(keyword: string, field: string): string {
  return keyword === 'list-map-keys' ? `${field}[1]` : field;
}

/** Of the schema itself and of everything in it; `whole` puts a value of the schema into an object that is valid otherwise. */
function violationsOf(
  schema: StructuralSchema,
  field: string,
  whole: (value: unknown) => unknown,
): readonly Violation[] {
  const valid = validOf(schema) as Readonly<Record<string, unknown>>;
  const { properties = {}, required = [], items } = schema;
  return [
    ...wrongValues(schema).map(([keyword, value]) => ({ field: fieldOf(keyword, field), value: whole(value) })),
    ...required.map((name) => {
      const { [name]: _missing, ...rest } = valid;
      return { field: `${field}.${name}`, value: whole(rest) };
    }),
    ...Object.entries(properties).flatMap(([name, child]) =>
      violationsOf(child, `${field}.${name}`, (value) => whole({ ...valid, [name]: value })),
    ),
    ...(items === undefined ? [] : violationsOf(items, `${field}[0]`, (value) => whole([value]))),
  ];
}

function casesOf(kind: 'DistributedLock' | 'LockPool', path: string): readonly ContractCase[] {
  const definition = customResourceDefinitions().find(({ spec }) => spec.names.kind === kind);
  const { spec, status } = definition?.spec.versions[0].schema.openAPIV3Schema.properties ?? {};
  const empty = kind === 'LockPool' ? pool('a') : lock('a');
  const identity = (value: unknown) => value;
  const refused = (field: string) => ({
    code: 422,
    reason: 'Invalid',
    says: { details: { name: 'a' } },
    refuses: field,
  });
  return [
    {
      name: `every bound of the spec of a ${kind}`,
      steps: violationsOf(spec as StructuralSchema, 'spec', identity).map(({ field, value }) =>
        post(`${path}?dryRun=All`, { ...empty, spec: value }, refused(field)),
      ),
    },
    {
      name: `every bound of the status of a ${kind}`,
      steps: [
        post(path, empty),
        ...violationsOf(status as StructuralSchema, 'status', identity).map(({ field, value }) =>
          patch('merge', `${path}/a/status?dryRun=All`, { status: value }, refused(field)),
        ),
      ],
    },
  ];
}

export const boundCases: readonly ContractCase[] = [
  ...casesOf('DistributedLock', 'locks'),
  ...casesOf('LockPool', 'pools'),
];
