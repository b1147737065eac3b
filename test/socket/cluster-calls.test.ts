/**
 * Goal: whatever a connection does, a caller learns whether its write may have happened, and no write is ever sent twice.
 * Method: a scripted API server on a real socket.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Cluster, ClusterOptions } from '../../src/kube/cluster/cluster.ts';
import { DISTRIBUTED_LOCKS, EVENTS } from '../../src/kube/kube-object.ts';
import type { Lease, StoredLease } from '../../src/kube/lease.ts';
import type { StoreError } from '../../src/kube/lease-store.ts';
import { ScriptedApiServer, answer, leaseJson } from '../support/scripted-api-server.ts';
import { refusal } from '../support/store-answers.ts';

let server: ScriptedApiServer;
const clusters: Cluster[] = [];

beforeEach(async () => {
  server = await ScriptedApiServer.start();
});
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

async function open(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  const cluster = await server.open(options);
  clusters.push(cluster);
  return cluster;
}

const lease = (name = 'a'): Lease => ({
  metadata: { namespace: 'shop', name, uid: `uid-${name}`, resourceVersion: '1' },
  spec: { holderIdentity: 'me' },
});

describe('a write', () => {
  test('whose connection is reset after it was sent is unknown, and is not sent again', async () => {
    const cluster = await open();
    server.script = (request) => request.socket.resetAndDestroy();
    const error = await refusal(cluster.leases.update(lease()));
    expect(error).toMatchObject({ outcome: 'unknown', retryable: false });
    expect(server.requests).toHaveLength(1);
  });

  test('to a server that is not there was not sent', async () => {
    const gone = await ScriptedApiServer.start();
    const cluster = await gone.open();
    clusters.push(cluster);
    await gone[Symbol.asyncDispose]();
    expect(await refusal(cluster.leases.update(lease()))).toMatchObject({ outcome: 'rejected', retryable: true });
  });

  test('whose answer breaks off in the middle is unknown', async () => {
    const cluster = await open();
    server.script = (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
      response.write('{"kind":"Lease"', () => request.socket.resetAndDestroy());
    };
    expect((await refusal(cluster.leases.update(lease()))).outcome).toBe('unknown');
  });

  test('whose answer is no Lease is unknown', async () => {
    const cluster = await open();
    server.script = (_, response) => response.writeHead(200).end('<html>');
    expect((await refusal(cluster.leases.update(lease()))).outcome).toBe('unknown');
  });

  test('without an answer is unknown after its time; the next one goes over a new connection', async () => {
    const cluster = await open({ writeTimeoutMs: 100 });
    server.script = () => undefined;
    expect((await refusal(cluster.leases.update(lease()))).outcome).toBe('unknown');
    server.script = (_, response) => answer(response, leaseJson('a', '2'));
    expect((await cluster.leases.update(lease())).metadata.resourceVersion).toBe('2');
    expect(server.sockets).toHaveLength(2);
    await server.until(() => server.sockets[0]?.destroyed === true);
  });

  test('that was given up before it was sent never arrives', async () => {
    const cluster = await open({ connectionsMax: 1 });
    const held: (() => void)[] = [];
    server.script = (_, response) => held.push(() => answer(response, leaseJson('a', '2')));
    const first = cluster.leases.update(lease());
    await server.until(() => server.requests.length === 1);
    const abort = new AbortController();
    const second = refusal(cluster.leases.update(lease('b'), { signal: abort.signal }));
    const third = cluster.leases.update(lease('c'));
    // The second waits for the only connection by now.
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    expect(await second).toMatchObject({ outcome: 'rejected', retryable: true });
    held.shift()?.();
    await first;
    await server.until(() => server.requests.length === 2);
    held.shift()?.();
    await third;
    expect(server.requests.map(({ path }) => path.at(-1))).toEqual(['a', 'c']);
    expect(server.sockets).toHaveLength(1);
  });

  test('that was given up before the call is not sent', async () => {
    const cluster = await open();
    const error = await refusal(cluster.leases.update(lease(), { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ outcome: 'rejected', retryable: true });
    expect(server.sockets).toHaveLength(0);
  });

  test('that was given up on its way is unknown, and its connection ends at once', async () => {
    const cluster = await open();
    const abort = new AbortController();
    server.script = () => abort.abort();
    expect((await refusal(cluster.leases.update(lease(), { signal: abort.signal }))).outcome).toBe('unknown');
    await server.until(() => server.openSockets === 0);
  });

  test('that the server answers with 429 carries the time to wait, and is not repeated', async () => {
    const cluster = await open();
    server.script = (_, response) => response.writeHead(429, { 'retry-after': '2' }).end('later');
    const error = await refusal(cluster.leases.update(lease()));
    expect(error).toMatchObject({ outcome: 'rejected', retryable: true, retryAfterMs: 2_000, httpStatus: 429 });
    expect(server.requests).toHaveLength(1);
  });

  test('over a connection that the server closes between two requests is sent once at most', async () => {
    const cluster = await open();
    const wrong: unknown[] = [];
    for (let round = 0; round < 20; round++) {
      server.script = (request, response) => {
        answer(response, leaseJson('a', String(round)));
        // Closed right behind the answer, while the client thinks of sending the next request.
        response.on('finish', () => request.socket.end());
      };
      const before = server.requests.length;
      const outcome = await cluster.leases.update(lease()).then(
        () => 'ok',
        (error: StoreError) => error.outcome,
      );
      const arrived = server.requests.length - before;
      const possible = { ok: [1], unknown: [0, 1], rejected: [0] }[outcome];
      if (!possible?.includes(arrived)) wrong.push({ outcome, arrived });
    }
    expect(wrong).toEqual([]);
  });

  test('on its way when the client is closed is unknown; later ones are refused', async () => {
    const cluster = await open();
    server.script = () => undefined;
    const pending = refusal(cluster.leases.update(lease()));
    await server.until(() => server.requests.length === 1);
    await cluster[Symbol.asyncDispose]();
    expect((await pending).outcome).toBe('unknown');
    expect(await refusal(cluster.leases.update(lease()))).toMatchObject({ outcome: 'rejected', retryable: false });
  });
});

describe('a read', () => {
  test('is tried again after a reset, a refusal and an answer that is no JSON', async () => {
    const cluster = await open();
    let times = 0;
    server.script = (request, response) => {
      times++;
      if (times === 1) request.socket.resetAndDestroy();
      else if (times === 2) response.writeHead(503).end();
      else if (times === 3) response.writeHead(200).end('{"cut');
      else answer(response, leaseJson('a', '7'));
    };
    expect((await cluster.leases.get('shop', 'a'))?.metadata.resourceVersion).toBe('7');
    expect(times).toBe(4);
  });

  test('is not tried again where that is of no use', async () => {
    const cluster = await open();
    server.script = (_, response) => response.writeHead(403).end('no');
    expect(await refusal(cluster.leases.get('shop', 'a'))).toMatchObject({ outcome: 'rejected', retryable: false });
    expect(server.requests).toHaveLength(1);
  });

  test('over a dead connection is tried again over a new one, within its time', async () => {
    const cluster = await open({ readTimeoutMs: 1_500 });
    server.script = (request, response) => {
      if (server.requests.length > 1 && request.socket !== server.sockets[0]) answer(response, leaseJson('a', '7'));
    };
    expect((await cluster.leases.get('shop', 'a'))?.metadata.resourceVersion).toBe('7');
  });

  test('ends with its time', async () => {
    const cluster = await open({ readTimeoutMs: 300 });
    server.script = (_, response) => response.writeHead(500).end();
    expect(await refusal(cluster.leases.get('shop', 'a'))).toMatchObject({ outcome: 'rejected', retryable: true });
    expect(server.requests.length).toBeGreaterThan(1);
  });

  test('of what is not there is undefined, of a kind that is not served an error', async () => {
    const cluster = await open();
    const details = { name: 'a', kind: 'leases' };
    server.script = (_, response) => answer(response, { kind: 'Status', code: 404, reason: 'NotFound', details }, 404);
    expect(await cluster.leases.get('shop', 'a')).toBeUndefined();
    server.script = (_, response) => response.writeHead(404).end('404 page not found\n');
    expect((await refusal(cluster.objects.get(DISTRIBUTED_LOCKS, 'shop', 'a'))).message).toContain('crds/');
  });
});

describe('what is sent and understood', () => {
  test('an update carries uid and version, a creation neither; times and unknown fields come through', async () => {
    const cluster = await open();
    const spec = {
      holderIdentity: 'somebody',
      renewTime: '2026-01-31T12:00:00.123456Z',
      strategy: 'OldestEmulationVersion',
      preferredHolder: 'other',
      leaseTransitions: null,
      acquireTime: { from: 'the future' },
    };
    server.script = (_, response) => answer(response, leaseJson('a', '2', spec));
    const stored: StoredLease = await cluster.leases.update(lease());
    expect(stored.spec).toEqual({ holderIdentity: 'somebody', renewTime: '2026-01-31T12:00:00.123456Z' });
    await cluster.leases.create({ metadata: { namespace: 'shop', name: 'a', uid: 'mine' }, spec: {} });
    const [update, create] = server.requests.map(({ method, path, body }) => ({
      method,
      path,
      body: JSON.parse(body),
    }));
    expect(update).toMatchObject({ method: 'PUT', body: { metadata: { uid: 'uid-a', resourceVersion: '1' } } });
    expect(update?.path).toBe('/apis/coordination.k8s.io/v1/namespaces/shop/leases/a');
    expect(create).toMatchObject({ method: 'POST', path: '/apis/coordination.k8s.io/v1/namespaces/shop/leases' });
    expect(Object.keys(create?.body.metadata)).toEqual(['namespace', 'name']);
  });

  test('an update without a uid learns it first, and is a conflict if the version is another by then', async () => {
    const cluster = await open();
    server.script = (request, response) => answer(response, leaseJson('a', request.method === 'GET' ? '1' : '2'));
    const metadata = { namespace: 'shop', name: 'a', resourceVersion: '1' };
    await cluster.leases.update({ metadata, spec: {} });
    expect(JSON.parse(server.requests[1]?.body ?? '').metadata.uid).toBe('uid-a');
    const stale = { metadata: { ...metadata, resourceVersion: '0' }, spec: {} };
    expect((await refusal(cluster.leases.update(stale))).outcome).toBe('conflict');
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'PUT', 'GET']);
  });

  test('an update of an object without a version replaces the newest one', async () => {
    const cluster = await open();
    let version = 1;
    server.script = (request, response) => {
      if (request.method === 'GET') answer(response, leaseJson('a', String(version)));
      else if (version++ === 1) answer(response, { kind: 'Status' }, 409);
      else answer(response, leaseJson('a', String(version)));
    };
    const metadata = { namespace: 'shop', name: 'a' };
    const stored = await cluster.objects.update(EVENTS, { apiVersion: 'v1', kind: 'Event', metadata });
    expect(stored.metadata.resourceVersion).toBe('3');
    const puts = server.requests.filter(({ method }) => method === 'PUT');
    expect(puts.map(({ body }) => JSON.parse(body).metadata.resourceVersion)).toEqual(['1', '2']);
  });

  test('patches are merge patches, of the status under its own path', async () => {
    const cluster = await open();
    server.script = (_, response) => answer(response, leaseJson('a'));
    await cluster.objects.patch(DISTRIBUTED_LOCKS, 'shop', 'a', { spec: { permits: 2 } });
    await cluster.objects.patchStatus(DISTRIBUTED_LOCKS, 'shop', 'a', { status: {} });
    expect(server.requests.map(({ path }) => path.split('/').slice(-2).join('/'))).toEqual([
      'distributedlocks/a',
      'a/status',
    ]);
    for (const { method, headers } of server.requests)
      expect([method, headers['content-type']]).toEqual(['PATCH', 'application/merge-patch+json']);
  });

  test('a deletion names the version it means', async () => {
    const cluster = await open();
    server.script = (_, response) => answer(response, { kind: 'Status', status: 'Success' });
    await cluster.leases.delete('shop', 'a', '7');
    expect(JSON.parse(server.requests[0]?.body ?? '')).toMatchObject({ preconditions: { resourceVersion: '7' } });
  });
});

describe('connections', () => {
  test('are kept and used again', async () => {
    const cluster = await open();
    server.script = (_, response) => answer(response, leaseJson('a'));
    for (let times = 0; times < 20; times++) await cluster.leases.get('shop', 'a');
    // A connection is free again one turn of the event loop after its answer, so that two take turns.
    expect(server.sockets.length).toBeLessThanOrEqual(2);
    expect(server.requests[0]?.headers['user-agent']).toBe('test/1');
  });

  test('of authority are their own: neither busy connections nor the rate limit hold it up', async () => {
    const cluster = await open({ connectionsMax: 1, requestsPerSecondMax: 0.001, requestsBurst: 2 });
    server.script = (request, response) => {
      if (request.headers['user-agent'] === 'test/1 (authority)') answer(response, leaseJson('member', '2'));
    };
    const abort = new AbortController();
    const stuck = [1, 2, 3].map(() => refusal(cluster.leases.update(lease(), { signal: abort.signal })));
    await server.until(() => server.requests.length === 1);
    for (let times = 0; times < 50; times++) await cluster.authorityLeases.update(lease('member'));
    abort.abort();
    const outcomes = (await Promise.all(stuck)).map(({ outcome }) => outcome);
    // One reached the only connection, one waits for it, one waits for its turn.
    expect(outcomes).toEqual(['unknown', 'rejected', 'rejected']);
  });

  test('are made anew with what the kubeconfig says after a 401', async () => {
    let nowMs = 0;
    const cluster = await open({ clock: { monotonicMs: () => nowMs, wallMs: () => 0 } });
    await server.writeKubeconfig({ token: 'second' });
    nowMs += 5_000;
    server.script = (request, response) => {
      if (request.headers.authorization === 'Bearer second') answer(response, leaseJson('a', '2'));
      else response.writeHead(401).end();
    };
    expect(await refusal(cluster.leases.update(lease()))).toMatchObject({ outcome: 'rejected', retryable: true });
    expect((await cluster.leases.update(lease())).metadata.resourceVersion).toBe('2');
  });

  test('are replaced when the client certificate is', async () => {
    let nowMs = 0;
    const cluster = await open({ clock: { monotonicMs: () => nowMs, wallMs: () => 0 } });
    server.script = (_, response) => answer(response, leaseJson('a'));
    await cluster.leases.get('shop', 'a');
    await server.writeKubeconfig({ 'client-certificate-data': 'TkVX', 'client-key-data': 'TkVX' });
    nowMs += 20_000;
    server.script = (_, response) => response.writeHead(401).end();
    await refusal(cluster.leases.update(lease()));
    const before = server.sockets.length;
    server.script = (_, response) => answer(response, leaseJson('a'));
    await cluster.leases.get('shop', 'a');
    expect(server.sockets).toHaveLength(before + 1);
    await server.until(() => server.openSockets === 1);
  });
});
