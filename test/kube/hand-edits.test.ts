/**
 * Goal: whatever somebody does with `kubectl` to the Leases under a running operator, it is noticed without any request, told by
 * an Event, put right, and never leads to two valid holds or a token that comes twice. Method: the lock server and its
 * controllers in this process, real `kubectl`, a lock that one client holds and another waits for; the same cases on the embedded
 * API and on a real API server of its own, whose etcd is also put back to an older state.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdirSync } from 'node:fs';
import { shardOf } from '../../src/api/shard-hash.ts';
import type { Hold } from '../../src/api/responses.ts';
import { type Controllers, startControllers } from '../../src/controller/controllers.ts';
import { ServerLockAuthority } from '../../src/operator/lock-authority.ts';
import { openCluster } from '../../src/kube/cluster/cluster.ts';
import { DISTRIBUTED_LOCKS, EVENTS } from '../../src/kube/kube-object.ts';
import type { LeaseStore } from '../../src/kube/lease-store.ts';
import type { ObjectStore } from '../../src/kube/object-store.ts';
import { decodeLockLease, decodeShardLease, shardLeaseName } from '../../src/server/lease-codec.ts';
import { LockServer } from '../../src/server/lock-server.ts';
import { type LocalLocks, openLocalLocks } from '../../src/sidecar/session/local-locks.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { systemRandom } from '../../src/system/random.ts';
import { systemTimers } from '../../src/system/timers.ts';
import { EmbeddedKube } from '../support/embedded-kube.ts';
import { type ControlPlane, startControlPlane } from './control-plane/control-plane.ts';
import { waitFor } from './control-plane/wait.ts';

const system = { clock: systemClock(), timers: systemTimers(), random: systemRandom(), log: silentLog };
const SYSTEM = 'lockkeeper-system';
const APP = 'shop';

interface Kube extends AsyncDisposable {
  readonly leases: LeaseStore;
  readonly authorityLeases: LeaseStore;
  readonly objects: ObjectStore;
  kubectl(words: readonly string[], input?: string): Promise<{ exitCode: number; out: string; error: string }>;
}

async function embeddedKube(): Promise<Kube> {
  const kube = await EmbeddedKube.open();
  return {
    leases: kube.store.leases,
    authorityLeases: kube.store.leases,
    objects: kube.store,
    kubectl: (words, input) => kube.kubectl(words, input),
    [Symbol.asyncDispose]: () => kube[Symbol.asyncDispose](),
  };
}

async function realKube(controlPlane: ControlPlane): Promise<Kube> {
  const { kubeconfigPath } = controlPlane;
  const cluster = await openCluster({ kubeconfigPath, userAgent: 'hand-edits-test', ...system });
  return {
    leases: cluster.leases,
    authorityLeases: cluster.authorityLeases,
    objects: cluster.objects,
    kubectl: (words, input) => controlPlane.kubectl(words, input),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

/** An operator on an API, and its clients. */
class Operator implements AsyncDisposable {
  readonly kube: Kube;
  readonly server: LockServer;
  readonly #authority: ServerLockAuthority;
  readonly #controllers: Controllers;
  readonly #clients: LocalLocks[] = [];

  private constructor(kube: Kube, server: LockServer, authority: ServerLockAuthority, controllers: Controllers) {
    this.kube = kube;
    this.server = server;
    this.#authority = authority;
    this.#controllers = controllers;
  }

  static async start(kube: Kube): Promise<Operator> {
    const server = await LockServer.start({
      store: kube.leases,
      authorityStore: kube.authorityLeases,
      namespace: SYSTEM,
      podName: 'operator-0',
      isKnownDead: () => true,
      onFatal: (error) => {
        throw error;
      },
      ...system,
    });
    const authority = new ServerLockAuthority(server);
    const options = { store: kube.objects, leases: kube.leases, authority, instance: 'operator-0', ...system };
    const operator = new Operator(kube, server, authority, startControllers(options));
    await waitFor(() => operator.#controllers.synced, { what: 'synced controllers' });
    return operator;
  }

  client(principal: string): LocalLocks {
    const locks = openLocalLocks({
      openTransport: (listener) => this.server.connect(principal, listener),
      namespace: APP,
      principal,
      ...system,
    });
    this.#clients.push(locks);
    return locks;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close('goodbye');
    await this.#controllers[Symbol.asyncDispose]();
    this.#authority[Symbol.dispose]();
    await this.server[Symbol.asyncDispose]();
  }
}

const now = () => ({ signal: new AbortController().signal, receivedAtMs: system.clock.monotonicMs() });

/** One lock that alice holds and bob waits for, under a name of its own. */
class Scene {
  readonly name: string;
  readonly namespace: string;
  readonly leaseName: string;
  readonly operator: Operator;
  readonly alice: LocalLocks;
  readonly #kube: Kube;
  held!: Hold;
  /** Bob's. */
  client!: LocalLocks;
  bob!: Promise<Hold>;
  /** Whether bob was granted. */
  granted = false;

  private constructor(operator: Operator, name: string, namespace: string) {
    this.operator = operator;
    this.namespace = namespace;
    this.#kube = operator.kube;
    this.name = name;
    this.leaseName = `lock-${name}`;
    this.alice = operator.client('pod-a');
  }

  static async open(operator: Operator, name: string, namespace = APP, ttlMs = 60_000): Promise<Scene> {
    const scene = new Scene(operator, name, namespace);
    await scene.kubectl(['apply', '-f', '-'], lockManifest(name));
    await waitFor(() => operator.server.hasRules('lock', `${namespace}/${name}`), { what: `rules of ${name}` });
    scene.held = await scene.alice.acquire(name, { ttlMs, namespace }, now());
    scene.client = operator.client('pod-b');
    scene.bob = scene.client.acquire(name, { ttlMs, timeoutMs: 120_000, namespace }, now());
    void scene.bob.then(
      () => (scene.granted = true),
      () => {},
    );
    return scene;
  }

  async kubectl(words: readonly string[], input?: string): Promise<string> {
    const told = await this.#kube.kubectl(['--namespace', this.namespace, ...words], input);
    if (told.exitCode !== 0) throw new Error(`kubectl ${words.join(' ')}: ${told.error}`);
    return told.out;
  }

  /** The lock's record; `undefined` if there is none that can be trusted. */
  async record() {
    const lease = await this.#kube.leases.get(APP, this.leaseName);
    const decoded = lease && decodeLockLease(lease);
    return decoded?.kind === 'lock' ? { ...decoded.record, version: decoded.version } : undefined;
  }

  async events(): Promise<string[]> {
    const { items } = await this.#kube.objects.list(EVENTS, { namespace: APP });
    return items.flatMap((event) => {
      const about = event['involvedObject'] as { readonly name: string };
      return about.name === this.name ? [String(event['reason'])] : [];
    });
  }

  async ready(): Promise<string | undefined> {
    const object = await this.#kube.objects.get(DISTRIBUTED_LOCKS, APP, this.name);
    const status = object?.['status'] as { conditions?: { type: string; reason: string }[] } | undefined;
    return status?.conditions?.find(({ type }) => type === 'Ready')?.reason;
  }

  /** The record names alice under her token again, an Event tells why, and bob still waits. */
  async isPutRight(reason: 'LeaseUnusable' | 'LeaseRestored'): Promise<void> {
    await waitFor(
      async () => (await this.record())?.holders.some(({ token }) => String(token) === this.held.fencingToken),
      {
        what: 'record of the holder',
      },
    );
    await waitFor(async () => (await this.events()).includes(reason), { what: `Event ${reason}` });
    expect(this.granted).toBe(false);
  }

  /** Alice's hold is still good; once she gives it back bob gets the lock, under a higher token. */
  async endsWell(): Promise<void> {
    const { name, held } = this;
    await waitFor(() => this.alice.renew(name, { fencingToken: held.fencingToken }, now()).catch(() => undefined), {
      what: 'renewal of the hold',
    });
    await waitFor(() => this.alice.release(name, { fencingToken: held.fencingToken }, now()).catch(() => undefined), {
      what: 'release of the hold',
    });
    expect(Number((await this.bob).fencingToken)).toBeGreaterThan(Number(held.fencingToken));
    // The write of a release that was acknowledged may be under way; a grant is on record when it is told.
    expect((await this.record())?.counter).toBeGreaterThanOrEqual(Number((await this.bob).fencingToken));
  }
}

function lockManifest(name: string): string {
  return JSON.stringify({ apiVersion: 'lockkeeper.dev/v1alpha1', kind: 'DistributedLock', metadata: { name } });
}

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

function describeHands(what: string, open: () => Promise<Kube>): void {
  describe(what, () => {
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
      await scene.isPutRight('LeaseUnusable');
      await scene.endsWell();
    });

    test('a label of somebody else: no write, no Event, and it stays', async () => {
      const scene = await Scene.open(operator, 'labelled');
      await scene.kubectl(['label', 'lease', scene.leaseName, 'example.com/team=blue']);
      const version = (await scene.record())?.version;
      // A change that is noticed is put right long before another lock's has been.
      const other = await Scene.open(operator, 'labelled-too');
      await other.kubectl(['delete', 'lease', other.leaseName]);
      await other.isPutRight('LeaseUnusable');
      expect((await scene.record())?.version).toBe(version);
      expect(await scene.events()).toEqual([]);
      await scene.endsWell();
      const lease = await kube.leases.get(APP, scene.leaseName);
      expect(lease?.metadata.labels?.['example.com/team']).toBe('blue');
    });

    test('a saved Lease of an earlier hold replaces it: the shard is taken anew, the holder keeps the lock', async () => {
      const scene = await Scene.open(operator, 'replaced');
      const saved = JSON.parse(await scene.kubectl(['get', 'lease', scene.leaseName, '-o', 'json'])) as {
        metadata: { resourceVersion?: string };
      };
      await scene.endsWell();
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
        await scene.isPutRight('LeaseUnusable');
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
      await scene.endsWell();
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
      await scene.endsWell();
    });

    test('the Lease of the member deleted: the next incarnation has every hold', async () => {
      const scene = await Scene.open(operator, 'orphan');
      await kube.kubectl(['--namespace', SYSTEM, 'delete', 'lease', '-l', 'lockkeeper.dev/member']);
      const query = { namespace: SYSTEM, labelSelector: 'lockkeeper.dev/member' };
      await waitFor(async () => (await kube.leases.list(query)).items.length > 0, { what: 'new incarnation' });
      await waitFor(() => operator.server.notReadyReason() === undefined, { what: 'owner of every shard' });
      await scene.endsWell();
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

describeHands('on the embedded API', embeddedKube);

describe('a real API server', () => {
  let controlPlane: ControlPlane;

  beforeAll(async () => {
    controlPlane = await startControlPlane();
  });

  afterAll(() => controlPlane?.[Symbol.asyncDispose]());

  describeHands('on a real API server', () => realKube(controlPlane));

  test('etcd put back to an older state under a running operator: whoever was granted the lock since keeps it', async () => {
    await using kube = await realKube(controlPlane);
    await using operator = await Operator.start(kube);
    const scene = await Scene.open(operator, 'restored', APP, 300_000);
    const idle = await Scene.open(operator, 'restored-idle', APP, 300_000);
    const backup = controlPlane.snapshot();
    await scene.endsWell();
    await idle.endsWell();
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
