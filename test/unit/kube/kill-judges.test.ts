/**
 * Goal: the judges of the kill and fault tests catch what they are for. Method: small histories by hand, each with one broken
 * rule, beside the same history without it.
 */
import { describe, expect, it } from '@jest/globals';
import type { Mode } from '../../../src/api/vocabulary.ts';
import type { Call, CallAnswer, Verb } from '../../kube/kill/history.ts';
import { holdsOf } from '../../kube/kill/holds.ts';
import { judgeExclusion, judgeLosses } from '../../kube/kill/judge-holds.ts';
import { judgeOwners, judgeTokens } from '../../kube/kill/judge-tokens.ts';
import { judgeWaits } from '../../kube/kill/judge-waits.ts';
import { judgeAudit, judgeNumbers, judgeRecorded, judgeStored } from '../../kube/kill/judge-writes.ts';
import type { Attempt } from '../../kube/kill/lease-attempts.ts';

const mutex = [{ name: 'a', permits: 1 }];
const pair = [{ name: 'a', permits: 2 }];

function call(client: string, verb: Verb, sentMs: number, endedMs: number, answer: CallAnswer, token?: number): Call {
  return { client, lock: 'a', verb, ownerId: client, token, timeoutMs: 0, askedMs: sentMs, sentMs, endedMs, answer };
}
function grant(
  client: string,
  token: number,
  sentMs: number,
  endedMs: number,
  validForMs = 100,
  mode: Mode = 'exclusive',
): Call {
  return call(client, 'acquire', sentMs, endedMs, { kind: 'hold', token, mode, validForMs });
}
function renewal(client: string, token: number, sentMs: number, endedMs: number, validForMs = 100): Call {
  return call(client, 'renew', sentMs, endedMs, { kind: 'hold', token, mode: 'exclusive', validForMs }, token);
}
function release(client: string, token: number, sentMs: number): Call {
  return call(client, 'release', sentMs, sentMs + 1, { kind: 'released' }, token);
}
function notHeld(client: string, token: number, sentMs: number): Call {
  const answer: CallAnswer = { kind: 'refused', code: 'NOT_HELD', message: '', reason: undefined };
  return call(client, 'renew', sentMs, sentMs + 1, answer, token);
}

describe('judgeExclusion', () => {
  const judge = (calls: readonly Call[], locks = mutex) => judgeExclusion(holdsOf(calls), locks).length;

  it.each<[string, readonly Call[], number]>([
    ['two at once', [grant('p', 1, 0, 1), grant('q', 2, 0, 50)], 1],
    ['one after the deadline of the other', [grant('p', 1, 0, 1), grant('q', 2, 0, 100)], 0],
    ['one after the release of the other', [grant('p', 1, 0, 1), release('p', 1, 10), grant('q', 2, 0, 10)], 0],
    ['one before the release of the other', [grant('p', 1, 0, 1), grant('q', 2, 0, 9), release('p', 1, 10)], 1],
    ['one under a renewal of the other', [grant('p', 1, 0, 1), renewal('p', 1, 50, 60), grant('q', 2, 0, 120, 200)], 1],
    [
      'one in the gap before a late renewal',
      [grant('p', 1, 0, 1), grant('q', 2, 0, 110, 120), renewal('p', 1, 60, 130)],
      0,
    ],
    ['one while a late renewal lasts', [grant('p', 1, 0, 1), grant('q', 2, 0, 110, 160), renewal('p', 1, 60, 130)], 1],
    ['one that came after its own deadline', [grant('p', 1, 0, 1), grant('q', 2, 0, 50, 40)], 0],
    ['a renewal does not shorten', [grant('p', 1, 0, 1), renewal('p', 1, 5, 6, 10), grant('q', 2, 0, 50)], 1],
    ['two readers', [grant('p', 1, 0, 1, 100, 'shared'), grant('q', 2, 0, 50, 100, 'shared')], 0],
    ['a reader and a writer', [grant('p', 1, 0, 1, 100, 'shared'), grant('q', 2, 0, 50)], 1],
    ['a repeated answer', [grant('p', 1, 0, 1), grant('p', 1, 5, 6)], 0],
  ])('%s', (_, calls, violations) => {
    expect(judge(calls)).toBe(violations);
  });

  it('counts permits', () => {
    const two = [grant('p', 1, 0, 1), grant('q', 2, 0, 50)];
    expect(judge(two, pair)).toBe(0);
    expect(judge([...two, grant('r', 3, 0, 60)], pair)).toBe(1);
  });

  it('leaves out what was believed when the records were destroyed, and nothing else', () => {
    const calls = [
      grant('p', 1, 0, 1),
      grant('q', 2, 0, 50),
      grant('r', 3, 50_000, 50_001),
      grant('s', 4, 50_000, 50_002),
    ];
    expect(judgeExclusion(holdsOf(calls), mutex, { destroyedAtMs: [20] })).toHaveLength(1);
    expect(judgeExclusion(holdsOf(calls), mutex)).toHaveLength(2);
  });
});

describe('judgeLosses', () => {
  it('tells a hold that was lost before its deadline', () => {
    expect(judgeLosses(holdsOf([grant('p', 1, 0, 1), notHeld('p', 1, 50)]))).toHaveLength(1);
    expect(judgeLosses(holdsOf([grant('p', 1, 0, 1), notHeld('p', 1, 100)]))).toEqual([]);
    expect(judgeLosses(holdsOf([grant('p', 1, 0, 1), release('p', 1, 40), notHeld('p', 1, 50)]))).toEqual([]);
    const destroyed = { destroyedAtMs: [30] };
    expect(judgeLosses(holdsOf([grant('p', 1, 0, 1), notHeld('p', 1, 50)]), destroyed)).toEqual([]);
  });
});

describe('judgeTokens', () => {
  const judge = (calls: readonly Call[], locks = mutex) => judgeTokens(holdsOf(calls), locks).length;

  it('tells a lower token of a later grant', () => {
    expect(judge([grant('p', 5, 0, 1, 10), grant('q', 4, 20, 21)], pair)).toBe(1);
    expect(judge([grant('p', 4, 0, 1, 10), grant('q', 5, 20, 21)], pair)).toBe(0);
    // Asked for before the other was received: with two permits the answers may overtake each other.
    expect(judge([grant('p', 5, 0, 15, 20), grant('q', 4, 14, 16, 20)], pair)).toBe(0);
  });

  it('tells a lower token of a later holder that had waited in the queue', () => {
    expect(judge([grant('p', 5, 0, 1, 10), grant('q', 4, 0, 21)])).toBe(1);
    expect(judge([grant('p', 5, 0, 1, 10, 'shared'), grant('q', 4, 0, 21, 100, 'shared')])).toBe(0);
    expect(judge([grant('p', 5, 0, 1, 10, 'shared'), grant('q', 4, 0, 21)])).toBe(1);
  });

  it('counts a repetition from its first request', () => {
    const repeated = { ...grant('q', 4, 20, 21), askedMs: 0 };
    expect(judge([grant('p', 5, 0, 1, 10), repeated], pair)).toBe(0);
  });

  it('tells one token with two owners', () => {
    expect(
      judgeOwners([
        ['a#1', 'p'],
        ['a#1', 'p'],
        ['b#1', 'q'],
      ]),
    ).toEqual([]);
    expect(
      judgeOwners([
        ['a#1', 'p'],
        ['a#1', 'q'],
      ]),
    ).toHaveLength(1);
  });
});

describe('judgeWaits', () => {
  it('tells a wait that went on, and an unexpected code', () => {
    const none: CallAnswer = { kind: 'none', why: 'cut' };
    expect(judgeWaits([{ ...call('p', 'acquire', 0, 1_100, none), timeoutMs: 1_000 }], 200)).toEqual([]);
    expect(judgeWaits([{ ...call('p', 'acquire', 0, 1_300, none), timeoutMs: 1_000 }], 200)).toHaveLength(1);
    const internal: CallAnswer = { kind: 'refused', code: 'INTERNAL', message: 'broken', reason: undefined };
    expect(judgeWaits([call('p', 'acquire', 0, 1, internal)], 200)).toHaveLength(1);
  });
});

function attempt(
  id: string,
  counter: number,
  owners: Readonly<Record<number, string>>,
  times: Partial<Attempt> = {},
): Attempt {
  const holders = Object.entries(owners).map(([token, ownerId]) => ({
    ownerId,
    mode: 'exclusive' as const,
    token: Number(token),
  }));
  const answered = { arrivedMs: 0, forwardedMs: 1, answeredMs: 2, status: 200, version: counter };
  return { lock: 'a', attemptId: id, counter, holders, ...answered, ...times };
}
const unanswered = { answeredMs: undefined, status: undefined, version: undefined };

describe('judges of writes', () => {
  it('tell a number that is used again, also after an attempt that never landed', () => {
    const lost = attempt('1', 7, { 7: 'p' }, { ...unanswered, forwardedMs: undefined });
    expect(judgeNumbers([lost, attempt('2', 8, { 8: 'q' })])).toEqual([]);
    expect(judgeNumbers([lost, attempt('2', 7, { 7: 'q' })])).toHaveLength(1);
    expect(judgeNumbers([lost, attempt('2', 6, { 6: 'q' })])).toHaveLength(1);
    expect(judgeNumbers([lost, attempt('2', 7, { 7: 'p' })])).toEqual([]);
  });

  it('tell a counter that goes down, in each era for itself and over all', () => {
    expect(judgeStored([attempt('1', 7, {}), attempt('2', 6, {}, { version: 8 })], mutex)).toHaveLength(1);
    expect(judgeStored([attempt('2', 8, {}), attempt('1', 7, {})], mutex)).toEqual([]);
    const restored = attempt('2', 6, {}, { forwardedMs: 60, version: 3 });
    expect(judgeStored([attempt('1', 7, {}), restored], mutex, [50])).toHaveLength(1);
  });

  it('tell two stored holders of one permit', () => {
    expect(judgeStored([attempt('1', 7, { 6: 'p', 7: 'q' })], mutex)).toHaveLength(1);
    expect(judgeStored([attempt('1', 7, { 6: 'p', 7: 'q' })], pair)).toEqual([]);
  });

  it('tell a grant that left before its write had landed', () => {
    const holds = holdsOf([grant('p', 7, 0, 10)]);
    expect(judgeRecorded(holds, [attempt('1', 7, { 7: 'p' })])).toEqual([]);
    expect(judgeRecorded(holds, [attempt('1', 7, { 7: 'p' }, { answeredMs: 11 })])).toHaveLength(1);
    expect(judgeRecorded(holds, [attempt('1', 7, { 7: 'p' }, { status: 409 })])).toHaveLength(1);
    expect(judgeRecorded(holds, [attempt('1', 7, { 7: 'q' })])).toHaveLength(1);
    const open = attempt('1', 7, { 7: 'p' }, unanswered);
    expect(judgeRecorded(holds, [open])).toHaveLength(1);
    expect(judgeRecorded(holds, [open], true)).toEqual([]);
    expect(judgeRecorded(holds, [{ ...open, forwardedMs: undefined }], true)).toHaveLength(1);
  });

  it('tell writes that did not go where they were seen to go', () => {
    const sent = attempt('1', 7, {});
    const logged = { lock: 'a', attemptId: '1', counter: 7, holders: [], status: 200 };
    expect(judgeAudit([sent], [logged])).toEqual([]);
    expect(judgeAudit([sent], [])).toHaveLength(1);
    expect(judgeAudit([sent], [logged, { ...logged, attemptId: '2' }])).toHaveLength(1);
    expect(judgeAudit([{ ...sent, ...unanswered }], [logged])).toEqual([]);
    expect(judgeAudit([{ ...sent, ...unanswered, forwardedMs: undefined }], [logged])).toHaveLength(1);
  });
});
