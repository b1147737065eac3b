/**
 * Goal: every code has a sentence for whatever details it comes with: it names what is known, says what to do next, and
 * never shows a hole.
 * Method: the details that the engine gives, as a table; then arbitrary details at random.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { CODES, type ErrorCode } from '../../../src/api/codes.ts';
import { messageOf } from '../../../src/api/messages.ts';
import { END_REASONS } from '../../../src/api/vocabulary.ts';

const codes = Object.keys(CODES) as ErrorCode[];
const lock = { lockId: 'payments/order-42', namespace: 'shop' };

describe('names what is known', () => {
  test.each<[ErrorCode, Record<string, unknown>, RegExp]>([
    [
      'LOCK_HELD',
      {
        ...lock,
        holders: [{ ownerId: 'worker-0', heldForMs: 12_345, mode: 'exclusive' }],
        holderCount: 1,
        waiterCount: 3,
      },
      /^Lock payments\/order-42 in namespace shop is held by worker-0 for 12 s; 3 wait in its queue\. .*timeoutMs/,
    ],
    [
      'LOCK_HELD',
      {
        ...lock,
        holders: ['a', 'b', 'c', 'd'].map((ownerId) => ({ ownerId, heldForMs: 5, mode: 'shared' })),
        holderCount: 250,
        waiterCount: 1,
      },
      /held by a \(shared\) for 5 ms, b \(shared\) for 5 ms, c \(shared\) for 5 ms and 247 more; 1 waits in its queue/,
    ],
    ['LOCK_HELD', lock, /is held\. Try again later/],
    [
      'LOCK_HELD',
      { ...lock, holders: [], holderCount: 0, lockDelayRemainingMs: 2_000 },
      /lock delay keeps it free for another 2 s/,
    ],
    ['ACQUIRE_TIMEOUT', { ...lock, waitedMs: 30_000, waiterCount: 0 }, /not granted within 30 s\. .*larger timeoutMs/],
    ['LOCK_NOT_FOUND', lock, /does not exist\. Create a DistributedLock or LockPool/],
    [
      'NOT_HELD',
      { ...lock, fencingToken: '41', reason: 'expired', currentToken: '42' },
      /not held under fencing token 41: its time to live ran out.*Stop using/,
    ],
    ['NOT_HELD', { ...lock, fencingToken: 41 }, /under fencing token 41\. Stop/],
    ['NOT_HELD', { reason: 'something new' }, /: something new\. Stop/],
    [
      'DEADLOCK',
      {
        ...lock,
        cycle: [
          { ownerId: 'a', waitsFor: 'x', heldBy: 'b' },
          { ownerId: 'b', waitsFor: 'y', heldBy: ['a', 'c'] },
        ],
      },
      /a waits for x held by b, b waits for y held by a, c\. .*one order/,
    ],
    ['DEADLOCK', { ...lock, reason: 'upgrade' }, /shared and would wait for itself.*Release the shared hold first/],
    ['DEADLOCK', lock, /wait for each other in a circle/],
    [
      'QUEUE_FULL',
      { ...lock, limit: 10_000, value: 10_000, what: 'waiters of this lock' },
      /^The limit of 10000 waiters of this lock is reached for lock .*Retry-After/,
    ],
    [
      'UNAVAILABLE',
      { reason: 'grace', retryAfterMs: 2_500 },
      /may still reclaim\. Nothing was changed; try again in 3 s\./,
    ],
    ['UNAVAILABLE', { reason: 'frozen' }, /handed over.*after a short pause/],
    ['UNAVAILABLE', { reason: 'storeRefused' }, /refused to record/],
    ['UNAVAILABLE', { reason: 'shuttingDown' }, /shutting down/],
    ['UNAVAILABLE', { reason: 'unclaimed' }, /not reclaimed/],
    ['UNAVAILABLE', { reason: 'noAuthority' }, /not sure to own/],
    ['UNAVAILABLE', { reason: 'recording', retryAfterMs: 250 }, /being recorded.*in 250 ms/],
    ['UNAVAILABLE', { reason: 'conflict' }, /somebody else changed the lock.s Lease/i],
    ['UNAVAILABLE', { reason: 'orphaned' }, /reported terminated/],
    ['UNAVAILABLE', { reason: 'stopping' }, /shutting down/],
    ['UNAVAILABLE', { reason: 'toString' }, /\(toString\)/],
    ['OUTCOME_UNKNOWN', lock, /same requestId is never done twice/],
    ['STALE_TOKEN', { ...lock, fencingToken: '5', currentToken: '9' }, /Fencing token 5 is older than 9/],
    ['STALE_TOKEN', {}, /out of date/],
    ['INVALID_ARGUMENT', { field: 'ttlMs' }, /^The field ttlMs is not valid/],
    [
      'INVALID_ARGUMENT',
      { field: 'ttlMs', problem: 'the time to live is above the maximum of the pool, 60000.' },
      /^The time to live is above the maximum of the pool, 60000\. Sent/,
    ],
    [
      'INVALID_ARGUMENT',
      { field: 'ttlMs', problem: 'ttlMs is 9, above the 5 allowed; ask for less' },
      /^ttlMs is 9,.*less\. Sent/,
    ],
    ['LOCK_NOT_FOUND', { ...lock, reason: 'deleted' }, /shop was deleted\. Create/],
    ['UNAVAILABLE', { reason: 'ending', retryAfterMs: 250 }, /just ending.*in 250 ms/],
    [
      'PERMISSION_DENIED',
      { ...lock, verb: 'forcerelease' },
      /verb forcerelease is not allowed on lock payments\/order-42/,
    ],
    ['METHOD_NOT_ALLOWED', { allowed: ['GET', 'HEAD'] }, /Use GET or HEAD/],
    ['PAYLOAD_TOO_LARGE', { field: 'body', limit: 32_768 }, /larger than 32768 bytes/],
  ])('%s %j', (code, details, sentence) => {
    expect(messageOf(code, details)).toMatch(sentence);
  });

  test.each(END_REASONS)('the end %s in words', (reason) => {
    expect(messageOf('NOT_HELD', { ...lock, reason })).not.toContain(`: ${reason}.`);
  });
});

/** Whole sentences, and nothing of the language they were made with. */
function assertSentence(message: string): void {
  expect(message).toMatch(/^[^\s].*\.$/s);
  expect(message).not.toMatch(/undefined|NaN|Infinity|\[object|null\b/);
  expect(message.length).toBeLessThan(4_000);
}

test.each(codes)('%s says what to do, with and without details', (code) => {
  for (const details of [{}, lock]) {
    const message = messageOf(code, details);
    assertSentence(message);
    expect(message.split('. ').length).toBeGreaterThanOrEqual(2);
  }
});

test('arbitrary details never make a hole or throw', () => {
  const word = fc.stringMatching(/^[a-z]{0,8}$/).filter((text) => text !== 'null');
  const value: fc.Arbitrary<unknown> = fc.oneof(
    word,
    fc.double(),
    fc.boolean(),
    fc.constantFrom(null, undefined, Number.NaN, Number.POSITIVE_INFINITY, -1, '', [], {}, () => {}),
    fc.array(
      fc.oneof(
        word,
        fc.double(),
        fc.constant(null),
        fc.dictionary(
          fc.constantFrom('ownerId', 'heldForMs', 'mode', 'waitsFor', 'heldBy'),
          fc.oneof(word, fc.double(), fc.constant(null)),
        ),
      ),
    ),
  );
  const names = [
    'lockId',
    'namespace',
    'holders',
    'holderCount',
    'waiterCount',
    'waitedMs',
    'fencingToken',
    'reason',
    'currentToken',
    'cycle',
    'limit',
    'value',
    'what',
    'retryAfterMs',
    'field',
    'problem',
    'verb',
    'allowed',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...codes), fc.dictionary(fc.constantFrom(...names), value), (code, details) => {
      assertSentence(messageOf(code, details));
    }),
    { numRuns: 2_000 },
  );
  expect.hasAssertions();
});
