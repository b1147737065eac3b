/**
 * Goal: a second server waits for the first one's shards no longer than safety asks for, says what it waits for, and can be stopped
 * meanwhile. Method: two servers on one in-memory store, each a process of its own on virtual time, so that one can be killed.
 */
import { describe, expect, it } from '@jest/globals';
import type { LeaseStore } from '../../../src/kube/lease-store.ts';
import { LockServer } from '../../../src/server/lock-server.ts';
import { silentLog } from '../../../src/system/logger.ts';
import type { VirtualProcess } from '../../../src/system/virtual-process.ts';
import { ServerWorld } from '../../support/server-world.ts';

interface Replica {
  readonly server: LockServer;
  readonly process: VirtualProcess;
}

/** Two replicas: `first` owns the shards, `second` has waited for `waitedMs`. */
class Pair {
  readonly world = new ServerWorld();
  readonly first: Replica;
  readonly second: Replica;

  private constructor(storeOfSecond: (store: LeaseStore) => LeaseStore) {
    this.first = this.#replica('operator-0', this.world.leases);
    this.second = this.#replica('operator-1', storeOfSecond(this.world.leases));
  }

  static async open(waitedMs: number, storeOfSecond = (store: LeaseStore) => store): Promise<Pair> {
    const pair = new Pair(storeOfSecond);
    void pair.first.server.serve();
    await pair.world.time.runBy(1_000);
    void pair.second.server.serve();
    await pair.world.time.runBy(waitedMs);
    return pair;
  }

  /** True time until the second one serves, in ms, exact to 10. */
  async untilSecondServes(): Promise<number> {
    const { time } = this.world;
    const startMs = time.world.nowMs;
    while (this.second.server.notReadyReason() !== undefined && time.world.nowMs - startMs < 60_000)
      await time.runBy(10);
    return time.world.nowMs - startMs;
  }

  async membersOf(podName: string): Promise<(string | undefined)[]> {
    const { items } = await this.world.leases.list({ labelSelector: `lockkeeper.dev/member=${podName}` });
    return items.map(({ spec }) => spec.holderIdentity);
  }

  #replica(podName: string, store: LeaseStore): Replica {
    const { world, random } = { world: this.world.time.world, random: this.world.random };
    const process = world.process();
    const server = LockServer.create({
      ...{ store, namespace: 'lockkeeper-system', podName, clock: process, timers: process, random, log: silentLog },
      onFatal: (error) => {
        throw error;
      },
    });
    return { server, process };
  }
}

/** The same store, whose watches never tell anything. */
const withoutEvents = (store: LeaseStore): LeaseStore => ({
  get: (...call) => store.get(...call),
  list: (...call) => store.list(...call),
  create: (...call) => store.create(...call),
  update: (...call) => store.update(...call),
  delete: (...call) => store.delete(...call),
  watch: () => ({ [Symbol.dispose]: () => {} }),
});

describe('a server that stands by', () => {
  it('says whose shards it waits for, and never takes them while that one renews', async () => {
    const pair = await Pair.open(120_000);
    const [incarnation] = await pair.membersOf('operator-0');
    expect(pair.second.server.notReadyReason()).toBe(
      `this process stands by: ${incarnation} owns the shards, and has to leave or to be silent for 6 s`,
    );
    expect(pair.first.server.notReadyReason()).toBeUndefined();
  });

  it.each([10_000, 11_700, 13_100, 14_990, 17_350])(
    'serves 6 s after the last renewal of an owner that was killed, whenever that is (after %i ms)',
    async (waitedMs) => {
      const pair = await Pair.open(waitedMs);
      pair.world.time.world.end(pair.first.process);
      const tookMs = await pair.untilSecondServes();
      expect(tookMs).toBeLessThanOrEqual(6_100);
      expect(tookMs).toBeGreaterThan(3_900);
    },
  );

  it('serves at once when the owner leaves', async () => {
    const pair = await Pair.open(13_000);
    const left = pair.first.server[Symbol.asyncDispose]();
    expect(await pair.untilSecondServes()).toBeLessThanOrEqual(100);
    await left;
  });

  it('takes over all the same where no watch tells anything, only later', async () => {
    const pair = await Pair.open(13_000, withoutEvents);
    pair.world.time.world.end(pair.first.process);
    const tookMs = await pair.untilSecondServes();
    expect(tookMs).toBeGreaterThan(3_900);
    expect(tookMs).toBeLessThanOrEqual(12_100);
  });

  it('can be stopped: it leaves, and its wait is over', async () => {
    const pair = await Pair.open(13_000);
    const stopped = pair.second.server[Symbol.asyncDispose]();
    await pair.world.time.runBy(10);
    await stopped;
    expect(await pair.membersOf('operator-1')).toEqual([undefined]);
    expect(pair.second.server.notReadyReason()).toBe('this process is shutting down');
    await pair.world.time.runBy(30_000);
    expect(pair.first.server.notReadyReason()).toBeUndefined();
  });
});
