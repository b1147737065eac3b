/** The lock server and its controllers in the test's own process, on an API of either kind. */
import { type Controllers, startControllers } from '../../../src/controller/controllers.ts';
import { openCluster } from '../../../src/kube/cluster/cluster.ts';
import type { LeaseStore } from '../../../src/kube/lease-store.ts';
import type { ObjectStore } from '../../../src/kube/object-store.ts';
import { ServerLockAuthority } from '../../../src/operator/lock-authority.ts';
import { LockServer } from '../../../src/server/lock-server.ts';
import { type LocalLocks, openLocalLocks } from '../../../src/sidecar/session/local-locks.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { silentLog } from '../../../src/system/logger.ts';
import { systemRandom } from '../../../src/system/random.ts';
import { systemTimers } from '../../../src/system/timers.ts';
import { EmbeddedKube } from '../../support/embedded-kube.ts';
import type { ControlPlane } from '../control-plane/control-plane.ts';
import { waitFor } from '../../support/wait.ts';

const system = { clock: systemClock(), timers: systemTimers(), random: systemRandom(), log: silentLog };
/** Namespace of the operator. */
export const SYSTEM = 'lockkeeper-system';
/** Namespace of the locks. */
export const APP = 'shop';

/** Context of a call that is made now and not cancelled. */
export const now = () => ({ signal: new AbortController().signal, receivedAtMs: system.clock.monotonicMs() });

export interface Kube extends AsyncDisposable {
  readonly leases: LeaseStore;
  readonly authorityLeases: LeaseStore;
  readonly objects: ObjectStore;
  kubectl(words: readonly string[], input?: string): Promise<{ exitCode: number; out: string; error: string }>;
}

export async function embeddedKube(): Promise<Kube> {
  const kube = await EmbeddedKube.open();
  return {
    leases: kube.store.leases,
    authorityLeases: kube.store.leases,
    objects: kube.store,
    kubectl: (words, input) => kube.kubectl(words, input),
    [Symbol.asyncDispose]: () => kube[Symbol.asyncDispose](),
  };
}

export async function realKube(controlPlane: ControlPlane): Promise<Kube> {
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
export class Operator implements AsyncDisposable {
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
