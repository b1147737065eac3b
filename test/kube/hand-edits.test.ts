/**
 * Goal: whatever somebody does with `kubectl` to the Leases under a running operator, it is noticed without any request, told by
 * an Event, put right, and never leads to two valid holds or a token that comes twice. Method: the lock server and its
 * controllers in this process, real `kubectl`, a lock that one client holds and another waits for; the same cases on the embedded
 * API and on a real API server of its own, whose etcd is also put back to an older state.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { shardOf } from '../../src/api/shard-hash.ts';
import { decodeShardLease, shardLeaseName } from '../../src/server/lease-codec.ts';
import { type ControlPlane, startControlPlane } from './control-plane/control-plane.ts';
import { waitFor } from '../support/wait.ts';
import { APP, embeddedKube, type Kube, now, Operator, realKube, SYSTEM } from './hand-edits/operator.ts';
import { Scene } from './hand-edits/scene.ts';

const patch = (value: object) => ['--type=merge', '-p', JSON.stringify(value)];
const annotation = (name: string, value: string | null) =>
  patch({ metadata: { annotations: { [`lockkeeper.dev/${name}`]: value } } });

const EDITS: readonly (readonly [string, string, (lease: string) => string[]])[] = [
  ['the counter lowered', 'lowered', (lease) => ['patch', 'lease', lease, ...annotation('fencing-counter', '7')]],
  [
    'the counter raised',
    'raised',
    (lease) => ['patch', 'lease', lease, ...annotation('fencing-counter', '9000000000000000')],
  ],
  ['the holders emptied', 'emptied', (lease) => ['patch', 'lease', lease, ...annotation('holders', '[]')]],
  ['the checksum broken', 'checksum', (lease) => ['patch', 'lease', lease, ...annotation('checksum', 'ffffffff')]],
  [
    'all annotations removed',
    'bare',
    (lease) => ['patch', 'lease', lease, ...patch({ metadata: { annotations: null } })],
  ],
  ['the label removed', 'label', (lease) => ['label', 'lease', lease, 'lockkeeper.dev/lock-']],
  [
    'the holder edited on the spec',
    'spec',
    (lease) => ['patch', 'lease', lease, ...patch({ spec: { holderIdentity: 'mallory' } })],
  ],
  ['the Lease deleted', 'deleted', (lease) => ['delete', 'lease', lease]],
];

/** Tokens of one lock only grow, and the record never lags behind a token that was given out. */
function expectGrowing({ first, second, recorded }: Awaited<ReturnType<Scene['handOver']>>): void {
  expect(second).toBeGreaterThan(first);
  expect(recorded).toBeGreaterThanOrEqual(second);
}

function describeHands(what: string, open: () => Promise<Kube>): void {
  describe(`hands on Leases ${what}`, () => {
    let kube: Kube;
    let operator: Operator;

    beforeAll(async () => {
      kube = await open();
      const files = readdirSync('crds').flatMap((file) => ['-f', `crds/${file}`]);
      await kube.kubectl(['apply', ...files]);
      for (const namespace of [SYSTEM, APP]) await kube.kubectl(['create', 'namespace', namespace]);
      await kube.kubectl(['wait', '--for=condition=Established', 'crd', '--all']);
      operator = await Operator.start(kube);
    });

    afterAll(async () => {
      await operator?.[Symbol.asyncDispose]();
      await kube?.[Symbol.asyncDispose]();
    });

    test.each(EDITS)('%s: put right, told, nobody else granted', async (_what, name, words) => {
      const scene = await Scene.open(operator, name);
      await scene.kubectl(words(scene.leaseName));
      expect(await scene.putRight('LeaseUnusable')).toBe('still held');
      expectGrowing(await scene.handOver());
    });

    test('a label of somebody else: no write, no Event, and it stays', async () => {
      const scene = await Scene.open(operator, 'labelled');
      await scene.kubectl(['label', 'lease', scene.leaseName, 'example.com/team=blue']);
      const version = (await scene.record())?.version;
      // A change that is noticed is put right long before another lock's has been.
      const other = await Scene.open(operator, 'labelled-too');
      await other.kubectl(['delete', 'lease', other.leaseName]);
      expect(await other.putRight('LeaseUnusable')).toBe('still held');
      expect((await scene.record())?.version).toBe(version);
      expect(await scene.events()).toEqual([]);
      expectGrowing(await scene.handOver());
      const lease = await kube.leases.get(APP, scene.leaseName);
      expect(lease?.metadata.labels?.['example.com/team']).toBe('blue');
    });

    test('a saved Lease of an earlier hold replaces it: the shard is taken anew, the holder keeps the lock', async () => {
      const scene = await Scene.open(operator, 'replaced');
      const saved = JSON.parse(await scene.kubectl(['get', 'lease', scene.leaseName, '-o', 'json'])) as {
        metadata: { resourceVersion?: string };
      };
      expectGrowing(await scene.handOver());
      const second = await scene.bob;
      delete saved.metadata.resourceVersion;
      await scene.kubectl(['replace', '-f', '-'], JSON.stringify(saved));
      await waitFor(async () => ((await scene.record())?.counter ?? 0) >= Number(second.fencingToken), {
        what: 'record',
      });
      await waitFor(async () => (await scene.events()).includes('LeaseRestored'), { what: 'Event LeaseRestored' });
      const carol = operator.client('pod-c');
      await expect(carol.acquire(scene.name, {}, now())).rejects.toMatchObject({ code: 'LOCK_HELD' });
    });

    test('somebody else\u2019s Lease takes its place: never written, and the lock shows that it is not ready', async () => {
      const scene = await Scene.open(operator, 'foreign');
      // After two repairs the next one is not made at once: there is time to be faster.
      for (let repairs = 0; repairs < 2; repairs++) {
        await scene.kubectl(['delete', 'lease', scene.leaseName]);
        expect(await scene.putRight('LeaseUnusable')).toBe('still held');
      }
      const theirs = { metadata: { namespace: APP, name: scene.leaseName }, spec: { holderIdentity: 'app' } };
      const version = (await scene.record())?.version ?? '';
      await kube.leases.delete(APP, scene.leaseName, version);
      await kube.leases.create(theirs);
      await waitFor(async () => (await scene.ready()) === 'LeaseUnusable', { what: 'Ready=LeaseUnusable' });
      expect((await kube.leases.get(APP, scene.leaseName))?.spec.holderIdentity).toBe('app');
      expect(scene.granted).toBe(false);
      await scene.kubectl(['delete', 'lease', scene.leaseName]);
      await waitFor(async () => (await scene.ready()) === 'Serving', { what: 'Ready=Serving', timeoutMs: 40_000 });
      expectGrowing(await scene.handOver());
    });

    test('the Lease of a shard edited and deleted: written again, its owner stays', async () => {
      const scene = await Scene.open(operator, 'sharded');
      const name = shardLeaseName(shardOf(`${APP}/sharded`));
      const read = async () => {
        const lease = await kube.leases.get(SYSTEM, name);
        const decoded = lease && decodeShardLease(lease);
        return decoded?.kind === 'shard' ? decoded : undefined;
      };
      const before = await read();
      await kube.kubectl(['--namespace', SYSTEM, 'patch', 'lease', name, ...annotation('fencing-counter', '7')]);
      await waitFor(read, { what: 'readable Lease of the shard' });
      await kube.kubectl(['--namespace', SYSTEM, 'delete', 'lease', name]);
      const after = await waitFor(read, { what: 'Lease of the shard' });
      expect(after).toMatchObject({ incarnation: before?.incarnation, record: { epoch: before?.record.epoch } });
      expectGrowing(await scene.handOver());
    });

    test('the Lease of the member deleted: the next incarnation has every hold', async () => {
      const scene = await Scene.open(operator, 'orphan');
      const members = async () => {
        const query = { namespace: SYSTEM, labelSelector: 'lockkeeper.dev/member' };
        return (await kube.leases.list(query)).items.map(({ metadata }) => metadata.name);
      };
      const before = await members();
      await kube.kubectl(['--namespace', SYSTEM, 'delete', 'lease', '-l', 'lockkeeper.dev/member']);
      await waitFor(async () => (await members()).length > 0, { what: 'new incarnation' });
      expect(await members()).not.toEqual(before);
      await waitFor(() => operator.server.notReadyReason() === undefined, { what: 'owner of every shard' });
      expectGrowing(await scene.handOver());
    });

    test('the namespace deleted under a held lock: the hold lives to its end, nobody else gets it', async () => {
      await kube.kubectl(['create', 'namespace', 'doomed']);
      const scene = await Scene.open(operator, 'homeless', 'doomed');
      await kube.kubectl(['delete', 'namespace', 'doomed', '--wait=false']);
      // What the controller of namespaces does, which this control plane has not.
      await scene.kubectl(['delete', 'locks', '--all']);
      await scene.kubectl(['delete', 'leases', '--all']);
      await expect(scene.bob).rejects.toMatchObject({ code: 'LOCK_NOT_FOUND' });
      const named = { fencingToken: scene.held.fencingToken, namespace: 'doomed' };
      expect(await scene.alice.renew('homeless', named, now())).toMatchObject({ fencingToken: named.fencingToken });
      expect(await scene.alice.release('homeless', named, now())).toMatchObject({ released: true });
      expect(operator.server.notReadyReason()).toBeUndefined();
    });
  });
}

describeHands('at the embedded API', embeddedKube);

describe('a real API server', () => {
  let controlPlane: ControlPlane;

  beforeAll(async () => {
    controlPlane = await startControlPlane();
  });

  afterAll(() => controlPlane?.[Symbol.asyncDispose]());

  describeHands('at a real API server', () => realKube(controlPlane));

  test('etcd put back to an older state under a running operator: whoever was granted the lock since keeps it', async () => {
    await using kube = await realKube(controlPlane);
    await using operator = await Operator.start(kube);
    const scene = await Scene.open(operator, 'restored', APP, 300_000);
    const idle = await Scene.open(operator, 'restored-idle', APP, 300_000);
    const backup = controlPlane.snapshot();
    expectGrowing(await scene.handOver());
    expectGrowing(await idle.handOver());
    const [second, last] = [await scene.bob, await idle.bob];
    await idle.client.release(idle.name, { fencingToken: last.fencingToken }, now());
    await controlPlane.restore(backup);
    // No request: the renewals of authority alone have to notice.
    await waitFor(
      async () => (await scene.record())?.holders.some(({ token }) => String(token) === second.fencingToken),
      {
        what: 'record of the holder that the backup does not name',
      },
    );
    await waitFor(async () => (await scene.events()).includes('LeaseRestored'), { what: 'Event LeaseRestored' });
    const carol = operator.client('pod-c');
    await expect(carol.acquire(scene.name, {}, now())).rejects.toMatchObject({ code: 'LOCK_HELD' });
    const named = { fencingToken: second.fencingToken };
    await waitFor(() => scene.client.renew(scene.name, named, now()).catch(() => undefined), { what: 'renewal' });
    await waitFor(() => scene.client.release(scene.name, named, now()).catch(() => undefined), { what: 'release' });
    // The backup's record of a holder costs time, and is ended here by force.
    for (const { name } of [scene, idle]) {
      await carol.forceRelease(name, { reason: 'held in the backup only' }, now());
      const next = await waitFor(() => carol.acquire(name, { timeoutMs: 5_000 }, now()).catch(() => undefined), {
        what: `grant of ${name}`,
      });
      expect(Number(next.fencingToken)).toBeGreaterThan(Number((name === scene.name ? second : last).fencingToken));
    }
  }, 180_000);
});
