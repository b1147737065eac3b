/**
 * Goal: a list is one consistent state, however many pages it takes, and holds nobody up. Method: a scripted API server that
 * pages.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Cluster } from '../../src/kube/cluster/cluster.ts';
import { ScriptedApiServer, type SeenRequest, answer, leaseJson } from '../support/scripted-api-server.ts';

let server: ScriptedApiServer;
let cluster: Cluster;

beforeEach(async () => {
  server = await ScriptedApiServer.start();
  cluster = await server.open();
});
afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** A page of `total` Leases, each with an annotation of `bytes`; the token is the index of the first. */
function page({ query }: SeenRequest, total: number, resourceVersion = '50', bytes = 10) {
  const from = Number(query.get('continue') ?? 0);
  const to = Math.min(total, from + Number(query.get('limit')));
  const items = Array.from({ length: to - from }, (_, index) => ({
    ...leaseJson(`lease-${from + index}`, String(from + index + 1), { holderIdentity: 'x'.repeat(bytes) }),
    apiVersion: undefined,
    kind: undefined,
  }));
  return { kind: 'LeaseList', metadata: { resourceVersion, ...(to < total ? { continue: String(to) } : {}) }, items };
}

describe('a list', () => {
  test('is read in pages that grow, without naming a version', async () => {
    server.script = (request, response) => answer(response, page(request, 2_000));
    const { items, resourceVersion } = await cluster.leases.list({ namespace: 'shop', labelSelector: 'x=y' });
    expect(resourceVersion).toBe('50');
    expect(items.map(({ metadata }) => metadata.name)).toEqual(
      Array.from({ length: 2_000 }, (_, index) => `lease-${index}`),
    );
    expect(server.requests.map(({ query }) => query.get('limit'))).toEqual(['100', '500', '500', '500', '500']);
    for (const { query } of server.requests) {
      expect(query.has('resourceVersion')).toBe(false);
      expect(query.get('labelSelector')).toBe('x=y');
    }
  });

  test('of large objects has small pages', async () => {
    server.script = (request, response) => answer(response, page(request, 300, '50', 20_000));
    expect((await cluster.leases.list({})).items).toHaveLength(300);
    const limits = server.requests.slice(1).map(({ query }) => Number(query.get('limit')));
    for (const limit of limits) expect(limit).toBeLessThan(30);
  });

  test('whose first page is too large is asked for in a smaller one', async () => {
    server.script = (request, response) => answer(response, page(request, 100, '50', 400_000));
    expect((await cluster.leases.list({})).items).toHaveLength(100);
    expect(server.requests[1]?.query.get('limit')).toBe('10');
  });

  test('forgotten in the middle (410) is begun again, once', async () => {
    let failures = 0;
    server.script = (request, response) => {
      if (request.query.has('continue') && failures++ === 0) answer(response, { kind: 'Status', code: 410 }, 410);
      else answer(response, page(request, 150, failures === 0 ? '50' : '60'));
    };
    const { items, resourceVersion } = await cluster.leases.list({});
    expect([items.length, resourceVersion]).toEqual([150, '60']);
    server.script = (request, response) => {
      if (request.query.has('continue')) answer(response, { kind: 'Status', code: 410 }, 410);
      else answer(response, page(request, 150));
    };
    await expect(cluster.leases.list({})).rejects.toMatchObject({
      outcome: 'rejected',
      retryable: true,
      httpStatus: 410,
    });
  });

  test('of nothing is empty', async () => {
    server.script = (_, response) =>
      answer(response, { kind: 'LeaseList', metadata: { resourceVersion: '7' }, items: null });
    expect(await cluster.leases.list({})).toEqual({ items: [], resourceVersion: '7' });
  });

  test('that is none is an error', async () => {
    server.script = (_, response) => answer(response, { kind: 'Surprise' });
    await expect(cluster.leases.list({})).rejects.toMatchObject({ outcome: 'rejected' });
  });

  test('of 10,000 Leases lets others have their turn between pages', async () => {
    server.script = (request, response) => answer(response, page(request, 10_000));
    let turns = 0;
    let listing = true;
    const turn = () => {
      turns++;
      if (listing) setImmediate(turn);
    };
    turn();
    expect((await cluster.leases.list({})).items).toHaveLength(10_000);
    listing = false;
    expect(turns).toBeGreaterThan(60);
  });
});
