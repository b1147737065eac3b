/**
 * Goal: the definitions in `crds/` are what `src/api` says, hold to the conventions of Kubernetes, and judge an object as our
 * own code does.
 * Method: compare the files with what is generated now; walk every node of the schemas; give a table of good and bad objects
 * to both judges, zod and the definitions (structural schema and CEL, evaluated), and every invalid manifest of the fixtures.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { z } from 'zod';
import {
  type CustomResourceDefinition,
  customResourceDefinitions,
} from '../../src/api/custom-resources/definitions.ts';
import {
  DISTRIBUTED_LOCK_RULES,
  type DistributedLock,
  distributedLockManifestSchema,
  distributedLockSchema,
} from '../../src/api/custom-resources/distributed-lock.ts';
import {
  LOCK_POOL_RULES,
  type LockPool,
  lockPoolManifestSchema,
  lockPoolSchema,
} from '../../src/api/custom-resources/lock-pool.ts';
import type { StructuralSchema } from '../../src/api/custom-resources/structural-schema.ts';
import type { CelRule } from '../../src/api/custom-resources/validation-rule.ts';
import type { KubeObject } from '../../src/kube/kube-object.ts';
import { DISTRIBUTED_LOCKS, LOCK_POOLS } from '../../src/kube/kube-object.ts';
import { judge } from './api-server-judge.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const [locks, pools] = customResourceDefinitions() as [CustomResourceDefinition, CustomResourceDefinition];
const kinds = {
  DistributedLock: {
    definition: locks,
    schema: distributedLockSchema,
    manifestSchema: distributedLockManifestSchema,
    resource: DISTRIBUTED_LOCKS,
    rules: [...DISTRIBUTED_LOCK_RULES.root, ...DISTRIBUTED_LOCK_RULES.spec],
  },
  LockPool: {
    definition: pools,
    schema: lockPoolSchema,
    manifestSchema: lockPoolManifestSchema,
    resource: LOCK_POOLS,
    rules: [...LOCK_POOL_RULES.root, ...LOCK_POOL_RULES.spec],
  },
} as const;
type Kind = keyof typeof kinds;
const kindNames = Object.keys(kinds) as Kind[];

interface Node {
  readonly path: string;
  readonly schema: StructuralSchema;
}

function nodesOf(schema: StructuralSchema, path: string): Node[] {
  return [
    { path, schema },
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => nodesOf(child, `${path}.${name}`)),
    ...(schema.items ? nodesOf(schema.items, `${path}[]`) : []),
  ];
}

/** The type of an object is the API server's to check, and so is the rest of `metadata`. */
const checkedByKubernetes = ['.apiVersion', '.kind', '.metadata'];

function boundProblem({ path, schema }: Node): string | undefined {
  const { type, properties, items } = schema;
  if (checkedByKubernetes.includes(path)) return undefined;
  if (type === 'string' && schema.enum === undefined && schema.maxLength === undefined) return `${path}: no maxLength`;
  if (type === 'integer' && (schema.minimum === undefined || schema.maximum === undefined)) return `${path}: no end`;
  if (type === 'array' && (schema.maxItems === undefined || items === undefined)) return `${path}: no maxItems`;
  if (type === 'array' && schema['x-kubernetes-list-type'] === undefined) return `${path}: no list type`;
  if (type === 'object' && properties === undefined) return `${path}: any property`;
  return undefined;
}

function ruleProblems({ path, schema }: Node): string[] {
  return (schema['x-kubernetes-validations'] ?? []).flatMap((rule: Partial<CelRule>) => {
    const wanted = ['rule', 'message', 'messageExpression', 'reason', 'fieldPath'] as const;
    const missing = wanted.filter((field) => !rule[field]).map((field) => `${path}: ${rule.rule}: no ${field}`);
    const target = (rule.fieldPath ?? '').split('.').slice(1);
    let node: StructuralSchema | undefined = schema;
    for (const name of target) node = node?.properties?.[name];
    return node === undefined ? [...missing, `${path}: ${rule.fieldPath} is no field`] : missing;
  });
}

describe.each(kindNames)('the definition of %s', (kind) => {
  const { definition, resource } = kinds[kind];
  const version = definition.spec.versions[0];
  const nodes = nodesOf(version.schema.openAPIV3Schema, '');

  test('is the file in crds/; if not, npm run generate', () => {
    const path = `${repository}/crds/lockkeeper.dev_${resource.plural}.yaml`;
    const text = readFileSync(path, 'utf8');
    expect(parse(text, { version: '1.1' })).toEqual(JSON.parse(JSON.stringify(definition)));
    expect(Buffer.byteLength(text)).toBeLessThan(64 * 1024);
  });

  test('has the names by which the product asks for it', () => {
    const { group, names, scope } = definition.spec;
    expect({ group, plural: names.plural, kind: names.kind, version: version.name, scope }).toEqual({
      group: resource.group,
      plural: resource.plural,
      kind: resource.kind,
      version: resource.version,
      scope: 'Namespaced',
    });
    expect(names.categories).toEqual(['lockkeeper']);
  });

  test('bounds every field', () => {
    expect(nodes.length).toBeGreaterThan(20);
    expect(nodes.map(boundProblem).filter((problem) => problem !== undefined)).toEqual([]);
  });

  test('describes every field', () => {
    const silent = nodes.filter(({ path, schema }) => path !== '.metadata' && !schema.description?.endsWith('.'));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test('prunes unknown fields and keeps none', () => {
    expect(JSON.stringify(definition)).not.toMatch(/additionalProperties|preserve-unknown|preserveUnknown/);
  });

  test('has a message expression, a message, a reason and a field for every rule', () => {
    expect(nodes.flatMap(ruleProblems)).toEqual([]);
  });

  test('has messages that the API server can read as they are', () => {
    for (const { message } of kinds[kind].rules) expect(message).not.toMatch(/['%\\\n]/);
  });

  test('has one-word columns with a description, AGE last', () => {
    const columns = version.additionalPrinterColumns;
    for (const { name, description } of columns) {
      expect(name).toMatch(/^[A-Z][A-Za-z-]*$/);
      expect(description).toMatch(/\.$/);
    }
    expect(columns.at(-1)).toMatchObject({ name: 'Age', type: 'date' });
  });

  test('shows and selects fields that exist', () => {
    const paths = [
      ...version.selectableFields.map(({ jsonPath }) => jsonPath),
      ...version.additionalPrinterColumns.map(({ jsonPath }) => jsonPath),
    ].filter((path) => !path.startsWith('.metadata'));
    const known = nodes.map(({ path }) => path.replace('[]', ''));
    expect(paths.map((path) => path.replace(/\[\?.*?\]/, '')).filter((path) => !known.includes(path))).toEqual([]);
  });
});

test('kubectl get locks has the columns of the documentation', () => {
  const columns = locks.spec.versions[0].additionalPrinterColumns;
  const names = (wide: boolean) =>
    columns.filter(({ priority }) => wide || priority === undefined).map(({ name }) => name.toUpperCase());
  expect(names(false)).toEqual(['HOLDER', 'TOKEN', 'WAITERS', 'HELD-SINCE', 'AGE']);
  expect(names(true)).toEqual(['HOLDER', 'TOKEN', 'WAITERS', 'HELD-SINCE', 'MODE', 'LEASE', 'SHARD', 'READY', 'AGE']);
  expect(locks.spec.names.shortNames).toEqual(['lock', 'locks']);
});

function objectOf(kind: Kind, spec: unknown, name = 'builds'): KubeObject {
  return { apiVersion: 'lockkeeper.dev/v1alpha1', kind, metadata: { name }, spec };
}

const both: readonly (readonly [what: string, spec: unknown])[] = [
  ['an empty spec', {}],
  ['a short lease', { leaseDurationSeconds: 1 }],
  ['a lease below the shortest', { leaseDurationSeconds: 0 }],
  ['a lease above the longest', { leaseDurationSeconds: 3_601 }],
  ['a lease as text', { leaseDurationSeconds: '15s' }],
  ['half a second', { leaseDurationSeconds: 1.5 }],
  ['a semaphore', { permits: 256 }],
  ['no permit', { permits: 0 }],
  ['too many permits', { permits: 257 }],
  ['a word for a boolean', { reentrant: 'no' }],
  ['priority', { fairness: 'Priority' }],
  ['fairness in lower case', { fairness: 'fifo' }],
  ['a longest hold of one lease', { maxHoldSeconds: 15 }],
  ['a longest hold below the default lease', { maxHoldSeconds: 14 }],
  ['a longest hold below its lease', { leaseDurationSeconds: 30, maxHoldSeconds: 29 }],
  ['a longest hold of 30 days', { maxHoldSeconds: 2_592_000 }],
  ['a longest hold above 30 days', { maxHoldSeconds: 2_592_001 }],
  ['a lock delay', { lockDelaySeconds: 3_600 }],
  ['a negative lock delay', { lockDelaySeconds: -1 }],
  ['no queue', { maxWaiters: 0 }],
  ['a queue above the bound', { maxWaiters: 100_001 }],
  ['alert', { expiryPolicy: 'Alert', lockDelaySeconds: 5 }],
  ['an unknown policy', { expiryPolicy: 'Ignore' }],
  ['break', { deadlockPolicy: 'Break' }],
  ['a list for a spec', []],
];
const cases: readonly (readonly [kind: Kind, what: string, spec: unknown])[] = [
  ...kindNames.flatMap((kind) => both.map(([what, spec]) => [kind, what, spec] as const)),
  ['DistributedLock', 'fencing', { fencing: true }],
  ['DistributedLock', 'fencing as a number', { fencing: 1 }],
  ['LockPool', 'a lease of the longest', { leaseDurationSeconds: 60 }],
  ['LockPool', 'a lease above the default longest', { leaseDurationSeconds: 61 }],
  ['LockPool', 'a longest lease below the default lease', { maxLeaseDurationSeconds: 10 }],
  ['LockPool', 'both shorter', { leaseDurationSeconds: 5, maxLeaseDurationSeconds: 10 }],
  ['LockPool', 'a pattern', { keyPattern: String.raw`order-\d{1,12}|refund/[^/]+` }],
  ['LockPool', 'an empty pattern', { keyPattern: '' }],
  ['LockPool', 'a long pattern', { keyPattern: 'a'.repeat(256) }],
  ['LockPool', 'a pattern that is too long', { keyPattern: 'a'.repeat(257) }],
  ['LockPool', 'a group', { keyPattern: '(order|refund)-.*' }],
  ['LockPool', 'an anchor', { keyPattern: '^order-.*$' }],
  ['LockPool', 'a look-ahead', { keyPattern: '(?=a)a' }],
  ['LockPool', 'a back-reference', { keyPattern: String.raw`a\1` }],
  ['LockPool', 'a count of a count', { keyPattern: 'a++' }],
  ['LockPool', 'a range from end to start', { keyPattern: '[9-0]' }],
  ['LockPool', 'a count from more to less', { keyPattern: 'a{5,2}' }],
];

describe('zod and the definitions agree', () => {
  const verdicts = new Map<string, number>();

  test.each(cases)('%s: %s', (kind, _what, spec) => {
    const { definition, schema } = kinds[kind];
    const object = objectOf(kind, spec);
    const refusals = judge(definition, object);
    const parsed: z.ZodSafeParseResult<unknown> = schema.safeParse(object);
    verdicts.set(`${parsed.success}`, (verdicts.get(`${parsed.success}`) ?? 0) + 1);
    expect({ taken: refusals.length === 0, refusals }).toEqual({ taken: parsed.success, refusals });
    if (parsed.success) return;
    const fields = parsed.error.issues.map(({ path }) => path.join('.'));
    expect(new Set(fields)).toEqual(new Set(refusals.map(({ field }) => field)));
    for (const { message } of parsed.error.issues.filter(({ code }) => code === 'custom'))
      expect(refusals.map(({ text }) => text).join('\n')).toContain(message);
  });

  test.each(['a', 'a1-b', '0', 'a'.repeat(63), 'a'.repeat(64), 'a.b', 'A', '-a', 'a-', 'a_b'])('name %s', (name) => {
    for (const kind of kindNames) {
      const object = objectOf(kind, {}, name);
      expect(judge(kinds[kind].definition, object).length === 0).toBe(kinds[kind].schema.safeParse(object).success);
    }
  });

  test('and the table has many of both', () => {
    expect(verdicts.get('true')).toBeGreaterThan(15);
    expect(verdicts.get('false')).toBeGreaterThan(15);
  });
});

test('an object is read with its defaults, and without what this version does not know', () => {
  const lock: DistributedLock = distributedLockSchema.parse({ ...objectOf('DistributedLock', { later: 1 }), more: 2 });
  const pool: LockPool = lockPoolSchema.parse({ ...objectOf('LockPool', undefined) });
  expect(lock.spec).toMatchObject({ leaseDurationSeconds: 15, permits: 1, fencing: false });
  expect(lock.spec).not.toHaveProperty('later');
  expect(pool.spec).toMatchObject({ leaseDurationSeconds: 15, maxLeaseDurationSeconds: 60 });
  const asStored: readonly KubeObject[] = [lock, pool];
  expect(asStored.map(({ kind }) => kind)).toEqual(['DistributedLock', 'LockPool']);
});

describe('a recorded fencing token only grows', () => {
  const withToken = (fencingToken: string | undefined) => ({
    ...objectOf('DistributedLock', {}),
    ...(fencingToken === undefined ? {} : { status: { fencingToken } }),
  });

  test.each([
    [undefined, '5', true],
    ['5', '5', true],
    ['9', '10', true],
    ['10', '9', false],
    ['5', undefined, false],
    [undefined, undefined, true],
  ])('from %s to %s: %s', (before, after, taken) => {
    const refusals = judge(locks, withToken(after), withToken(before));
    expect(refusals.map(({ field }) => field)).toEqual(taken ? [] : ['status.fencingToken']);
    const met = DISTRIBUTED_LOCK_RULES.root.map(({ isMet }) => isMet(withToken(after), withToken(before)));
    expect(met.every(Boolean)).toBe(taken);
  });
});

describe('every invalid manifest is refused', () => {
  const folder = `${repository}/test/fixtures/invalid-manifests`;
  const fixtures: (readonly [name: string, text: string])[] = [];
  for (const name of readdirSync(folder)) fixtures.push([name, readFileSync(`${folder}/${name}`, 'utf8')]);

  test('there are at least ten', () => expect(fixtures.length).toBeGreaterThanOrEqual(10));

  test.each(fixtures)('%s', (_name, text) => {
    const expected = [...text.matchAll(/^# expect: (.+)$/gm)].map(([, line]) => line);
    expect(expected.length).toBeGreaterThan(0);
    const object = parse(text) as KubeObject;
    const { definition, manifestSchema } = kinds[object.kind as Kind];
    expect(manifestSchema.safeParse(object).success).toBe(false);
    const told = judge(definition, object).map((refusal) => `${refusal.field}: Invalid value: ${refusal.text}`);
    for (const line of expected.filter((each) => each?.includes(': Invalid value: `'))) expect(told).toContain(line);
  });
});
