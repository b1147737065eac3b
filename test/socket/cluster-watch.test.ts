/**
 * Goal: a watch tells every event, ends when it is of no use any more, and holds nobody up. Method: a scripted API server that
 * writes bytes as the test says.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ServerResponse } from 'node:http';
import type { Cluster, ClusterOptions } from '../../src/kube/cluster/cluster.ts';
import type { LeaseEvent } from '../../src/kube/lease-store.ts';
import { ScriptedApiServer, answer, leaseJson } from '../support/scripted-api-server.ts';
import { told } from '../support/store-answers.ts';

let server: ScriptedApiServer;
const clusters: Cluster[] = [];

beforeEach(async () => {
  server = await ScriptedApiServer.start();
});
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const line = (type: string, object: unknown) => `${JSON.stringify({ type, object })}\n`;
const bookmark = (resourceVersion: string) => line('BOOKMARK', { kind: 'Lease', metadata: { resourceVersion } });

/** A watch from version 5, what it tells, and a way to wait for that. */
async function watching(options: Partial<ClusterOptions> = {}, query: object = { namespace: 'shop' }) {
  const cluster = await server.open(options);
  clusters.push(cluster);
  const events: LeaseEvent[] = [];
  let changed = () => {};
  const watch = cluster.leases.watch({ ...query, resourceVersion: '5' }, (event) => {
    events.push(event);
    changed();
  });
  expect(events).toEqual([]);
  const until = async (count: number) => {
    while (events.length < count) await new Promise<void>((resolve) => (changed = resolve));
    return events.map(told);
  };
  return { cluster, events, watch, until };
}

/** Answers a watch, and leaves it open. */
function stream(response: ServerResponse, ...texts: readonly string[]): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  for (const text of texts) response.write(text);
}

describe('events', () => {
  test('are told in order, with their Leases', async () => {
    server.script = (_, response) =>
      stream(
        response,
        line('ADDED', leaseJson('a', '6', { holderIdentity: 'me' })),
        line('MODIFIED', leaseJson('a', '7')) + bookmark('9'),
        line('DELETED', leaseJson('a', '10')),
      );
    const { events, until } = await watching();
    expect(await until(4)).toEqual(['ADDED a 6', 'MODIFIED a 7', 'BOOKMARK 9', 'DELETED a 10']);
    expect(events[0]).toMatchObject({ lease: { spec: { holderIdentity: 'me' }, metadata: { uid: 'uid-a' } } });
  });

  test('come through any cut, also within a character', async () => {
    const text = line('ADDED', leaseJson('a', '6', { holderIdentity: 'Grüße 世界 🔒' })) + bookmark('7');
    server.script = (_, response) => {
      stream(response);
      void (async () => {
        for (const byte of Buffer.from(text))
          await new Promise((resolve) => response.write(Buffer.from([byte]), resolve));
      })();
    };
    const { events, until } = await watching();
    expect(await until(2)).toEqual(['ADDED a 6', 'BOOKMARK 7']);
    expect(events[0]).toMatchObject({ lease: { spec: { holderIdentity: 'Grüße 世界 🔒' } } });
  });

  test('are asked for from the version on, with bookmarks, for a bounded time that differs between watches', async () => {
    server.script = (_, response) => stream(response);
    await watching({}, { namespace: 'shop', labelSelector: 'x=y' });
    await server.until(() => server.requests.length === 1);
    const { path, query } = server.requests[0] ?? { path: '', query: new URLSearchParams() };
    expect(path).toBe('/apis/coordination.k8s.io/v1/namespaces/shop/leases');
    expect(Object.fromEntries(query)).toMatchObject({
      watch: '1',
      resourceVersion: '5',
      allowWatchBookmarks: 'true',
      labelSelector: 'x=y',
    });
    const seconds = Number(query.get('timeoutSeconds'));
    expect(seconds).toBeGreaterThanOrEqual(300);
    expect(seconds).toBeLessThanOrEqual(600);
  });

  test('of a burst do not hold everybody else up', async () => {
    const count = 20_000;
    const text = Array.from({ length: count }, (_, index) =>
      line('ADDED', leaseJson(`lease-${index}`, String(index + 6), { holderIdentity: 'x'.repeat(200) })),
    ).join('');
    server.script = (_, response) => stream(response, text);
    const cluster = await server.open();
    clusters.push(cluster);
    let seen = 0;
    let inTurn = 0;
    let mostInTurn = 0;
    await new Promise<void>((resolve) => {
      const turn = () => {
        mostInTurn = Math.max(mostInTurn, inTurn);
        inTurn = 0;
        if (seen === count) resolve();
        else setImmediate(turn);
      };
      turn();
      cluster.leases.watch({ resourceVersion: '5' }, () => {
        seen++;
        inTurn++;
      });
    });
    // 128 KiB, and the rest of what the socket had: of these events some 450 bytes each.
    expect(mostInTurn).toBeGreaterThan(0);
    expect(mostInTurn).toBeLessThan(700);
  });
});

describe('the end', () => {
  const statusLine = (code: number) => line('ERROR', { kind: 'Status', code, message: 'too old' });

  test.each<[string, (response: ServerResponse) => void, string, string]>([
    ['410 in the stream', (response) => stream(response, statusLine(410)), 'expired', 'too old'],
    ['another error in the stream', (response) => stream(response, statusLine(500)), 'ended', 'too old'],
    ['410 as the answer', (response) => response.writeHead(410).end('gone'), 'expired', 'gone'],
    ['403 as the answer', (response) => response.writeHead(403).end('not you'), 'ended', 'not you'],
    ['an answer without events', (response) => response.writeHead(200).end(), 'ended', 'server ended'],
    ['a reset', (response) => response.socket?.resetAndDestroy(), 'expired', 'connection failed'],
    ['no JSON', (response) => stream(response, 'not json\n'), 'expired', 'cannot be read'],
    ['an unknown type', (response) => stream(response, line('SURPRISE', {})), 'ended', 'SURPRISE'],
    ['an event without a version', (response) => stream(response, line('ADDED', {})), 'expired', 'cannot be read'],
    ['an endless line', (response) => stream(response, 'x'.repeat(5 * 1024 * 1024)), 'expired', 'cannot be read'],
  ])('%s', async (_what, script, code, message) => {
    server.script = (_request, response) => script(response);
    const { events, until } = await watching();
    await until(1);
    expect(events).toEqual([expect.objectContaining({ type: 'ERROR', code })]);
    expect((events[0] as { readonly message: string }).message).toContain(message);
    await server.until(() => server.openSockets <= 1);
  });

  test('comes after the events before it, and nothing comes after it', async () => {
    server.script = ({ path }, response) => {
      if (path === '/version') answer(response, { gitVersion: 'v1' });
      else stream(response, bookmark('6') + line('ERROR', { code: 410 }) + bookmark('7'), bookmark('8'));
    };
    const { cluster, until } = await watching();
    expect(await until(2)).toEqual(['BOOKMARK 6', 'ERROR expired']);
    await cluster.version();
    expect(await until(2)).toHaveLength(2);
  });

  test('tells after which time to come back', async () => {
    server.script = (_, response) => response.writeHead(429, { 'retry-after': '4' }).end();
    const { events, until } = await watching();
    await until(1);
    expect(events[0]).toMatchObject({ type: 'ERROR', code: 'ended', retryAfterMs: 4_000 });
  });

  test('comes when nothing was heard for too long, not as long as bookmarks come', async () => {
    let beat = () => {};
    server.script = (_, response) => {
      stream(response, bookmark('6'));
      beat = () => response.write(bookmark('7'));
    };
    const { events, until } = await watching({ watchIdleMs: 400 });
    await until(1);
    const startedMs = performance.now();
    for (let beats = 0; beats < 5; beats++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      beat();
    }
    await until(7);
    expect(performance.now() - startedMs).toBeGreaterThan(1_200);
    expect(events.map(told)).toEqual(['BOOKMARK 6', ...Array(5).fill('BOOKMARK 7'), 'ERROR expired']);
    await server.until(() => server.openSockets === 0);
  });
});

describe('disposal', () => {
  test('closes the socket at once, and nothing is told any more', async () => {
    let write = () => {};
    server.script = (_, response) => {
      stream(response, bookmark('6'));
      write = () => response.write(bookmark('7'));
    };
    const { events, watch, until } = await watching();
    await until(1);
    write();
    watch[Symbol.dispose]();
    await server.until(() => server.openSockets === 0);
    expect(events).toHaveLength(1);
  });

  test('before it was opened: it never is', async () => {
    const { cluster, watch } = await watching();
    watch[Symbol.dispose]();
    await cluster.version().catch(() => undefined);
    expect(server.requests.every(({ path }) => path === '/version')).toBe(true);
  });

  test('by the signal, and of the whole client', async () => {
    server.script = (_, response) => stream(response, bookmark('6'));
    const { cluster, events, until } = await watching();
    const abort = new AbortController();
    cluster.leases.watch({ resourceVersion: '5' }, () => undefined, { signal: abort.signal });
    await until(1);
    await server.until(() => server.openSockets === 2);
    abort.abort();
    await server.until(() => server.openSockets === 1);
    await cluster[Symbol.asyncDispose]();
    await server.until(() => server.openSockets === 0);
    expect(events.map(told)).toEqual(['BOOKMARK 6', 'ERROR ended']);
  });
});

test('a query that cannot be watched is refused in the call', async () => {
  const cluster = await server.open();
  clusters.push(cluster);
  const call = () => cluster.leases.watch({ labelSelector: 'a in (b)', resourceVersion: '5' }, () => undefined);
  expect(call).toThrow('a in (b)');
});
