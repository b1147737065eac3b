/**
 * Goal: what the client says of a call is true of the real API server behind a network that fails: what is refused was not done,
 * what was done is never called refused, and watches tell all the same. Method: the fault proxy between them, and a second client
 * without it to see what is so.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, type ClusterOptions, openCluster } from '../../src/kube/cluster/cluster.ts';
import type { Lease, StoredLease } from '../../src/kube/lease.ts';
import { StoreError } from '../../src/kube/lease-store.ts';
import { ListWatch } from '../../src/kube/list-watch.ts';
import { leaseSource } from '../../src/kube/watch-source.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { systemRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy/fault-proxy.ts';
import { type Fault, watchesOf, writesOf } from './fault-proxy/faults.ts';
import { describeOnOwnControlPlane } from './own-control-plane.ts';
import { waitFor } from '../support/wait.ts';
import { freshNamespace, sharedControlPlane } from './support.ts';

const controlPlane = sharedControlPlane();
const system = { clock: systemClock(), timers: systemTimers(), random: systemRandom(), log: silentLog };

let proxy: FaultProxy;
/** Without the proxy. */
let direct: Cluster;

beforeAll(async () => {
  proxy = await startFaultProxy(controlPlane.kubeconfigPath);
  direct = await openCluster({ kubeconfigPath: controlPlane.kubeconfigPath, userAgent: 'direct', ...system });
});
afterAll(async () => {
  await direct[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

function open(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  return openCluster({ kubeconfigPath: proxy.kubeconfigPath, userAgent: 'proxied', ...system, ...options });
}

/** `ok`, or the outcome of the failure. */
function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'ok',
    (error: unknown) => {
      if (!(error instanceof StoreError)) throw error;
      return error.outcome + (error.retryable ? ' retryable' : '');
    },
  );
}

const withHolder = (lease: StoredLease, holderIdentity: string): Lease => ({ ...lease, spec: { holderIdentity } });

/** What the proxy does, what the client must say, and whether the write is there afterwards. */
const faults: readonly (readonly [Fault, string, 'landed' | 'not landed'])[] = [
  [{ kind: 'pass' }, 'ok', 'landed'],
  [{ kind: 'delay', ms: 50 }, 'ok', 'landed'],
  [{ kind: 'delayAnswer', ms: 50 }, 'ok', 'landed'],
  [{ kind: 'resetBeforeForwarding' }, 'unknown', 'not landed'],
  [{ kind: 'resetAfterForwarding' }, 'unknown', 'landed'],
  [{ kind: 'swallow' }, 'unknown', 'not landed'],
  [{ kind: 'landUnanswered' }, 'unknown', 'landed'],
  [{ kind: 'answer', status: 409 }, 'conflict', 'not landed'],
  [{ kind: 'answer', status: 410 }, 'rejected', 'not landed'],
  [{ kind: 'answer', status: 429, retryAfterSeconds: 1 }, 'rejected retryable', 'not landed'],
  [{ kind: 'answer', status: 500 }, 'unknown', 'not landed'],
  [{ kind: 'answer', status: 503 }, 'unknown', 'not landed'],
  [{ kind: 'answer', status: 503, retryAfterSeconds: 1 }, 'rejected retryable', 'not landed'],
  [{ kind: 'answer', status: 504 }, 'unknown', 'not landed'],
];

describe.each(['leases', 'authorityLeases'] as const)('a write by %s', (store) => {
  test.each(faults)('that meets %j is %s, and has %s', async (fault, outcome, landed) => {
    const { name: namespace } = await freshNamespace();
    await using cluster = await open({ writeTimeoutMs: 2_000, authorityTimeoutMs: 2_000 });
    const lease = await direct.leases.create({ metadata: { namespace, name: 'a' }, spec: {} });
    using injected = proxy.inject(writesOf('leases', 'a'), fault);
    expect(await outcomeOf(cluster[store].update(withHolder(lease, 'me')))).toBe(outcome);
    // Sent once, whatever became of it.
    expect(injected.hits).toBe(1);
    const found = await direct.leases.get(namespace, 'a');
    expect(found?.spec.holderIdentity).toBe(landed === 'landed' ? 'me' : undefined);
  });
});

describeOnOwnControlPlane('a write that was given up and arrives late', () => {
  test('is barred by a later one', async () => {
    const { name: namespace } = await freshNamespace();
    await using cluster = await open({ writeTimeoutMs: 500 });
    const lease = await direct.leases.create({ metadata: { namespace, name: 'a' }, spec: {} });
    using held = proxy.hold(writesOf('leases', 'a'), 'beforeForwarding');
    expect(await outcomeOf(cluster.leases.update(withHolder(lease, 'late')))).toBe('unknown');
    // A read proves nothing: it is not there yet.
    expect((await direct.leases.get(namespace, 'a'))?.spec.holderIdentity).toBeUndefined();
    const second = await direct.leases.update(withHolder(lease, 'second'));
    held.release();
    const writes = () => controlPlane.auditLog.writes({ resource: 'leases', namespace, name: 'a' });
    await waitFor(() => writes().length === 3, { what: 'third write' });
    expect(writes().map(({ responseStatus }) => responseStatus?.code)).toEqual([201, 200, 409]);
    expect(await direct.leases.get(namespace, 'a')).toEqual(second);
  });
});

test('after an outage that nobody was told about, calls go over new connections at once', async () => {
  const { name: namespace } = await freshNamespace();
  await using cluster = await open({ authorityTimeoutMs: 1_500 });
  let lease = await direct.leases.create({ metadata: { namespace, name: 'a' }, spec: {} });
  // Several connections are open by now.
  await Promise.all([1, 2, 3, 4].map(() => cluster.authorityLeases.get(namespace, 'a')));
  proxy.swallowEverything();
  expect(await outcomeOf(cluster.authorityLeases.update(withHolder(lease, 'lost')))).toBe('unknown');
  proxy.clear();
  lease = (await direct.leases.get(namespace, 'a')) as StoredLease;
  expect(await outcomeOf(cluster.authorityLeases.update(withHolder(lease, 'first try')))).toBe('ok');
});

test('reads come through what passes', async () => {
  const { name: namespace } = await freshNamespace();
  await using cluster = await open({ readTimeoutMs: 9_000 });
  await direct.leases.create({ metadata: { namespace, name: 'a' }, spec: {} });
  const kinds: readonly Fault[] = [
    { kind: 'resetBeforeForwarding' },
    { kind: 'resetAfterForwarding' },
    { kind: 'swallow' },
    { kind: 'answer', status: 429, retryAfterSeconds: 1 },
    { kind: 'answer', status: 500 },
    { kind: 'answer', status: 503 },
  ];
  for (const fault of kinds) {
    using injected = proxy.inject({ method: 'GET', isWatch: false }, fault, { times: 1 });
    expect((await cluster.leases.get(namespace, 'a'))?.metadata.name).toBe('a');
    expect(injected.hits).toBe(1);
  }
});

describe('a list-watch', () => {
  test.each<Fault>([
    { kind: 'cutWatch', afterEvents: 2 },
    { kind: 'endWatch', afterEvents: 2 },
    { kind: 'expireWatch', afterEvents: 2 },
    { kind: 'stallWatch', afterEvents: 2 },
    { kind: 'answer', status: 410 },
    { kind: 'answer', status: 429, retryAfterSeconds: 1 },
    { kind: 'answer', status: 500 },
    { kind: 'resetBeforeForwarding' },
  ])('through %j knows in the end what is there, and takes nothing for a restored backup', async (fault) => {
    const { name: namespace } = await freshNamespace();
    await using cluster = await open({ watchIdleMs: 1_000 });
    let restores = 0;
    let synced = false;
    using injected = proxy.inject(watchesOf('leases'), fault, { times: 2 });
    using leases = new ListWatch({
      source: leaseSource(cluster.leases, { namespace }),
      ...system,
      onChange: () => undefined,
      onSynced: () => (synced = true),
      onRestored: () => restores++,
    });
    leases.start();
    await waitFor(() => synced, { what: 'first list' });
    let lease = await direct.leases.create({ metadata: { namespace, name: 'a' }, spec: {} });
    const gone = await direct.leases.create({ metadata: { namespace, name: 'gone' }, spec: {} });
    for (let turn = 0; turn < 10; turn++) lease = await direct.leases.update(withHolder(lease, `turn-${turn}`));
    await direct.leases.delete(namespace, 'gone', gone.metadata.resourceVersion);
    await waitFor(
      () => leases.get(`${namespace}/a`)?.spec.holderIdentity === 'turn-9' && !leases.get(`${namespace}/gone`),
      { what: 'last change' },
    );
    expect(injected.hits).toBeGreaterThan(0);
    expect(restores).toBe(0);
  });
});
