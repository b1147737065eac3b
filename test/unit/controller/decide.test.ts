/** Goal: decisions follow from what was gathered. Method: tables, each row named by the fact that makes it what it is. */
import { describe, expect, it } from '@jest/globals';
import type { DistributedLockStatus } from '../../../src/api/custom-resources/distributed-lock.ts';
import type { HolderInspection, Inspection } from '../../../src/api/operations.ts';
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY, distributedLockSpecSchema } from '../../../src/api/policies.ts';
import { decideLock } from '../../../src/controller/distributed-lock/decide.ts';
import type { LockInput } from '../../../src/controller/distributed-lock/gather.ts';
import { decidePool } from '../../../src/controller/lock-pool/decide.ts';
import type { PoolInput } from '../../../src/controller/lock-pool/gather.ts';
import type { StoredObject } from '../../../src/kube/kube-object.ts';
import { WALL_MS } from '../../support/server-world.ts';

const FREE: Inspection = {
  key: 'shop/a',
  holders: [],
  holderCount: 0,
  waiters: [],
  waiterCount: 0,
  lockDelayRemainingMs: 0,
};
const QUIET = { refusal: undefined, cycle: undefined, cycleBroken: false };

function holder(token: number, change: Partial<HolderInspection> = {}): HolderInspection {
  return {
    principal: 'pod-a',
    ownerId: `owner-${token}`,
    mode: 'exclusive',
    token,
    depth: 1,
    ttlMs: 15_000,
    remainingMs: 10_000,
    heldForMs: 5_000,
    metadata: undefined,
    overdue: false,
    unclaimed: false,
    ...change,
  };
}

function held(...holders: readonly HolderInspection[]): Inspection {
  return { ...FREE, holders, holderCount: holders.length };
}

function object(status: object = {}, metadata: object = {}, spec: object = {}): StoredObject {
  return {
    apiVersion: 'lockkeeper.dev/v1alpha1',
    kind: 'DistributedLock',
    metadata: {
      name: 'a',
      namespace: 'shop',
      uid: 'uid-1',
      resourceVersion: '7',
      generation: 3,
      creationTimestamp: '2026-06-01T00:00:00Z',
      ...metadata,
    },
    spec,
    status,
  };
}

function lock(change: Partial<LockInput> = {}): LockInput {
  const given = 'object' in change ? change.object : object(change.status);
  return {
    key: 'shop/a',
    object: given,
    spec: { kind: 'valid', spec: distributedLockSpecSchema.parse({}) },
    status: given?.['status'] ?? {},
    applied: { uid: 'uid-1', policy: DEFAULT_LOCK_POLICY, generation: 3 },
    shard: 4,
    owned: true,
    inspection: FREE,
    highestToken: 0,
    observation: QUIET,
    wallMs: WALL_MS,
    ...change,
  };
}

/** What the status would be after the decision's write. */
function after(input: LockInput): DistributedLockStatus {
  const { status } = decideLock(input);
  return { ...input.status, ...(status?.patch.status as DistributedLockStatus) };
}

describe('rules', () => {
  const rows: readonly [fact: string, input: LockInput, rules: object][] = [
    ['new object', lock({ applied: undefined }), { kind: 'configure', policy: DEFAULT_LOCK_POLICY, counterFloor: 1 }],
    [
      'edited spec',
      lock({ spec: { kind: 'valid', spec: distributedLockSpecSchema.parse({ permits: 3 }) } }),
      { kind: 'configure', policy: { ...DEFAULT_LOCK_POLICY, permits: 3 } },
    ],
    [
      'recreated object of the same spec',
      lock({ object: object({}, { uid: 'uid-2' }) }),
      { kind: 'configure', applied: { uid: 'uid-2', generation: 3, policy: DEFAULT_LOCK_POLICY } },
    ],
    [
      'token on record in the status',
      lock({ applied: undefined, object: object({ fencingToken: '1780000000123' }) }),
      { kind: 'configure', counterFloor: 1_780_000_000_124 },
    ],
    [
      'token on record that no clock can have made',
      lock({ applied: undefined, object: object({ fencingToken: '9007199254740991' }) }),
      { kind: 'configure', counterFloor: 0 },
    ],
    [
      'object being deleted',
      lock({ object: object({}, { deletionTimestamp: '2026-06-01T00:00:00Z' }) }),
      { kind: 'close' },
    ],
    ['object gone', lock({ object: undefined, spec: undefined }), { kind: 'close' }],
    ['shard of another process, new object', lock({ owned: false, applied: undefined }), { kind: 'configure' }],
  ];
  it.each(rows)('%s', (_, input, rules) => {
    expect(decideLock(input).rules).toMatchObject(rules);
  });

  const unchanged: readonly [fact: string, input: LockInput][] = [
    ['object as it was', lock()],
    ['invalid spec', lock({ spec: { kind: 'invalid', problem: 'spec.permits: too small' } })],
    ['object gone that was never ours', lock({ object: undefined, spec: undefined, applied: undefined })],
  ];
  it.each(unchanged)('none for %s', (_, input) => {
    expect(decideLock(input).rules).toBeUndefined();
  });
});

describe('conditions', () => {
  const rows: readonly [fact: string, input: LockInput, condition: string][] = [
    ['rules in force', lock(), 'Ready=True/Serving'],
    ['invalid spec', lock({ spec: { kind: 'invalid', problem: 'x' } }), 'Ready=False/InvalidSpec'],
    [
      'refused Lease',
      lock({ observation: { ...QUIET, refusal: { text: 'quota', unusable: false } } }),
      'Ready=False/StoreRefused',
    ],
    [
      'somebody else\u2019s Lease',
      lock({ observation: { ...QUIET, refusal: { text: 'not ours', unusable: true } } }),
      'Ready=False/LeaseUnusable',
    ],
    ['deletion', lock({ object: object({}, { deletionTimestamp: '2026-06-01T00:00:00Z' }) }), 'Ready=False/Deleting'],
    ['nobody holds', lock(), 'Held=False/Free'],
    [
      'pause after an abnormal end',
      lock({ inspection: { ...FREE, lockDelayRemainingMs: 500 } }),
      'Held=False/LockDelay',
    ],
    ['a hold', lock({ inspection: held(holder(5)) }), 'Held=True/Granted'],
    ['a hold past its time', lock({ inspection: held(holder(5), holder(6, { overdue: true })) }), 'Held=True/Overdue'],
    ['holds from the record alone', lock({ inspection: held(holder(5, { unclaimed: true })) }), 'Held=True/Unclaimed'],
    [
      'one of two holds spoke',
      lock({ inspection: held(holder(5, { unclaimed: true }), holder(6)) }),
      'Held=True/Granted',
    ],
    ['no waiters', lock(), 'Contended=False/NoWaiters'],
    ['waiters', lock({ inspection: { ...FREE, waiterCount: 3 } }), 'Contended=True/WaitersQueued'],
    ['a full queue', lock({ inspection: { ...FREE, waiterCount: 10_000 } }), 'Contended=True/QueueFull'],
    ['no circle', lock(), 'Deadlocked=False/NoCycle'],
    ['a circle', lock({ observation: { ...QUIET, cycle: [] } }), 'Deadlocked=True/CycleFound'],
    ['a broken circle', lock({ observation: { ...QUIET, cycleBroken: true } }), 'Deadlocked=False/CycleBroken'],
  ];
  it.each(rows)('%s', (_, input, condition) => {
    const conditions = after(input).conditions ?? [];
    expect(conditions.map(({ type, status, reason }) => `${type}=${status}/${reason}`)).toContain(condition);
    expect(conditions.every(({ observedGeneration }) => observedGeneration === 3)).toBe(true);
  });

  it('change their time only with their status', () => {
    const first = after(lock({ inspection: held(holder(5)) }));
    const later = after(
      lock({ object: object(first), inspection: held(holder(5, { overdue: true })), wallMs: WALL_MS + 60_000 }),
    );
    const timeOf = (status: DistributedLockStatus) =>
      status.conditions?.find(({ type }) => type === 'Held')?.lastTransitionTime;
    expect(timeOf(later)).toBe(timeOf(first));
    const free = after(lock({ object: object(later), wallMs: WALL_MS + 120_000 }));
    expect(timeOf(free)).toBe('2026-06-01T00:02:00Z');
  });
});

describe('holders', () => {
  it('the first as text, with the number of further ones', () => {
    const status = after(lock({ inspection: held(holder(5), holder(6), holder(7)) }));
    expect(status.holder).toBe('pod-a/owner-5 +2');
    expect(status.holders?.map(({ fencingToken }) => fencingToken)).toEqual(['5', '6', '7']);
    expect(status.heldSince).toBe('2026-05-31T23:59:55Z');
    expect(status).toMatchObject({ shard: 4, mode: 'exclusive', waiters: 0 });
  });

  it('keep the time they are held since, whatever the clocks say later', () => {
    const first = after(lock({ inspection: held(holder(5)) }));
    const again = lock({
      object: object(first),
      inspection: held(holder(5, { heldForMs: 0 })),
      wallMs: WALL_MS + 9_000,
    });
    expect(decideLock(again).status).toBeUndefined();
  });
});

describe('the token', () => {
  const rows: readonly [fact: string, input: LockInput, token: string | undefined][] = [
    ['never granted', lock(), undefined],
    ['held', lock({ inspection: held(holder(5)) }), '5'],
    ['free, known from the server', lock({ highestToken: 9 }), '9'],
    ['lower than recorded', lock({ object: object({ fencingToken: '12' }), inspection: held(holder(5)) }), '12'],
    ['higher than recorded', lock({ object: object({ fencingToken: '12' }), highestToken: 13 }), '13'],
  ];
  it.each(rows)('%s', (_, input, token) => {
    expect(after(input).fencingToken).toBe(token);
  });
});

describe('a status write', () => {
  const settled = object(after(lock({ inspection: { ...FREE, waiterCount: 2 } })));
  const rows: readonly [fact: string, input: LockInput, urgency: string | undefined][] = [
    ['nothing changed', lock({ object: settled, inspection: { ...FREE, waiterCount: 2 } }), undefined],
    ['one waiter more', lock({ object: settled, inspection: { ...FREE, waiterCount: 3 } }), 'count'],
    ['the last waiter left', lock({ object: settled, inspection: FREE }), 'transition'],
    ['granted', lock({ object: settled, inspection: { ...held(holder(5)), waiterCount: 1 } }), 'transition'],
    ['shard of another process', lock({ object: settled, owned: false, inspection: undefined }), undefined],
  ];
  it.each(rows)('%s', (_, input, urgency) => {
    expect(decideLock(input).status?.urgency).toBe(urgency);
  });

  it('names the version it was decided on, and removes what is over', () => {
    const before = object(after(lock({ inspection: held(holder(5)) })));
    const patch = decideLock(lock({ object: before })).status?.patch;
    expect(patch?.metadata).toEqual({ resourceVersion: '7' });
    expect(patch?.status).toMatchObject({ holder: null, holders: null, mode: null, heldSince: null });
    expect(patch?.status).not.toHaveProperty('fencingToken');
  });
});

describe('a later look', () => {
  const rows: readonly [fact: string, input: LockInput, reviewInMs: number][] = [
    ['nothing pending', lock(), Number.POSITIVE_INFINITY],
    ['lock delay', lock({ inspection: { ...FREE, lockDelayRemainingMs: 4_000 } }), 4_000],
    ['a circle', lock({ observation: { ...QUIET, cycle: [] } }), 1_000],
  ];
  it.each(rows)('%s', (_, input, reviewInMs) => {
    expect(decideLock(input).reviewInMs).toBe(reviewInMs);
  });
});

describe('a force release', () => {
  const wish = 'lockkeeper.dev/force-release';
  const intention = 'lockkeeper.dev/force-releasing';
  const annotated = (annotations: Record<string, string>, metadata: object = {}) =>
    object({ fencingToken: '5' }, { annotations, ...metadata });
  const rows: readonly [fact: string, input: LockInput, step: string | undefined][] = [
    ['no wish', lock(), undefined],
    ['a wish', lock({ object: annotated({ [wish]: 'stuck' }) }), 'intend'],
    ['a wish for a lock of another process', lock({ object: annotated({ [wish]: 'stuck' }), owned: false }), undefined],
    [
      'an intention, the hold still there',
      lock({ object: annotated({ [wish]: 'stuck', [intention]: '5 stuck' }), inspection: held(holder(5)) }),
      'release',
    ],
    ['an intention, the hold gone', lock({ object: annotated({ [wish]: 'stuck', [intention]: '5 stuck' }) }), 'record'],
    [
      'an intention, a later hold there',
      lock({ object: annotated({ [wish]: 'stuck', [intention]: '5 stuck' }), inspection: held(holder(7)) }),
      'record',
    ],
    [
      'an intention, the end perhaps not on record',
      lock({
        object: annotated({ [wish]: 'stuck', [intention]: '5 stuck' }),
        observation: { ...QUIET, refusal: { text: 'quota', unusable: false } },
      }),
      'release',
    ],
    [
      'an intention for another reason',
      lock({ object: annotated({ [wish]: 'again', [intention]: '5 stuck' }), inspection: held(holder(5)) }),
      'intend',
    ],
    [
      'an intention of which nobody could make sense',
      lock({ object: annotated({ [wish]: 'a', [intention]: 'x' }) }),
      'intend',
    ],
    ['an intention whose wish was taken back', lock({ object: annotated({ [intention]: '5 stuck' }) }), 'withdraw'],
  ];
  it.each(rows)('%s', (_, input, step) => {
    expect(decideLock(input).forceRelease?.step).toBe(step);
  });

  it('means every hold up to the highest token known', () => {
    const { forceRelease } = decideLock(lock({ object: annotated({ [wish]: 'stuck' }), inspection: held(holder(8)) }));
    expect(forceRelease?.patch.metadata).toEqual({ resourceVersion: '7', annotations: { [intention]: '8 stuck' } });
  });
});

describe('a pool', () => {
  const pool = (change: Partial<PoolInput> = {}): PoolInput => ({
    key: 'shop/a',
    object: object({}, {}),
    spec: undefined,
    status: {},
    applied: { uid: 'uid-1', policy: DEFAULT_POOL_POLICY, generation: 3 },
    owned: true,
    pool: { holds: 2, waiters: 1, grants: 9, unownedShards: 0, recoveringShards: 0 },
    observation: QUIET,
    wallMs: WALL_MS,
    ...change,
  });
  const state = pool().pool;
  const rows: readonly [fact: string, input: PoolInput, ready: string][] = [
    ['all shards served', pool(), 'True/Serving'],
    ['a shard without owner', pool({ pool: { ...state, unownedShards: 1 } }), 'False/ShardsUnowned'],
    ['a shard in grace', pool({ pool: { ...state, recoveringShards: 1 } }), 'False/Recovering'],
    ['invalid spec', pool({ spec: { kind: 'invalid', problem: 'x' } }), 'False/InvalidSpec'],
  ];
  it.each(rows)('%s', (_, input, ready) => {
    const { status } = decidePool(input);
    const conditions = status?.patch.status['conditions'] as { type: string; status: string; reason: string }[];
    expect(conditions.filter(({ type }) => type === 'Ready').map((each) => `${each.status}/${each.reason}`)).toEqual([
      ready,
    ]);
    expect(status?.patch.status).toMatchObject({ holds: 2, waiters: 1, grants: 9 });
  });
});
