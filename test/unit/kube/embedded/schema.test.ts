/**
 * Goal: values are pruned, completed and judged by a structural schema with the words of an API server.
 * Method: small schemas as tables; rules with every feature that ours use.
 */
import { describe, expect, test } from '@jest/globals';
import { ruleCauses } from '../../../../src/kube/embedded/cel-rules.ts';
import type { Schema } from '../../../../src/kube/embedded/schema.ts';
import { prune, withDefaults } from '../../../../src/kube/embedded/schema-shape.ts';
import { schemaCauses } from '../../../../src/kube/embedded/schema-validate.ts';
import { jsonPath } from '../../../../src/kube/embedded/json-path.ts';
import { ageOf } from '../../../../src/kube/embedded/http/age.ts';

const number = (more: Schema): Schema => ({ type: 'integer', ...more });
const text = (more: Schema = {}): Schema => ({ type: 'string', ...more });

test('what no schema knows is dropped and named', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      known: { type: 'object', properties: { a: text() } },
      list: { type: 'array', items: { type: 'object', properties: { a: text() } } },
      map: { type: 'object', additionalProperties: text() },
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  };
  const dropped: string[] = [];
  const value = { known: { a: '1', b: 2 }, list: [{ c: 1 }], map: { x: 'y' }, free: { z: { w: 1 } }, other: 1 };
  expect(prune(value, schema, '', dropped)).toEqual({
    known: { a: '1' },
    list: [{}],
    map: { x: 'y' },
    free: { z: { w: 1 } },
  });
  expect(dropped).toEqual(['known.b', 'list[0].c', 'other']);
});

test('defaults are filled in from the outside in, also for null', () => {
  const schema: Schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        default: {},
        properties: { a: number({ default: 1 }), b: text({ default: 'x', nullable: true }) },
      },
    },
  };
  expect(withDefaults({}, schema)).toEqual({ spec: { a: 1, b: 'x' } });
  expect(withDefaults({ spec: { a: null, b: null } }, schema)).toEqual({ spec: { a: 1, b: null } });
});

describe('validation', () => {
  test.each<[unknown, Schema, string]>([
    ['a', number({}), 'Invalid value: "string": f in body must be of type integer: "string"'],
    [1.5, number({}), 'Invalid value: "float64": f in body must be of type integer: "float64"'],
    [null, text(), 'Invalid value: "null": f in body must be of type string: "null"'],
    [0, number({ minimum: 1 }), 'Invalid value: 0: f in body should be greater than or equal to 1'],
    [9, number({ maximum: 8 }), 'Invalid value: 9: f in body should be less than or equal to 8'],
    [3, number({ multipleOf: 2 }), 'Invalid value: 3: f in body should be a multiple of 2'],
    [2 ** 31, number({ format: 'int32' }), 'Invalid value: 2147483648: f in body must be of type int32: 2147483648'],
    ['b', text({ enum: ['a', 'c'] }), 'Unsupported value: "b": supported values: "a", "c"'],
    ['', text({ minLength: 1 }), 'Invalid value: "": f in body should be at least 1 chars long'],
    ['😀😀', text({ maxLength: 1 }), 'Too long: may not be more than 1 bytes'],
    ['B', text({ pattern: '^[a-z]$' }), 'Invalid value: "B": f in body should match \'^[a-z]$\''],
    ['today', text({ format: 'date-time' }), 'Invalid value: "today": f in body must be of type date-time: "today"'],
    [[1, 2], { type: 'array', maxItems: 1 }, 'Too many: 2: must have at most 1 items'],
    [['a', 'a'], { type: 'array', 'x-kubernetes-list-type': 'set', items: text() }, 'Duplicate value: "a"'],
    [
      [{ k: 1 }, { k: 1 }],
      { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'] },
      'Duplicate value: {"k":1}',
    ],
    [{}, { type: 'object', required: ['a'] }, 'Required value'],
    [{ a: 1, b: 2 }, { type: 'object', maxProperties: 1 }, 'Too many: 2: must have at most 1 items'],
    [
      1,
      { anyOf: [text(), number({ minimum: 2 })] },
      'Invalid value: 1: f in body must validate at least one schema (anyOf)',
    ],
    [
      true,
      { 'x-kubernetes-int-or-string': true },
      'Invalid value: "boolean": f in body must be of type integer,string: "boolean"',
    ],
  ])('%j against %j', (value, schema, message) => {
    expect(schemaCauses(value, schema, 'f').map((cause) => cause.message)).toEqual([message]);
  });

  test('what was there before and is the same is not judged again', () => {
    const schema: Schema = { type: 'object', properties: { a: number({ maximum: 1 }), b: number({ maximum: 1 }) } };
    expect(schemaCauses({ a: 5, b: 5 }, schema, '', { a: 5, b: 4 }).map(({ field }) => field)).toEqual(['b']);
  });
});

describe('rules', () => {
  const schema: Schema = {
    type: 'object',
    properties: { a: number({}), b: number({}), name: text() },
    'x-kubernetes-validations': [
      {
        rule: '!has(self.b) || self.a <= self.b',
        messageExpression: '"a is " + string(self.a) + ", above " + string(self.b)',
        fieldPath: '.a',
      },
      {
        rule: 'self.name == oldSelf.name',
        message: 'name is for ever',
        reason: 'FieldValueForbidden',
        fieldPath: '.name',
      },
      { rule: 'self.a / 0 == 1 || self.a != 99' },
    ],
  };
  const causes = (value: object, old?: object) => ruleCauses(value, schema, 'spec', old);

  test('that hold say nothing', () => {
    expect(causes({ a: 1, b: 2, name: 'x' })).toEqual([]);
    expect(causes({ a: 1, name: 'x' }, { a: 2, name: 'x' })).toEqual([]);
  });

  test('say what is wrong where they point, with their reason', () => {
    expect(causes({ a: 3, b: 2, name: 'x' })).toEqual([
      { reason: 'FieldValueInvalid', field: 'spec.a', message: 'Invalid value: a is 3, above 2' },
    ]);
    expect(causes({ a: 1, name: 'y' }, { a: 1, name: 'x' })).toEqual([
      { reason: 'FieldValueForbidden', field: 'spec.name', message: 'Forbidden: name is for ever' },
    ]);
  });

  test('that cannot be evaluated are broken, and the error is told of their place', () => {
    expect(causes({ a: 99, name: 'x' })).toMatchObject([
      { field: 'spec', message: expect.stringMatching(/^Invalid value: "object": .+ evaluating rule: self\.a \/ 0/) },
    ]);
  });

  test('are looked at wherever they stand, over `oldSelf` where it is known what was there before', () => {
    const grows: Schema = {
      ...number({}),
      'x-kubernetes-validations': [{ rule: 'self >= oldSelf', message: 'only grows' }],
    };
    const whole: Schema = {
      type: 'object',
      properties: { inner: { type: 'object', properties: { count: grows } }, list: { type: 'array', items: grows } },
    };
    const fields = (value: object, old?: object) => ruleCauses(value, whole, '', old).map(({ field }) => field);
    expect(fields({ inner: { count: 1 }, list: [1] }, { inner: { count: 2 }, list: [2] })).toEqual(['inner.count']);
    expect(fields({ inner: { count: 1 } })).toEqual([]);
  });
});

test.each<[number, string]>([
  [-5, '<invalid>'],
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [185, '3m5s'],
  [600, '10m'],
  [10_799, '179m'],
  [3 * 3_600 + 60, '3h1m'],
  [9 * 3_600, '9h'],
  [50 * 3_600, '2d2h'],
  [9 * 86_400, '9d'],
  [800 * 86_400, '2y70d'],
  [9 * 365 * 86_400, '9y'],
])('an age of %d s is shown as %s', (seconds, shown) => {
  const nowMs = Date.UTC(2026, 0, 31);
  expect(ageOf(new Date(nowMs - seconds * 1_000).toISOString(), nowMs)).toBe(shown);
});

test('JSONPath of columns', () => {
  const object = {
    a: {
      'b.c': 1,
      list: [
        { type: 'Ready', status: 'True' },
        { type: 'Held', status: 'False' },
      ],
    },
  };
  for (const [path, found] of [
    ['.a.list[1].type', ['Held']],
    ["['a']['b.c']", [1]],
    ['.a.b\\.c', [1]],
    ['.a.list[*].type', ['Ready', 'Held']],
    ['.a.list[?(@.type=="Held")].status', ['False']],
    ['.a.none.more', []],
  ] as const)
    expect([path, jsonPath(path)(object)]).toEqual([path, found]);
  expect(() => jsonPath('.a[')).toThrow(RangeError);
});
