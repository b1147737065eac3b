/** A lock in use, on which a hand is laid. */
import type { Hold } from '../../../src/api/responses.ts';
import { DISTRIBUTED_LOCKS, EVENTS } from '../../../src/kube/kube-object.ts';
import { decodeLockLease } from '../../../src/server/lease-codec.ts';
import type { LocalLocks } from '../../../src/sidecar/session/local-locks.ts';
import { waitFor } from '../../support/wait.ts';
import { APP, type Kube, now, type Operator } from './operator.ts';

/** One lock that alice holds and bob waits for, under a name of its own. */
export class Scene {
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
    const lease = await this.#kube.leases.get(this.namespace, this.leaseName);
    const decoded = lease && decodeLockLease(lease);
    return decoded?.kind === 'lock' ? { ...decoded.record, version: decoded.version } : undefined;
  }

  async events(): Promise<string[]> {
    const { items } = await this.#kube.objects.list(EVENTS, { namespace: this.namespace });
    return items.flatMap((event) => {
      const about = event['involvedObject'] as { readonly name: string };
      return about.name === this.name ? [String(event['reason'])] : [];
    });
  }

  async ready(): Promise<string | undefined> {
    const object = await this.#kube.objects.get(DISTRIBUTED_LOCKS, this.namespace, this.name);
    const status = object?.['status'] as { conditions?: { type: string; reason: string }[] } | undefined;
    return status?.conditions?.find(({ type }) => type === 'Ready')?.reason;
  }

  /** Resolves once the record names alice under her token again and an Event tells why; says whether bob still waits. */
  async putRight(reason: 'LeaseUnusable' | 'LeaseRestored'): Promise<'still held' | 'granted to somebody else'> {
    await waitFor(
      async () => (await this.record())?.holders.some(({ token }) => String(token) === this.held.fencingToken),
      {
        what: 'record of the holder',
      },
    );
    await waitFor(async () => (await this.events()).includes(reason), { what: `Event ${reason}` });
    return this.granted ? 'granted to somebody else' : 'still held';
  }

  /**
   * Alice renews and gives the lock back, which bob is then granted. Answers with their tokens and with the counter on record, each
   * of which must not be lower than the one before.
   */
  async handOver(): Promise<{ readonly first: number; readonly second: number; readonly recorded: number }> {
    const { name, held } = this;
    const named = { fencingToken: held.fencingToken };
    await waitFor(() => this.alice.renew(name, named, now()).catch(() => undefined), { what: 'renewal of the hold' });
    await waitFor(() => this.alice.release(name, named, now()).catch(() => undefined), { what: 'release of the hold' });
    const { fencingToken } = await this.bob;
    const recorded = (await this.record())?.counter ?? 0;
    return { first: Number(held.fencingToken), second: Number(fencingToken), recorded };
  }
}

function lockManifest(name: string): string {
  return JSON.stringify({ apiVersion: 'lockkeeper.dev/v1alpha1', kind: 'DistributedLock', metadata: { name } });
}
