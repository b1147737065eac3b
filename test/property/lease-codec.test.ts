/**
 * Goal: a record that was written on a Lease is read back with no promise shorter and no counter lower; whatever else is found
 * on a Lease is foreign or damaged, and never reads as a free lock.
 * Method: round trips of random records through the store in memory, which validates as an API server does; a table of damage;
 * and random edits of one character of one annotation.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { LIMITS, TOKEN_MAX } from '../../src/api/limits.ts';
import type { HolderRecord, LockRecord, ShardRecord } from '../../src/engine/records.ts';
import { ANNOTATION_BYTES_MAX, type Lease, type StoredLease } from '../../src/kube/lease.ts';
import { MemoryLeaseStore } from '../../src/kube/memory-lease-store.ts';
import {
  HOLDER_BYTES_MAX,
  type ShardLayout,
  decodeLockLease,
  decodeShardLease,
  decodeShardsLease,
  encodeLockLease,
  encodeShardLease,
  encodeShardsLease,
  lockLeaseName,
  shardLayoutRefusal,
  shardLeaseName,
} from '../../src/server/lease-codec.ts';
import { type LeaseWrite, carryOf } from '../../src/server/lease-fields.ts';
import { seededRandom } from '../../src/system/random.ts';

const wallMs = Date.UTC(2026, 0, 31, 12);
const creation: LeaseWrite = { wallMs, resourceVersion: undefined, carry: undefined };

/** What a store would hand back. */
function stored(lease: Lease, resourceVersion = '7'): StoredLease {
  const metadata = { ...lease.metadata, resourceVersion, uid: 'a-uid', creationTimestamp: '2026-01-31T12:00:00Z' };
  return { metadata, spec: lease.spec };
}

function holder(token: number, more: Partial<HolderRecord> = {}): HolderRecord {
  return { principal: 'pod-uid', ownerId: `owner-${token}`, mode: 'exclusive', token, ttlMs: 15_000, ...more };
}

function record(holders: readonly HolderRecord[], more: Partial<LockRecord> = {}): LockRecord {
  const counter = Math.max(0, ...holders.map(({ token }) => token));
  const fenceFloor = Math.min(counter + 1, ...holders.map(({ token }) => token));
  return { key: 'shop/migrations', counter, fenceFloor, holders, lockDelayMs: 0, attempt: 'me.3.1', ...more };
}

function shardRecord(more: Partial<ShardRecord> = {}): ShardRecord {
  return {
    epoch: 4,
    counter: 1_000_000,
    graceMs: 60_000,
    slots: [0, 9, 16_383],
    slotsOverflow: false,
    revocations: [{ key: 'shop/orders/17', floor: 12 }],
    attempt: 'me.3.1',
    ...more,
  };
}

const owner = { namespace: 'lockkeeper', shard: 3, incarnation: 'operator-0.one' };

/** The same Lease with one of our annotations set, or without it. */
function edited(lease: StoredLease, name: string, value: string | undefined): StoredLease {
  const { [`lockkeeper.dev/${name}`]: _before, ...others } = lease.metadata.annotations ?? {};
  const annotations = value === undefined ? others : { ...others, [`lockkeeper.dev/${name}`]: value };
  return { ...lease, metadata: { ...lease.metadata, annotations } };
}

function relabelled(lease: StoredLease, name: string, value: string): StoredLease {
  return { ...lease, metadata: { ...lease.metadata, labels: { [`lockkeeper.dev/${name}`]: value } } };
}

/** A result that names this code and this field. */
function damaged(code: string, field: string) {
  const prefixed = field.includes('.') ? field : `lockkeeper.dev/${field}`;
  return { kind: 'damaged', problem: { code, field: prefixed } };
}

async function throughStore(lease: Lease): Promise<StoredLease> {
  const clock = { monotonicMs: () => 0, wallMs: () => wallMs };
  const store = new MemoryLeaseStore({ clock, random: seededRandom(1) });
  await store.create(lease);
  const read = await store.get(lease.metadata.namespace, lease.metadata.name);
  return JSON.parse(JSON.stringify(read)) as StoredLease;
}

/** A duration is recorded in whole seconds, rounded up. */
const up = (durationMs: number) => Math.ceil(durationMs / 1000) * 1000;

const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const printable = (maxLength: number) => fc.string({ unit: visible, minLength: 1, maxLength });
const dnsLabel = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);

const lockRecords: fc.Arbitrary<LockRecord> = fc
  .record({
    namespace: dnsLabel,
    lockName: dnsLabel,
    counter: fc.oneof(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 0, max: TOKEN_MAX })),
    offsets: fc.uniqueArray(fc.integer({ min: 0, max: 999 }), { maxLength: 8 }),
    holders: fc.array(
      fc.record({
        principal: printable(128),
        ownerId: printable(128),
        mode: fc.constantFrom('exclusive' as const, 'shared' as const),
        ttlMs: fc.integer({ min: 1, max: LIMITS.ttlMsMax }),
      }),
      { minLength: 8, maxLength: 8 },
    ),
    lockDelayMs: fc.integer({ min: 0, max: LIMITS.lockDelayMsMax }),
    attempt: printable(300),
  })
  .map(({ namespace, lockName, counter, offsets, holders, lockDelayMs, attempt }) => {
    const tokens = offsets.map((offset) => counter - offset).filter((token) => token >= 1);
    const recorded = tokens.map((token, index) => ({ ...(holders[index] as (typeof holders)[number]), token }));
    const fenceFloor = Math.min(counter + 1, ...tokens);
    return { key: `${namespace}/${lockName}`, counter, fenceFloor, holders: recorded, lockDelayMs, attempt };
  });

const shardRecords: fc.Arbitrary<ShardRecord> = fc.record({
  epoch: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  counter: fc.integer({ min: 0, max: TOKEN_MAX }),
  graceMs: fc.integer({ min: 0, max: LIMITS.ttlMsMax }),
  slots: fc
    .uniqueArray(fc.integer({ min: 0, max: LIMITS.sessionSlotsMax - 1 }))
    .map((slots) => slots.toSorted((a, b) => a - b)),
  slotsOverflow: fc.boolean(),
  revocations: fc
    .uniqueArray(fc.tuple(dnsLabel, dnsLabel, fc.stringMatching(/^[A-Za-z0-9_~@+=,-]{1,40}$/)), {
      selector: (parts) => parts.join('/'),
    })
    .map((keys) => keys.map((parts, floor) => ({ key: parts.join('/'), floor }))),
  attempt: printable(300),
});

describe('the Lease of a lock', () => {
  test('reads back as it was written, durations rounded up to seconds', async () => {
    await fc.assert(
      fc.asyncProperty(lockRecords, async (written) => {
        const decoded = decodeLockLease(await throughStore(encodeLockLease(written, creation)));
        const holders = written.holders.map((each) => ({ ...each, ttlMs: up(each.ttlMs) }));
        const expected = { ...written, holders, lockDelayMs: up(written.lockDelayMs) };
        expect(decoded).toMatchObject({ kind: 'lock', version: '1' });
        expect('record' in decoded && decoded.record).toEqual(expected);
      }),
    );
  });

  test('has its name, labels and annotations as documented', () => {
    const lease = encodeLockLease(
      record([holder(41, { ttlMs: 15_001 }), holder(42, { mode: 'shared' })], { lockDelayMs: 1 }),
      creation,
    );
    expect(lease.metadata).toEqual({
      namespace: 'shop',
      name: 'lock-migrations',
      labels: { 'app.kubernetes.io/managed-by': 'lockkeeper', 'lockkeeper.dev/lock': 'migrations' },
      annotations: {
        'lockkeeper.dev/fencing-counter': '42',
        'lockkeeper.dev/fence-floor': '41',
        'lockkeeper.dev/holders':
          '[{"principal":"pod-uid","ownerId":"owner-41","mode":"exclusive","token":"41","ttlSeconds":16},' +
          '{"principal":"pod-uid","ownerId":"owner-42","mode":"shared","token":"42","ttlSeconds":15}]',
        'lockkeeper.dev/lock-delay-seconds': '1',
        'lockkeeper.dev/attempt': 'me.3.1',
        'lockkeeper.dev/checksum': expect.stringMatching(/^[0-9a-f]{8}$/),
      },
    });
  });

  test('fits the API server with 256 holders of the longest names', async () => {
    const longest = { principal: 'p'.repeat(128), ownerId: '"'.repeat(128), ttlMs: LIMITS.ttlMsMax };
    const holders = Array.from({ length: 256 }, (_, index) => holder(TOKEN_MAX - index, longest));
    const lease = await throughStore(encodeLockLease(record(holders), creation));
    const bytes = Buffer.byteLength(lease.metadata.annotations?.['lockkeeper.dev/holders'] ?? '');
    expect(bytes).toBeGreaterThan(256 * 400);
    expect(bytes).toBeLessThanOrEqual(256 * (HOLDER_BYTES_MAX + 1) + 1);
    expect(bytes).toBeLessThan(ANNOTATION_BYTES_MAX);
    expect(decodeLockLease(lease)).toMatchObject({ record: { holders } });
  });

  test.each<[string, LockRecord]>([
    ['257 holders', record(Array.from({ length: 257 }, (_, index) => holder(index + 1)))],
    ['a counter of 2^53', record([], { counter: 2 ** 53, fenceFloor: 1 })],
    ['a holder above the counter', record([holder(5)], { counter: 4 })],
    ['a holder below the fence floor', record([holder(5)], { fenceFloor: 6 })],
    ['two holders of one token', record([holder(5), holder(5)])],
    ['an ownerId with a space', record([holder(5, { ownerId: 'a b' })])],
    ['a principal that is too long', record([holder(5, { principal: 'p'.repeat(129) })])],
    ['a time to live of 0', record([holder(5, { ttlMs: 0 })])],
    ['a time to live above the bound', record([holder(5, { ttlMs: LIMITS.ttlMsMax + 1 })])],
    ['an empty attempt', record([], { attempt: '' })],
    ['a key of a pool', record([], { key: 'shop/orders/17' })],
  ])('%s is not written', (_what, written) => {
    expect(() => encodeLockLease(written, creation)).toThrow(RangeError);
  });

  test('a name that is too long is cut and told apart by its hash', () => {
    expect(lockLeaseName('a'.repeat(248))).toBe(`lock-${'a'.repeat(248)}`);
    const [one, two] = [lockLeaseName(`${'a'.repeat(300)}1`), lockLeaseName(`${'a'.repeat(300)}2`)];
    expect(one).toMatch(/^lock-a{183}-[0-9a-f]{64}$/);
    expect(one).toHaveLength(253);
    expect(two).not.toBe(one);
    expect(lockLeaseName(`${'a'.repeat(180)}---${'b'.repeat(99)}`)).toMatch(/^lock-a{180}-[0-9a-f]{64}$/);
  });
});

describe('spec, for people and readers in the manner of client-go', () => {
  const laterMs = wallMs + 60_000;
  const next = (lease: Lease): LeaseWrite => ({ wallMs: laterMs, resourceVersion: '7', carry: carryOf(stored(lease)) });
  const first = encodeLockLease(record([holder(1, { ttlMs: 20_001 }), holder(2, { ttlMs: 5_000 })]), creation);

  test('names the first holder and the longest time to live', () => {
    const now = '2026-01-31T12:00:00.000000Z';
    expect(first.spec).toEqual({
      holderIdentity: 'pod-uid/owner-1',
      leaseDurationSeconds: 21,
      leaseTransitions: 0,
      acquireTime: now,
      renewTime: now,
    });
  });

  test('a write for the same holder keeps its beginning', () => {
    const again = encodeLockLease(record([holder(1)]), next(first));
    expect(again.spec).toMatchObject({
      leaseTransitions: 0,
      acquireTime: '2026-01-31T12:00:00.000000Z',
      renewTime: '2026-01-31T12:01:00.000000Z',
    });
    expect(again.metadata).toMatchObject({ resourceVersion: '7', uid: 'a-uid' });
  });

  test('another holder is a transition, nobody is none', () => {
    const other = encodeLockLease(record([holder(3)]), next(first));
    expect(other.spec).toMatchObject({ leaseTransitions: 1, acquireTime: '2026-01-31T12:01:00.000000Z' });
    const free = encodeLockLease(record([], { counter: 3, fenceFloor: 4 }), next(other));
    expect(free.spec).toMatchObject({ holderIdentity: undefined, leaseTransitions: 1, leaseDurationSeconds: 1 });
    expect(encodeLockLease(record([holder(4)]), next(free)).spec).toMatchObject({ leaseTransitions: 2 });
    const endless = { ...free, spec: { ...free.spec, leaseTransitions: 2 ** 31 - 1 } };
    expect(encodeLockLease(record([holder(4)]), next(endless)).spec.leaseTransitions).toBe(2 ** 31 - 1);
  });

  test('labels and annotations of others stay, also those that look like words of ours', () => {
    const theirs = { team: 'a', 'example.com/lock': 'b' };
    const { labels, annotations } = first.metadata;
    const mixed = {
      ...first,
      metadata: { ...first.metadata, labels: { ...labels, ...theirs }, annotations: { ...annotations, ...theirs } },
    };
    const { metadata } = encodeLockLease(record([]), next(mixed));
    expect(metadata.labels).toEqual({ ...labels, ...theirs });
    expect(metadata.annotations).toMatchObject(theirs);
    expect(decodeLockLease(stored(encodeLockLease(record([]), next(mixed))))).toMatchObject({ kind: 'lock' });
  });

  test('a new Lease has neither version nor uid', () => {
    const { metadata } = encodeLockLease(record([]), { ...next(first), resourceVersion: undefined });
    expect(metadata).not.toHaveProperty('uid');
    expect(metadata).not.toHaveProperty('resourceVersion');
  });
});

describe('a Lease without our label is foreign', () => {
  const application: StoredLease = stored({
    metadata: { namespace: 'shop', name: 'lock-migrations', labels: { 'app.kubernetes.io/managed-by': 'lockkeeper' } },
    spec: { holderIdentity: 'app-0', leaseDurationSeconds: 15 },
  });

  test.each([
    ['lock', decodeLockLease],
    ['shard', decodeShardLease],
    ['layout', decodeShardsLease],
  ])('%s', (_what, decode) => {
    expect(decode(application)).toEqual({ kind: 'foreign', lease: 'shop/lock-migrations' });
  });
});

describe('damage of a lock is named and never reads as a record', () => {
  const good = stored(encodeLockLease(record([holder(41), holder(42)]), creation));
  const holdersText = good.metadata.annotations?.['lockkeeper.dev/holders'] ?? '';

  test.each<[string, string, string | undefined, string]>([
    ['no counter', 'fencing-counter', undefined, 'missing'],
    ['an empty counter', 'fencing-counter', '', 'malformed'],
    ['a counter with a sign', 'fencing-counter', '+42', 'malformed'],
    ['a counter in hexadecimal', 'fencing-counter', '0x2a', 'malformed'],
    ['a counter of 2^53', 'fencing-counter', '9007199254740992', 'outOfBounds'],
    ['no holders', 'holders', undefined, 'missing'],
    ['holders cut in the middle', 'holders', holdersText.slice(0, 30), 'malformed'],
    ['a holder without a token', 'holders', holdersText.replace('"token":"41",', ''), 'malformed'],
    ['a holder of an unknown mode', 'holders', holdersText.replace('exclusive', 'open'), 'malformed'],
    ['a time to live of 0', 'holders', holdersText.replace('15', '0'), 'outOfBounds'],
    ['a time to live that is too long', 'holders', holdersText.replace('15', '3601'), 'outOfBounds'],
    ['a negative lock delay', 'lock-delay-seconds', '-1', 'malformed'],
    ['a lock delay that is too long', 'lock-delay-seconds', '3601', 'outOfBounds'],
    ['no fence floor', 'fence-floor', undefined, 'missing'],
    ['no attempt', 'attempt', undefined, 'missing'],
    ['no checksum', 'checksum', undefined, 'missing'],
  ])('%s', (_what, annotation, value, code) => {
    const decoded = decodeLockLease(edited(good, annotation, value));
    expect(decoded).toMatchObject({
      kind: 'damaged',
      version: '7',
      problem: { code, lease: 'shop/lock-migrations', field: `lockkeeper.dev/${annotation}` },
    });
    expect('problem' in decoded && decoded.problem.message).toContain('kubectl -n shop delete lease lock-migrations');
  });

  test.each<[string, string, string, string, string]>([
    ['a counter below a holder', 'fencing-counter', '41', 'inconsistent', 'holders'],
    ['a counter far below', 'fencing-counter', '1', 'inconsistent', 'fence-floor'],
    ['a fence floor above a holder', 'fence-floor', '42', 'inconsistent', 'holders'],
    ['a higher counter', 'fencing-counter', '43', 'checksum', 'checksum'],
    ['no more holders', 'holders', '[]', 'checksum', 'checksum'],
    ['a shorter time to live', 'holders', holdersText.replace('15', '14'), 'checksum', 'checksum'],
    ['another attempt', 'attempt', 'me.3.2', 'checksum', 'checksum'],
  ])('%s, edited by hand', (_what, annotation, value, code, field) => {
    expect(decodeLockLease(edited(good, annotation, value))).toMatchObject(damaged(code, field));
  });

  test('the Lease of one lock in the place of another', () => {
    const renamed = { ...good, metadata: { ...good.metadata, name: 'lock-other' } };
    expect(decodeLockLease(renamed)).toMatchObject(damaged('inconsistent', 'lock'));
    expect(decodeLockLease(relabelled(renamed, 'lock', 'other'))).toMatchObject(damaged('checksum', 'checksum'));
    const moved = { ...good, metadata: { ...good.metadata, namespace: 'other' } };
    expect(decodeLockLease(moved)).toMatchObject(damaged('checksum', 'checksum'));
  });

  test('any one character changed, added or cut in any annotation', () => {
    const leases = [good, stored(encodeShardLease(shardRecord(), owner, creation))];
    const edits = fc.record({
      lease: fc.constantFrom(...leases),
      annotation: fc.nat(),
      position: fc.nat(),
      removed: fc.constantFrom(0, 1),
      added: fc.string({ maxLength: 1 }),
    });
    fc.assert(
      fc.property(edits, ({ lease, annotation, position, removed, added }) => {
        const entries = Object.entries(lease.metadata.annotations ?? {});
        const [key, value] = entries[annotation % entries.length] as [string, string];
        const at = position % (value.length + 1);
        const changed = value.slice(0, at) + added + value.slice(at + removed);
        fc.pre(changed !== value);
        const decode = lease === good ? decodeLockLease : decodeShardLease;
        expect(decode(edited(lease, key.replace('lockkeeper.dev/', ''), changed)).kind).toBe('damaged');
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the Lease of a shard', () => {
  test('reads back as it was written, durations rounded up to seconds', async () => {
    await fc.assert(
      fc.asyncProperty(shardRecords, fc.option(printable(100), { nil: undefined }), async (written, incarnation) => {
        const lease = await throughStore(encodeShardLease(written, { ...owner, incarnation }, creation));
        const decoded = decodeShardLease(lease);
        expect(decoded).toMatchObject({ kind: 'shard', shard: 3, version: '1' });
        expect('record' in decoded && decoded.record).toEqual({ ...written, graceMs: up(written.graceMs) });
        expect('incarnation' in decoded && decoded.incarnation).toBe(incarnation);
      }),
    );
  });

  test('has its name, labels, owner and annotations as documented', () => {
    const lease = encodeShardLease(shardRecord({ slots: [0, 9, 10], graceMs: 59_001 }), owner, creation);
    expect(lease).toEqual({
      metadata: {
        namespace: 'lockkeeper',
        name: 'lockkeeper-shard-3',
        labels: { 'app.kubernetes.io/managed-by': 'lockkeeper', 'lockkeeper.dev/shard': '3' },
        annotations: {
          'lockkeeper.dev/fencing-counter': '1000000',
          'lockkeeper.dev/grace-seconds': '60',
          'lockkeeper.dev/slots': Buffer.from([1, 6]).toString('base64'),
          'lockkeeper.dev/slots-overflow': 'false',
          'lockkeeper.dev/revocations': '[["shop/orders/17","12"]]',
          'lockkeeper.dev/attempt': 'me.3.1',
          'lockkeeper.dev/checksum': expect.stringMatching(/^[0-9a-f]{8}$/),
        },
      },
      spec: {
        holderIdentity: 'operator-0.one',
        leaseTransitions: 4,
        acquireTime: '2026-01-31T12:00:00.000000Z',
        renewTime: '2026-01-31T12:00:00.000000Z',
      },
    });
  });

  test('all slots stay under 3 KiB, and many revocations fit the API server', async () => {
    const slots = Array.from({ length: LIMITS.sessionSlotsMax }, (_, slot) => slot);
    const revocations = Array.from({ length: LIMITS.revocationsPerShardMax }, (_, floor) => ({
      key: `shop/orders/${'k'.repeat(180)}-${floor}`,
      floor: TOKEN_MAX,
    }));
    const lease = await throughStore(encodeShardLease(shardRecord({ slots, revocations }), owner, creation));
    expect(lease.metadata.annotations?.['lockkeeper.dev/slots']?.length).toBeLessThan(3 * 1024);
    expect(decodeShardLease(lease)).toMatchObject({ record: { slots, revocations } });
  });

  test('several revocations of one key are one with the highest floor', () => {
    const floors = [5, 9, 7].map((floor) => ({ key: 'shop/orders/17', floor }));
    const lease = encodeShardLease(shardRecord({ revocations: floors }), owner, creation);
    expect(decodeShardLease(stored(lease))).toMatchObject({
      record: { revocations: [{ key: 'shop/orders/17', floor: 9 }] },
    });
  });

  test.each<[string, Partial<ShardRecord>]>([
    ['a slot beyond the last', { slots: [16_384] }],
    ['slots out of order', { slots: [2, 1] }],
    ['one slot twice', { slots: [2, 2] }],
    ['an epoch of 2^31', { epoch: 2 ** 31 }],
    ['a grace above the bound', { graceMs: LIMITS.ttlMsMax + 1 }],
    [
      'too many revocations',
      { revocations: Array.from({ length: 1025 }, (_, index) => ({ key: `a/b/${index}`, floor: 1 })) },
    ],
    ['a revocation of no lock', { revocations: [{ key: 'orders', floor: 1 }] }],
  ])('%s is not written', (_what, more) => {
    expect(() => encodeShardLease(shardRecord(more), owner, creation)).toThrow(RangeError);
  });

  const good = stored(encodeShardLease(shardRecord(), owner, creation));

  test.each<[string, string, string | undefined, string]>([
    ['no counter', 'fencing-counter', undefined, 'missing'],
    ['no grace', 'grace-seconds', undefined, 'missing'],
    ['a grace above the bound', 'grace-seconds', '3601', 'outOfBounds'],
    ['no slots', 'slots', undefined, 'missing'],
    ['slots that are no base64', 'slots', '!!!!', 'malformed'],
    ['slots with zero bytes at the end', 'slots', 'AQAA', 'malformed'],
    ['more slots than there are', 'slots', Buffer.alloc(2049, 1).toString('base64'), 'outOfBounds'],
    ['no overflow mark', 'slots-overflow', undefined, 'missing'],
    ['an overflow mark in words', 'slots-overflow', 'no', 'malformed'],
    ['no revocations', 'revocations', undefined, 'missing'],
    ['a revocation without a floor', 'revocations', '[["shop/orders/17"]]', 'malformed'],
    ['no attempt', 'attempt', undefined, 'missing'],
  ])('damage: %s', (_what, annotation, value, code) => {
    expect(decodeShardLease(edited(good, annotation, value))).toMatchObject({
      kind: 'damaged',
      problem: { code, lease: 'lockkeeper/lockkeeper-shard-3', field: `lockkeeper.dev/${annotation}` },
    });
  });

  test.each<[string, StoredLease, string, string]>([
    ['fewer slots', edited(good, 'slots', 'AQ=='), 'checksum', 'checksum'],
    ['no epoch', { ...good, spec: { holderIdentity: 'operator-0.one' } }, 'missing', 'spec.leaseTransitions'],
    ['a lower epoch', { ...good, spec: { ...good.spec, leaseTransitions: 3 } }, 'checksum', 'checksum'],
    ['another owner', { ...good, spec: { ...good.spec, holderIdentity: 'me' } }, 'checksum', 'checksum'],
    ['another shard', relabelled(good, 'shard', '4'), 'inconsistent', 'shard'],
    ['a label in words', relabelled(good, 'shard', 'three'), 'malformed', 'shard'],
  ])('an edit by hand: %s', (_what, lease, code, field) => {
    expect(decodeShardLease(lease)).toMatchObject(damaged(code, field));
  });

  test('has a name that no lock has', () => {
    expect(lockLeaseName('keeper-shard-3')).not.toBe(shardLeaseName(3));
  });
});

describe('the Lease of the layout', () => {
  const layout: ShardLayout = { shardCount: 32, hashName: 'fnv1a', hashVersion: 1 };

  test('reads back as it was written', async () => {
    const lease = await throughStore(encodeShardsLease(layout, 'lockkeeper', wallMs));
    expect(lease.metadata.name).toBe('lockkeeper-shards');
    expect(lease.metadata.annotations).toMatchObject({
      'lockkeeper.dev/shard-count': '32',
      'lockkeeper.dev/shard-hash': 'fnv1a/v1',
    });
    expect(decodeShardsLease(lease)).toEqual({ kind: 'layout', layout, version: '1' });
  });

  test.each<[string, string | undefined, string, string]>([
    ['shard-count', undefined, 'missing', 'shard-count'],
    ['shard-count', '0', 'outOfBounds', 'shard-count'],
    ['shard-count', '64', 'checksum', 'checksum'],
    ['shard-hash', 'fnv1a', 'malformed', 'shard-hash'],
    ['shard-hash', 'fnv1a/v2', 'checksum', 'checksum'],
  ])('damage: %s %s', (annotation, value, code, field) => {
    const lease = edited(stored(encodeShardsLease(layout, 'lockkeeper', wallMs)), annotation, value);
    expect(decodeShardsLease(lease)).toMatchObject(damaged(code, field));
  });

  test('a process with another layout is refused, with the setting it needs', () => {
    expect(shardLayoutRefusal(layout, { ...layout })).toBeUndefined();
    expect(shardLayoutRefusal(layout, { ...layout, shardCount: 64 })).toMatch(
      /set to 64 shards.*has 32.*set the number of shards to 32/,
    );
    expect(shardLayoutRefusal(layout, { ...layout, hashName: 'xxh3' })).toMatch(/xxh3\/v1.*fnv1a\/v1/);
    expect(shardLayoutRefusal(layout, { ...layout, hashVersion: 2 })).toMatch(/fnv1a\/v2.*fnv1a\/v1/);
  });
});
