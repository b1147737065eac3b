/**
 * Goal: `npm start -- --data DIR` may be killed at any moment: every acknowledged grant of a lock is remembered, its holder
 * gets its whole time after the restart, and every token given later is above every one given before. Method: real processes,
 * load over HTTP from many callers, kill -9 while it runs, restart on the same directory.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { DevProcess } from '../support/dev-process.ts';

const ROUNDS = Number(process.env['CRASH_ROUNDS'] ?? 4);
const TTL_MS = 2_000;
const LOCKS = ['lock-0', 'lock-1', 'lock-2', 'lock-3', 'lock-4', 'lock-5', 'default/a', 'default/b'];

interface Known {
  /** Highest token that anybody was told. */
  highest: bigint;
  /** Token that was told and not given back. */
  held: bigint | undefined;
}

/** Callers that take and release one lock each, until the process is gone. Resolves when all have seen it go. */
async function load(server: DevProcess, known: Map<string, Known>, grants: { count: number }): Promise<void> {
  const callers = LOCKS.flatMap((lock) => [lock, lock, lock]).map(async (lock, index) => {
    const state = known.get(lock) as Known;
    for (;;) {
      try {
        const request = { ownerId: `caller-${index}`, ttlMs: TTL_MS, timeoutMs: 1_000 };
        const { status, body } = await server.post(`/v1/locks/${lock}:acquire`, request);
        if (status !== 200) continue;
        grants.count++;
        const token = BigInt(body['fencingToken'] as string);
        expect(token).toBeGreaterThan(state.highest);
        state.highest = token;
        state.held = token;
        // From here on a release may or may not be on record when the crash comes: the hold is no longer surely there.
        if (index % 3 === 0) state.held = undefined;
        await server.post(`/v1/locks/${lock}:release`, { fencingToken: String(token) });
        if (state.held === token) state.held = undefined;
      } catch (error) {
        if ((error as Error).name === 'TypeError') return; // The connection is gone: that was the crash.
        throw error;
      }
    }
  });
  await Promise.all(callers);
}

it(
  `forgets nothing that it acknowledged, over ${ROUNDS} kills under load`,
  async () => {
    const directory = await mkdtemp(join(tmpdir(), 'lockkeeper-crash-'));
    const known = new Map<string, Known>(LOCKS.map((lock) => [lock, { highest: 0n, held: undefined }]));
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const server = await DevProcess.start(['--data', directory]);
        const grants = { count: 0 };
        const running = load(server, known, grants);
        const wanted = 150 + round * 37;
        while (grants.count < wanted) await new Promise<void>((resolve) => setImmediate(resolve));
        const keeper = await server.post('/v1/locks/kept:acquire', {
          ownerId: `keeper-${round}`,
          ttlMs: TTL_MS,
          timeoutMs: 10_000,
        });
        expect(keeper.status).toBe(200);
        const lent = await server.post('/v1/locks/lent:acquire', { ownerId: 'borrower', ttlMs: 60_000 });
        expect(lent.status).toBe(200);
        const key = await server.post(`/v1/locks/default/key-${round}:acquire`, { ownerId: 'keeper', ttlMs: TTL_MS });
        expect(key.status).toBe(200);
        await server.kill();
        await running;

        await using restarted = await DevProcess.start(['--data', directory]);
        const servesSince = performance.now();
        const refused = await restarted.post('/v1/locks/kept:acquire', { ownerId: 'thief' });
        expect(refused).toMatchObject({
          status: 423,
          body: { code: 'LOCK_HELD', details: { holders: [{ ownerId: `keeper-${round}` }] } },
        });
        const renewed = await restarted.post('/v1/locks/kept:renew', {
          fencingToken: keeper.body['fencingToken'],
          ownerId: `keeper-${round}`,
        });
        expect(renewed.status).toBe(200);
        const returned = await restarted.post('/v1/locks/lent:release', {
          fencingToken: lent.body['fencingToken'],
          ownerId: 'borrower',
        });
        expect(returned).toMatchObject({ status: 200, body: { released: true, depth: 0 } });
        // Whoever holds a key of a pool is not on record: nobody else gets any before the longest promise has run out.
        const early = await restarted.post(`/v1/locks/default/key-${round}:acquire`, { ownerId: 'thief' });
        expect(early).toMatchObject({ status: 503, body: { details: { reason: 'grace' } } });
        const next = await restarted.post('/v1/locks/kept:acquire', {
          ownerId: 'next',
          timeoutMs: 20_000,
          ttlMs: 1_000,
        });
        expect(next.status).toBe(200);
        expect(performance.now() - servesSince).toBeGreaterThanOrEqual(TTL_MS - 100);
        expect(BigInt(next.body['fencingToken'] as string)).toBeGreaterThan(
          BigInt(keeper.body['fencingToken'] as string),
        );
        for (const [lock, state] of known) {
          const taken = await restarted.post(`/v1/locks/${lock}:acquire`, {
            ownerId: 'after',
            timeoutMs: 20_000,
            ttlMs: 1_000,
          });
          expect(taken.status).toBe(200);
          const token = BigInt(taken.body['fencingToken'] as string);
          expect(token).toBeGreaterThan(state.highest);
          state.highest = token;
          state.held = undefined;
          await restarted.post(`/v1/locks/${lock}:release`, { fencingToken: String(token) });
        }
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
  60_000 + ROUNDS * 20_000,
);
