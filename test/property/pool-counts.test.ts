/** Goal: a pool's numbers agree with the engines', through grants, ends, queues and takeovers. Method: random traffic, compared. */
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../src/system/random.ts';
import { ServerWorld } from '../support/server-world.ts';

describe('the numbers of a pool', () => {
  it('agree with the engines under random traffic', async () => {
    const world = new ServerWorld();
    const server = await world.start();
    const client = world.client(server);
    const random = seededRandom(21);
    const held = new Map<string, number>();
    for (let step = 0; step < 2_000; step++) {
      const key = `shop/orders/${random.integer(30)}`;
      const token = held.get(key);
      if (token !== undefined && random.integer(2) === 0) {
        client.send({ op: 'release', key, token });
        held.delete(key);
      } else {
        const timeoutMs = random.integer(3) * 2_000;
        const ref = client.send({
          op: 'acquire',
          key,
          ownerId: `o${random.integer(9)}`,
          mode: 'exclusive',
          timeoutMs,
          ttlMs: 3_000,
        });
        await world.time.runBy(random.integer(50));
        const reply = client.replies.get(ref);
        if (reply?.kind === 'hold') held.set(key, reply.token);
      }
      const { holdCount, waiterCount } = server.gauges();
      expect(server.poolCount('shop/orders')).toMatchObject({ holds: holdCount, waiters: waiterCount });
    }
    expect(server.poolCount('shop/orders').grants).toBeGreaterThan(100);
    await world.time.runBy(60_000);
    expect(server.poolCount('shop/orders')).toMatchObject({ holds: 0, waiters: 0 });
  });

  it('begin anew with a new owner, and count what is reclaimed once', async () => {
    const world = new ServerWorld();
    const first = await world.start();
    const client = world.client(first);
    const hold = await client.acquire('shop/orders/1', 'alice', { ttlMs: 60_000 });
    const second = await world.start({ isKnownDead: () => true });
    expect(second.poolCount('shop/orders')).toEqual({ holds: 0, waiters: 0, grants: 0 });
    const successor = world.client(second, undefined, client.transport.slot);
    const { key, ownerId, mode, token, depth, ttlMs } = hold;
    for (let times = 0; times < 3; times++)
      expect(await successor.ask({ op: 'reclaim', key, ownerId, mode, token, depth, ttlMs })).toMatchObject({
        kind: 'hold',
      });
    expect(second.poolCount('shop/orders')).toEqual({ holds: 1, waiters: 0, grants: 0 });
    expect(await successor.ask({ op: 'release', key, token })).toMatchObject({ kind: 'released' });
    expect(second.poolCount('shop/orders')).toEqual({ holds: 0, waiters: 0, grants: 0 });
  });
});
