/** One process of a pod's sidecar: the production session client on a link, and the local calls that are under way in it. */
import { LockkeeperError } from '../../../src/api/codes.ts';
import { type LocalLocks, openLocalLocks } from '../../../src/sidecar/session/local-locks.ts';
import { silentLog } from '../../../src/system/logger.ts';
import type { VirtualProcess } from '../../../src/system/virtual-process.ts';
import type { Pod } from './pod.ts';
import { PodTransport } from './pod-transport.ts';

export interface SidecarStart {
  readonly slot: number;
  /** An earlier process's holds are still to be declared. */
  readonly awaitsSaved: boolean;
}

/** A local connection with a request under way. */
export interface LocalConnection {
  /** Aborted when the sidecar finds it closed. */
  readonly hungUp: AbortController;
  /** The application finds it closed. */
  readonly onCut: () => void;
  /** The sidecar closes it in good order: what was bound to it ends with it, whenever the application hears of that. */
  readonly onClosed: () => void;
}

export class SidecarLife {
  readonly process: VirtualProcess;
  readonly slot: number;
  readonly locks: LocalLocks;
  /** Local connections that are open. */
  readonly #open = new Set<LocalConnection>();
  #transport: PodTransport | undefined;
  isOver = false;

  constructor(pod: Pod, number: number, { slot, awaitsSaved }: SidecarStart) {
    const { simulation, planned } = pod;
    const chance = simulation.chance(`${pod.name}.sidecar${number}`);
    this.slot = slot;
    this.process = simulation.world.process({ rate: planned.rate, monotonicMs: chance.between(0, 100_000) });
    this.process.stepWall(pod.wallOffMs);
    const { process } = this;
    const id = simulation.nextSessionId();
    simulation.history.note(pod.name, `opens session ${id}, sidecar ${number}${awaitsSaved ? ', to restore' : ''}`);
    this.locks = openLocalLocks({
      openTransport: (listener) => {
        const { name, principal } = pod;
        this.#transport = new PodTransport({ simulation, name, principal, process, chance, id, slot, listener });
        return this.#transport;
      },
      clock: process,
      timers: process,
      random: chance.random,
      log: silentLog,
      namespace: 'shop',
      principal: pod.principal,
      awaitsSaved,
      shardCount: simulation.plan.shardCount,
    });
  }

  get transport(): PodTransport | undefined {
    return this.#transport;
  }

  /** Until the answer is disposed the connection is closed with the process, or before it stops. */
  opened(connection: LocalConnection): Disposable {
    this.#open.add(connection);
    return { [Symbol.dispose]: () => this.#open.delete(connection) };
  }

  /** Ends every local connection in good order, as a process does that stops. */
  closeConnections(): void {
    for (const { hungUp, onCut, onClosed } of [...this.#open]) {
      onClosed();
      hungUp.abort();
      onCut();
    }
    this.#open.clear();
  }

  /** The process is gone: nothing is answered any more. */
  end(pod: Pod): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#transport?.processGone();
    pod.simulation.world.end(this.process);
    for (const { onCut } of [...this.#open]) onCut();
    this.#open.clear();
  }
}

/** What a call that was cut off is rejected with, as by a reset connection. */
export function cutOff(): LockkeeperError {
  return new LockkeeperError('UNAVAILABLE', 'The local connection was reset.', { reason: 'cutOff' });
}
