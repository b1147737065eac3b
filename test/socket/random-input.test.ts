/**
 * Goal: nothing that anybody sends gets anything but one of our coded answers, and the endpoint serves on afterwards.
 * Method: random bytes, and requests with random damage, on real sockets; random JSON in memory, where the zod schemas of
 * `src/api` are a second opinion on what must be accepted.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { z } from 'zod';
import { CODES, type ErrorBody } from '../../src/api/codes.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { lockIdProblem } from '../../src/api/lock-id.ts';
import {
  acquireAllRequestSchema,
  acquireRequestSchema,
  forceReleaseRequestSchema,
  holdRequestSchema,
  parseToken,
  releaseAllRequestSchema,
  releaseRequestSchema,
  renewRequestSchema,
} from '../../src/api/requests.ts';
import type { Endpoint } from '../../src/sidecar/endpoint/endpoint.ts';
import {
  exchange,
  firstAnswer,
  head,
  inMemory,
  isErrorBody,
  openForTest,
  post,
  rawPost,
} from '../support/local-endpoint.ts';
import { scriptedCalls } from '../support/scripted-calls.ts';

let endpoint: Endpoint;
beforeAll(async () => {
  const settings = { headersTimeoutMs: 40, requestTimeoutMs: 60, timeoutCheckIntervalMs: 10, keepAliveTimeoutMs: 30 };
  endpoint = await openForTest({ settings });
});
afterAll(() => endpoint[Symbol.asyncDispose]());

/** Every answer in what came back is whole, and every error in it is one of ours. */
function assertCoded(text: string): void {
  let rest = text;
  while (rest !== '') {
    const answer = firstAnswer(rest);
    rest = answer.rest;
    if (answer.status < 400) {
      // A lucky hit. What a stream sends is not measured by a content-length.
      expect(answer.status).toBe(200);
      if (answer.headers['content-length'] === undefined) return;
    } else if (answer.text !== '' || rest !== '') {
      expect(isErrorBody(answer.json())).toBe(true);
      expect(Object.keys(CODES)).toContain(answer.json<{ code: string }>().code);
    }
  }
}

/** Many at a time, since an incomplete request is answered only when its time is over. */
async function assertAllCoded(requests: readonly (string | Uint8Array)[]): Promise<void> {
  const texts = await Promise.all(requests.map((bytes) => exchange(endpoint, Buffer.from(bytes as Uint8Array))));
  for (const text of texts) {
    expect(text).not.toBe('');
    assertCoded(text);
  }
  const health = await exchange(endpoint, head('GET /healthz', endpoint.port, ['connection: close']));
  expect(firstAnswer(health).status).toBe(200);
}

test('random bytes', async () => {
  const bytes = fc.uint8Array({ maxLength: 600 });
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { minLength: 25, maxLength: 25 }), (requests) => assertAllCoded(requests)),
    { numRuns: 6 },
  );
}, 30_000);

test('requests with random damage', async () => {
  const good = [
    () => rawPost('/v1/locks/payments/order-42:acquire', endpoint.port, '{"ttlMs":15000,"metadata":{"a":"b"}}'),
    () => rawPost('/v1/locks/payments%2Forder-42:renew', endpoint.port, '{"fencingToken":"12"}', ['connection: close']),
    () => rawPost('/locks:releaseAll', endpoint.port, '{"holds":[{"lockId":"a","fencingToken":"1"}]}'),
    () => head('GET /v1/locks?prefix=p&limit=3', endpoint.port),
    () =>
      head('POST /v1/locks/a:acquire', endpoint.port, [
        'content-type: application/json',
        'transfer-encoding: chunked',
      ]) + '2\r\n{}\r\n0\r\n\r\n',
  ];
  const damage = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.nat(6),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      fc.constantFrom(...['\r\n', '\0', ':', '%', '{', '"', '/', ' ', ':acquire'].map((text) => Buffer.from(text))),
    ),
  });
  const request = fc
    .tuple(fc.nat(good.length - 1), fc.array(damage, { minLength: 1, maxLength: 4 }))
    .map(([index, damages]) => {
      let bytes = Buffer.from(good[index]?.() ?? '');
      for (const { at, remove, insert } of damages) {
        const position = Math.floor(at * bytes.length);
        bytes = Buffer.concat([bytes.subarray(0, position), insert, bytes.subarray(position + remove)]);
      }
      return bytes;
    });
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 25, maxLength: 25 }), (requests) => assertAllCoded(requests)),
    { numRuns: 8 },
  );
}, 30_000);

test('random targets', async () => {
  const part = fc.oneof(
    fc.constantFrom(
      'v1',
      'locks',
      'a',
      ':acquire',
      ':held',
      '%2F',
      '%',
      '%zz',
      '..',
      '.',
      '',
      'healthz',
      '?',
      '&',
      '=',
      'namespace',
      '#',
      ';',
    ),
    fc.stringMatching(/^[!-~]{0,8}$/),
  );
  const target = fc
    .tuple(fc.constantFrom('/v1/locks/', '/locks', '/', ''), fc.array(part, { maxLength: 8 }), fc.constantFrom('/', ''))
    .map(([start, parts, between]) => start + parts.join(between));
  const line = fc
    .tuple(fc.constantFrom('GET', 'POST', 'PUT', 'OPTIONS', 'PROPFIND', 'QUERY'), target)
    .map(([method, path]) => `${method} ${path === '' ? '/' : path}`);
  expect.hasAssertions();
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 25, maxLength: 25 }), (lines) =>
      assertAllCoded(lines.map((each) => head(each, endpoint.port, ['connection: close']))),
    ),
    { numRuns: 6 },
  );
}, 30_000);

/** What the schema cannot say, said again in the plainest way. */
function keepsRules(body: Record<string, unknown>): boolean {
  const { metadata, autoRenew, maxHoldMs, fencingToken, ids, holds } = body as {
    metadata?: object;
    autoRenew?: boolean;
    maxHoldMs?: number;
    fencingToken?: string;
    ids?: string[];
    holds?: { lockId: string; fencingToken: string }[];
  };
  const lockIds = ids ?? holds?.map(({ lockId }) => lockId) ?? [];
  const tokens = [
    ...(fencingToken === undefined ? [] : [fencingToken]),
    ...(holds ?? []).map((hold) => hold.fencingToken),
  ];
  return (
    (metadata === undefined ||
      (Object.keys(metadata).length <= LIMITS.metadataEntriesMax &&
        JSON.stringify(metadata).length <= LIMITS.metadataBytesMax)) &&
    (autoRenew !== true || maxHoldMs !== undefined) &&
    tokens.every((token) => parseToken(token) !== undefined) &&
    lockIds.every((lockId) => lockIdProblem(lockId) === undefined) &&
    new Set(lockIds).size === lockIds.length
  );
}

const bounds = fc.constantFrom(
  -2,
  -1,
  0,
  0.5,
  1,
  9,
  10,
  999,
  1_000,
  15_000,
  3_600_000,
  3_600_001,
  86_400_000,
  86_400_001,
  2_592_000_000,
  2_592_000_001,
  1e300,
);
const texts = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'shared',
    'exclusive',
    'shop',
    'Shop',
    'p/k',
    '0',
    '1',
    '9007199254740991',
    '9007199254740992',
    'x'.repeat(129),
  ),
  fc.string({ maxLength: 5 }),
);
const anything = fc.oneof(bounds, texts, fc.boolean(), fc.constant(null), fc.jsonValue({ maxDepth: 2 }));
const rarely = (good: readonly string[], bad: readonly string[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) });
const token = rarely(['1', '12', '9007199254740991'], ['9007199254740992', '01', '']);
const lockIds = rarely(['a', 'b', 'c-d', 'p/k', 'p/l/m'], ['B', '', 'a:b']);
const mostly = (good: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 24, arbitrary: good }, { weight: 1, arbitrary: anything });

const fields = {
  ownerId: mostly(fc.stringMatching(/^[!-~]{1,12}$/)),
  requestId: mostly(fc.stringMatching(/^[!-~]{1,12}$/)),
  mode: mostly(fc.constantFrom('shared', 'exclusive')),
  ttlMs: mostly(fc.integer({ min: 1_000, max: 3_600_000 })),
  timeoutMs: mostly(fc.integer({ min: -1, max: 86_400_000 })),
  maxHoldMs: mostly(fc.integer({ min: 1_000, max: 2_592_000_000 })),
  priority: mostly(fc.integer({ min: 0, max: 9 })),
  namespace: mostly(fc.constantFrom('shop', 'a-b')),
  autoRenew: mostly(fc.boolean()),
  metadata: mostly(
    fc.dictionary(fc.string({ minLength: 1, maxLength: 6 }), fc.string({ maxLength: 20 }), { maxKeys: 4 }),
  ),
  fencingToken: token,
  reason: mostly(fc.string({ minLength: 1, maxLength: 20 })),
  ids: mostly(fc.array(lockIds, { minLength: 1, maxLength: 3 })),
  holds: mostly(fc.array(fc.record({ lockId: lockIds, fencingToken: token }), { minLength: 1, maxLength: 2 })),
};

type Field = keyof typeof fields;

test.each<[string, z.ZodObject, readonly Field[]]>([
  ['/v1/locks/a:acquire', acquireRequestSchema, []],
  ['/v1/locks/a:hold', holdRequestSchema, []],
  ['/v1/locks/a:renew', renewRequestSchema, ['fencingToken']],
  ['/v1/locks/a:release', releaseRequestSchema, ['fencingToken']],
  ['/v1/locks/a:forceRelease', forceReleaseRequestSchema, ['reason']],
  ['/v1/locks:acquireAll', acquireAllRequestSchema, ['ids']],
  ['/v1/locks:releaseAll', releaseAllRequestSchema, ['holds']],
])(
  'random JSON to %s: accepted exactly when the schema and the rules say so',
  async (url, schema, required) => {
    const calls = scriptedCalls();
    const send = await inMemory(calls);
    const own = Object.keys(schema.shape) as Field[];
    const pick = (names: readonly Field[]) => Object.fromEntries(names.map((name) => [name, fields[name]]));
    const known = fc.record(pick(own), { requiredKeys: [...required] });
    const stray = fc
      .constantFrom<Field[]>(...(Object.keys(fields) as Field[]))
      .chain((name) => fc.record(pick([name])));
    const body = fc.oneof(
      { weight: 8, arbitrary: known },
      { weight: 1, arbitrary: fc.tuple(known, stray).map(([some, other]) => ({ ...some, ...other })) },
      { weight: 1, arbitrary: fc.jsonValue() },
    );
    let accepted = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(body, async (value) => {
        const text = JSON.stringify(value);
        const parsed = JSON.parse(text) as unknown;
        // Names that reach a prototype are refused before any schema; they have tests of their own.
        if (text.includes('__proto__')) return;
        const good = schema.safeParse(parsed).success && keepsRules(parsed as Record<string, unknown>);
        const before = calls.seen.length;
        const answer = await send(post(url, parsed));
        const reached = calls.seen.slice(before).map((call) => call.arguments.at(-1));
        const refusal = answer.status === 200 ? undefined : answer.json<ErrorBody>();
        const outcome = { status: answer.status, reached, code: refusal?.code, field: refusal?.details['field'] };
        const named = expect.stringMatching(/./) as unknown;
        expect(outcome).toEqual(
          good
            ? { status: 200, reached: [parsed], code: undefined, field: undefined }
            : { status: 400, reached: [], code: 'INVALID_ARGUMENT', field: named },
        );
        accepted += good ? 1 : 0;
        refused += good ? 0 : 1;
      }),
      { numRuns: 150 },
    );
    // The generator is worth something only if it reaches both sides.
    expect(Math.min(accepted, refused)).toBeGreaterThan(10);
  },
  20_000,
);
