/**
 * Goal: whatever the network and the API server do to the operator's requests, no promise is broken, nothing is lost, every wait
 * ends, and locks are granted again once it is over. Method: 100 clients fight over 12 locks while the fault proxy harms the
 * operator's requests in one way after the other; after each, everything that was seen until then is judged.
 *
 * `KILL_SEED=N` lets the clients draw the same turns again.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../../src/system/random.ts';
import { type Fault, type RequestMatch, watchesOf, writesOf } from '../fault-proxy/faults.ts';
import { describeOnOwnControlPlane } from '../own-control-plane.ts';
import { Scene } from './scene.ts';

const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(Math.random() * 1_000_000));
const random = seededRandom(SEED);

let scene: Scene;

/** A share of the requests that fit. */
function some(share: number, match: RequestMatch): RequestMatch {
  return { ...match, where: (request) => match.where?.(request) !== false && random.fraction() < share };
}

/** Writes of the Leases of locks, which grants wait for. */
const lockLeases: RequestMatch = {
  ...writesOf('leases'),
  where: (request) => scene.attempts.of(request) !== undefined,
};
/** Those, and the operator's own: its life and its shards. */
const leases = writesOf('leases');

/** Harms requests until the fault was met so often, and sees that grants go on afterwards. */
async function under(match: RequestMatch, fault: Fault, times: number): Promise<string[]> {
  await scene.grants(10, performance.now());
  {
    using injected = scene.proxy.inject(match, fault);
    await met(() => injected.hits >= times);
  }
  return recovered();
}

async function met(isEnough: () => boolean): Promise<void> {
  while (!isEnough()) await pause(20);
}

/** What was broken, once grants go on. */
async function recovered(): Promise<string[]> {
  scene.proxy.clear();
  await scene.grants(50, performance.now());
  return scene.judgeSoFar({ destroyedAtMs: [], answersLost: true });
}

const PATIENCE_MS = 120_000;

describeOnOwnControlPlane(`faults (KILL_SEED=${SEED})`, () => {
  beforeAll(async () => {
    scene = await Scene.open({ seed: SEED, clients: 100, locks: 12 });
  }, 300_000);

  afterAll(async () => {
    await scene?.[Symbol.asyncDispose]();
  }, 60_000);

  describe('a request', () => {
    it.each<[string, RequestMatch, Fault, number]>([
      ['is late', leases, { kind: 'delay', ms: 400 }, 30],
      ['has a late answer', leases, { kind: 'delayAnswer', ms: 400 }, 30],
      ['is reset before it arrives', some(0.5, leases), { kind: 'resetBeforeForwarding' }, 40],
      ['is reset after it landed', some(0.5, leases), { kind: 'resetAfterForwarding' }, 40],
      ['is told of a conflict that is none', some(0.3, leases), { kind: 'answer', status: 409 }, 30],
      ['meets too many others', some(0.5, leases), { kind: 'answer', status: 429, retryAfterSeconds: 1 }, 30],
      ['meets a failing server', some(0.5, leases), { kind: 'answer', status: 500 }, 40],
      ['is lost', some(0.1, lockLeases), { kind: 'swallow' }, 5],
      ['lands and is never answered', some(0.1, lockLeases), { kind: 'landUnanswered' }, 5],
      ['lands late', some(0.1, lockLeases), { kind: 'landLate', ms: 7_000 }, 5],
    ])(
      '%s',
      async (_, match, fault, times) => {
        expect(await under(match, fault, times)).toEqual([]);
      },
      PATIENCE_MS,
    );
  });

  describe('a watch', () => {
    it.each<[string, Fault]>([
      ['is cut', { kind: 'cutWatch' }],
      ['ends in order', { kind: 'endWatch' }],
      ['is told that its version is gone', { kind: 'expireWatch' }],
      ['falls silent', { kind: 'stallWatch' }],
    ])(
      '%s',
      async (_, fault) => {
        // Those that are open end with their connections; every one that follows meets the fault.
        const faults = ['leases', 'distributedlocks'].map((resource) => scene.proxy.inject(watchesOf(resource), fault));
        scene.proxy.resetConnections();
        await met(
          () =>
            faults.some(({ hits }) => hits >= 2) ||
            (fault.kind === 'stallWatch' && faults.some(({ hits }) => hits > 0)),
        );
        await scene.grants(30, performance.now());
        expect(await recovered()).toEqual([]);
      },
      PATIENCE_MS,
    );
  });

  describe('the network', () => {
    it.each<[string, number]>([
      ['less than the operator lives without it', 3_000],
      ['longer', 12_000],
    ])(
      'is dead for %s: nobody is told, connections stay open, and no byte passes',
      async (_, lastsMs) => {
        await scene.grants(10, performance.now());
        scene.proxy.swallowEverything();
        await pause(lastsMs);
        expect(await recovered()).toEqual([]);
      },
      PATIENCE_MS,
    );

    it(
      'resets every connection',
      async () => {
        for (let time = 0; time < 5; time += 1) {
          await scene.grants(10, performance.now());
          scene.proxy.resetConnections();
        }
        expect(await recovered()).toEqual([]);
      },
      PATIENCE_MS,
    );
  });

  it(
    'at the end every lock can be taken, nothing is left over, and the audit log agrees',
    async () => {
      expect(await scene.judge({ destroyedAtMs: [], answersLost: true })).toEqual([]);
    },
    PATIENCE_MS,
  );
});
