/**
 * Goal: the client of a real API server keeps the contracts of the stores, through restarts of that server; and what stands on
 * the Leases of locks makes sense to others. Method: the real server, its audit log, and kubectl.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { DEFAULT_LOCK_POLICY } from '../../src/api/policies.ts';
import type { Reply } from '../../src/api/operations.ts';
import type { SessionTransport } from '../../src/api/transport.ts';
import { type Cluster, type ClusterOptions, openCluster } from '../../src/kube/cluster/cluster.ts';
import { DISTRIBUTED_LOCKS, NAMESPACES } from '../../src/kube/kube-object.ts';
import { type Lease, isMicroTime } from '../../src/kube/lease.ts';
import { type LeaseEvent, StoreError } from '../../src/kube/lease-store.ts';
import { ListWatch } from '../../src/kube/list-watch.ts';
import type { ObjectEvent } from '../../src/kube/object-store.ts';
import { leaseSource } from '../../src/kube/watch-source.ts';
import { LockServer } from '../../src/server/lock-server.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { systemRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';
import { describeLeaseStore } from '../support/lease-store-contract.ts';
import { describeOnOwnControlPlane } from './own-control-plane.ts';
import { waitFor } from '../support/wait.ts';
import { freshNamespace, sharedControlPlane } from './support.ts';
import { refusal } from '../support/store-answers.ts';

const controlPlane = sharedControlPlane();
const system = { clock: systemClock(), timers: systemTimers(), random: systemRandom(), log: silentLog };

function open(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  return openCluster({ kubeconfigPath: controlPlane.kubeconfigPath, userAgent: 'cluster-test', ...system, ...options });
}

describeLeaseStore('Leases at a real API server', async () => {
  const cluster = await open();
  return {
    store: cluster.leases,
    freshNamespace: async () => (await freshNamespace()).name,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});

describeLeaseStore('Leases over the connections of authority', async () => {
  const cluster = await open();
  return {
    store: cluster.authorityLeases,
    freshNamespace: async () => (await freshNamespace()).name,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
});

const lease = (namespace: string, name: string, spec: Lease['spec'] = {}): Lease => ({
  metadata: { namespace, name },
  spec,
});

describe('objects', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await open();
    await controlPlane.kubectl(['apply', '-f', 'crds/']);
    await controlPlane.kubectl(['wait', '--for=condition=Established', '-f', 'crds/', '--timeout=30s']);
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  const lock = (namespace: string, name: string, spec: object = {}) => ({
    apiVersion: 'lockkeeper.dev/v1alpha1',
    kind: 'DistributedLock',
    metadata: { namespace, name },
    spec,
  });

  test('are made, read, changed, listed, watched and removed', async () => {
    const { name: namespace } = await freshNamespace();
    const { objects } = cluster;
    const { resourceVersion } = await objects.list(DISTRIBUTED_LOCKS, { namespace });
    const events: ObjectEvent[] = [];
    using _watch = objects.watch(DISTRIBUTED_LOCKS, { namespace, resourceVersion }, (event) => events.push(event));
    const created = await objects.create(DISTRIBUTED_LOCKS, lock(namespace, 'a', { permits: 2 }));
    expect(created).toMatchObject({ kind: 'DistributedLock', metadata: { generation: 1 }, spec: { permits: 2 } });
    const patched = await objects.patch(DISTRIBUTED_LOCKS, namespace, 'a', { spec: { permits: 3 } });
    expect(patched).toMatchObject({ metadata: { generation: 2 }, spec: { permits: 3 } });
    const status = { conditions: [], observedGeneration: 2 };
    const reported = await objects.patchStatus(DISTRIBUTED_LOCKS, namespace, 'a', { status, spec: { permits: 9 } });
    expect(reported).toMatchObject({
      metadata: { generation: 2 },
      spec: { permits: 3 },
      status: { observedGeneration: 2 },
    });
    const unnamed = await objects.update(DISTRIBUTED_LOCKS, lock(namespace, 'a', { permits: 4 }));
    expect(unnamed).toMatchObject({ spec: { permits: 4 }, status: { observedGeneration: 2 } });
    expect(await objects.get(DISTRIBUTED_LOCKS, namespace, 'a')).toEqual(unnamed);
    const { items } = await objects.list(DISTRIBUTED_LOCKS, { namespace, fieldSelector: 'metadata.name=a' });
    expect(items).toEqual([unnamed]);
    await objects.delete(DISTRIBUTED_LOCKS, namespace, 'a');
    expect(await objects.get(DISTRIBUTED_LOCKS, namespace, 'a')).toBeUndefined();
    await waitFor(() => events.length >= 5, { what: 'five events' });
    expect(events.map(({ type }) => type)).toEqual(['ADDED', 'MODIFIED', 'MODIFIED', 'MODIFIED', 'DELETED']);
  });

  test('that are refused say so', async () => {
    const { name: namespace } = await freshNamespace();
    const { objects } = cluster;
    const taken = await objects.create(DISTRIBUTED_LOCKS, lock(namespace, 'a'));
    const outcomes = [
      objects.create(DISTRIBUTED_LOCKS, lock(namespace, 'a')),
      objects.create(DISTRIBUTED_LOCKS, lock(namespace, 'b', { permits: 0 })),
      objects.create(DISTRIBUTED_LOCKS, lock('missing', 'b')),
      objects.patch(DISTRIBUTED_LOCKS, namespace, 'none', {}),
      objects.patch(DISTRIBUTED_LOCKS, namespace, 'a', { metadata: { resourceVersion: '1' } }),
      objects.update(DISTRIBUTED_LOCKS, { ...taken, metadata: { ...taken.metadata, resourceVersion: '1' } }),
      objects.delete(DISTRIBUTED_LOCKS, namespace, 'none'),
      objects.list({ ...DISTRIBUTED_LOCKS, plural: 'surprises', kind: 'Surprise' }, {}),
    ].map(async (call) => {
      const { outcome, httpStatus, retryable } = await refusal(call);
      return `${outcome} ${httpStatus} ${retryable}`;
    });
    expect(await Promise.all(outcomes)).toEqual([
      'conflict 409 false',
      'rejected 422 false',
      'notFound 404 false',
      'notFound 404 false',
      'conflict 409 false',
      'conflict 409 false',
      'notFound 404 false',
      'rejected 404 false',
    ]);
  });

  test('of a cluster-wide kind have no namespace', async () => {
    const { name } = await freshNamespace();
    expect((await cluster.objects.get(NAMESPACES, undefined, name))?.metadata.name).toBe(name);
  });
});

describeOnOwnControlPlane('who asks', () => {
  test('is named in the audit log, authority apart', async () => {
    const { name: namespace } = await freshNamespace();
    await using cluster = await open({ userAgent: `agent-${namespace}` });
    expect(await cluster.version()).toBe(controlPlane.version);
    await cluster.leases.create(lease(namespace, 'a'));
    await cluster.authorityLeases.create(lease(namespace, 'b'));
    await controlPlane.auditLog.settled({ resource: 'leases', namespace });
    const agents = controlPlane.auditLog.writes({ resource: 'leases', namespace }).map(({ userAgent }) => userAgent);
    expect(agents).toEqual([`agent-${namespace}`, `agent-${namespace} (authority)`]);
  });

  test('without permission is told so', async () => {
    const { name: namespace } = await freshNamespace();
    const kubeconfigPath = await controlPlane.kubeconfigForUser({ user: 'nobody', groups: [] });
    await using cluster = await open({ kubeconfigPath });
    const error = await refusal(cluster.leases.create(lease(namespace, 'a')));
    expect(error).toMatchObject({ outcome: 'rejected', httpStatus: 403, retryable: false });
    expect(error.message).toContain('"nobody" cannot create resource "leases"');
    const watched = await new Promise<LeaseEvent>((resolve) => {
      cluster.leases.watch({ namespace, resourceVersion: '1' }, resolve);
    });
    expect(watched).toMatchObject({ type: 'ERROR', code: 'ended' });
  });

  test('is somebody else once the client certificate has been replaced', async () => {
    const { name: namespace } = await freshNamespace();
    const paths = await Promise.all(
      ['first', 'second'].map((name) => controlPlane.kubeconfigForUser({ user: name, groups: ['system:masters'] })),
    );
    const users = await Promise.all(
      paths.map(async (path) => parse(await readFile(path, 'utf8')).users[0].user as Record<string, string>),
    );
    const file = (name: string) => join(controlPlane.directory, `${namespace}-${name}`);
    const write = async (user: Record<string, string> | undefined) => {
      await writeFile(file('crt'), Buffer.from(user?.['client-certificate-data'] ?? '', 'base64'));
      await writeFile(file('key'), Buffer.from(user?.['client-key-data'] ?? '', 'base64'));
    };
    const config = parse(await readFile(paths[0] ?? '', 'utf8'));
    config.users[0].user = { 'client-certificate': file('crt'), 'client-key': file('key') };
    await writeFile(file('config'), JSON.stringify(config));
    await write(users[0]);
    let aheadMs = 0;
    const clock = { monotonicMs: () => system.clock.monotonicMs() + aheadMs, wallMs: () => system.clock.wallMs() };
    await using cluster = await open({ kubeconfigPath: file('config'), clock });
    await cluster.leases.create(lease(namespace, 'a'));
    await write(users[1]);
    aheadMs = 11_000;
    await cluster.leases.create(lease(namespace, 'b'));
    await controlPlane.auditLog.settled({ resource: 'leases', namespace });
    const names = controlPlane.auditLog.writes({ resource: 'leases', namespace }).map(({ user }) => user.username);
    expect(names).toEqual(['first', 'second']);
  });
});

describeOnOwnControlPlane('an API server that is killed and started again', () => {
  test('ends watches; a list-watch catches up; no write is taken for done or undone wrongly', async () => {
    const { name: namespace } = await freshNamespace();
    await using cluster = await open({ writeTimeoutMs: 1_000 });
    const known = new Map<string, string>();
    let synced = false;
    using leases = new ListWatch({
      source: leaseSource(cluster.leases, { namespace }),
      ...system,
      onChange: (key) => known.set(key, leases.get(key)?.spec.holderIdentity ?? 'gone'),
      onSynced: () => (synced = true),
    });
    leases.start();
    await waitFor(() => synced, { what: 'first list' });
    let current = await cluster.leases.create(lease(namespace, 'a', { holderIdentity: '0' }));
    const before = current.metadata.resourceVersion;
    const ended: LeaseEvent[] = [];
    using _watch = cluster.leases.watch({ namespace, resourceVersion: before }, (event) => {
      if (event.type === 'ERROR') ended.push(event);
    });
    await waitFor(() => known.get(`${namespace}/a`) === '0', { what: 'first change' });

    // One writer, always on the version it knows, through the kill.
    const { apiServer } = controlPlane.components;
    const outcomes = new Set<string>();
    let down: Promise<void> | undefined;
    for (let count = 1, done = false; !done; count++) {
      try {
        current = await cluster.leases.update({ ...current, spec: { holderIdentity: String(count) } });
        done = down !== undefined && outcomes.size > 0;
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        outcomes.add(error.outcome);
        if (error.outcome === 'conflict') {
          // Only an earlier write of unknown outcome can have made it: nobody else writes.
          if (!outcomes.has('unknown')) outcomes.add('conflict without a cause');
          current = (await cluster.leases.get(namespace, 'a')) ?? current;
        }
      }
      if (count === 20) {
        down = (async () => {
          await apiServer.kill();
          await apiServer.start();
        })();
      }
    }
    await down;
    await waitFor(() => ended.length === 1, { what: 'end of the watch' });
    expect(outcomes).toContain('rejected');
    expect(outcomes).not.toContain('conflict without a cause');
    await waitFor(() => known.get(`${namespace}/a`) === current.spec.holderIdentity, { what: 'last change' });

    // The new server remembers no history from before its start.
    const isTooOld = async () => {
      const event = await new Promise<LeaseEvent>((resolve) => {
        cluster.leases.watch({ namespace, resourceVersion: '1' }, resolve);
      });
      return event.type === 'ERROR' && event.code === 'expired';
    };
    await waitFor(isTooOld, { what: 'version too old to watch from' });
  });
});

describeOnOwnControlPlane('a backup that is restored', () => {
  test('is noticed by a list-watch, which knows then what is there', async () => {
    const { name: namespace } = await freshNamespace();
    await using cluster = await open();
    let current = await cluster.leases.create(lease(namespace, 'a', { holderIdentity: 'before' }));
    const backup = controlPlane.snapshot();
    for (let times = 0; times < 20; times++) {
      current = await cluster.leases.update({ ...current, spec: { holderIdentity: `after-${times}` } });
    }
    let restores = 0;
    using leases = new ListWatch({
      source: leaseSource(cluster.leases, { namespace }),
      ...system,
      onChange: () => undefined,
      onRestored: () => restores++,
    });
    leases.start();
    const holder = () => leases.get(`${namespace}/a`)?.spec.holderIdentity;
    await waitFor(() => holder() === 'after-19', { what: 'last change' });
    await controlPlane.restore(backup);
    await waitFor(() => restores === 1, { what: 'notice of the restore' });
    await waitFor(() => holder() === 'before', { what: 'state of the backup' });
    const found = await cluster.leases.get(namespace, 'a');
    // A watch from a version that the store has never had would be silent about this one.
    await cluster.leases.update({ ...(found ?? current), spec: { holderIdentity: 'once more' } });
    await waitFor(() => holder() === 'once more', { what: 'change after the restore' });
    expect(restores).toBe(1);
  });
});

/** A lock server on the real API, with one client. */
async function serving(cluster: Cluster, namespace: string) {
  const server = await LockServer.start({
    store: cluster.leases,
    namespace,
    podName: 'operator-0',
    shardCount: 2,
    ...system,
    onFatal: (error) => {
      throw error;
    },
  });
  server.configureLock(`${namespace}/migrations`, DEFAULT_LOCK_POLICY);
  const replies = new Map<number, (reply: Reply) => void>();
  const transport: SessionTransport = server.connect('pod-a', {
    onReply: (reply) => {
      if (reply.kind !== 'queued') replies.get(reply.ref)?.(reply);
    },
    onLost: () => undefined,
    onEpoch: () => undefined,
  });
  let ref = 0;
  const acquire = (ownerId: string) =>
    new Promise<Reply>((resolve) => {
      const key = `${namespace}/migrations`;
      replies.set(++ref, resolve);
      transport.send([{ op: 'acquire', ref, key, ownerId, mode: 'exclusive', timeoutMs: 0, ttlMs: 20_000 }]);
    });
  return { server, acquire };
}

describe('the Lease of a lock', () => {
  test('says to any reader who holds it, since when, for how long, and how often it changed hands', async () => {
    const { name: namespace, kubectl } = await freshNamespace();
    await using cluster = await open();
    const { server, acquire } = await serving(cluster, namespace);
    await using _server = server;
    const read = async () => JSON.parse((await kubectl(['get', 'lease', 'lock-migrations', '-o', 'json'])).out);
    expect(await acquire('owner-1')).toMatchObject({ kind: 'hold' });
    const held = await read();
    expect(held.spec).toMatchObject({
      holderIdentity: 'pod-a/owner-1',
      leaseDurationSeconds: 20,
      leaseTransitions: expect.any(Number),
    });
    for (const time of [held.spec.acquireTime, held.spec.renewTime]) {
      expect(isMicroTime(time)).toBe(true);
      expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(60_000);
    }
    // As client-go's leader election reads it: nobody may take it before renewTime + leaseDurationSeconds.
    expect(Date.parse(held.spec.renewTime) + held.spec.leaseDurationSeconds * 1_000).toBeGreaterThan(Date.now());
  });

  test('of somebody else with the same name is refused with a code, and stays as it is', async () => {
    const { name: namespace, kubectl } = await freshNamespace();
    await using cluster = await open();
    const { server, acquire } = await serving(cluster, namespace);
    await using _server = server;
    const foreign = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: 'lock-migrations', finalizers: ['example.com/keep'] },
      spec: { holderIdentity: 'another-controller', leaseDurationSeconds: 15, leaseTransitions: 3 },
    };
    await kubectl(['create', '-f', '-'], JSON.stringify(foreign));
    const read = async () => (await kubectl(['get', 'lease', 'lock-migrations', '-o', 'json'])).out;
    const before = await read();
    const reply = await acquire('owner-1');
    expect(reply).toMatchObject({ kind: 'error', code: 'UNAVAILABLE' });
    // Its version too: nothing was written, nor written back.
    expect(await read()).toBe(before);
  });
});
