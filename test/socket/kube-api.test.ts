/**
 * Goal: over HTTP the store is a Kubernetes API: discovery in both forms, Statuses, Tables, watches; and it is closed to web pages
 * and bounded.
 * Method: plain requests to a server in this process.
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openKubeApi } from '../../src/dev/kube-api.ts';
import { kubeApiHandler } from '../../src/kube/embedded/http/handler.ts';
import { DISTRIBUTED_LOCKS } from '../../src/kube/kube-object.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { systemTimers } from '../../src/system/timers.ts';
import { EmbeddedKube } from '../support/embedded-kube.ts';

const LOCKS = '/apis/lockkeeper.dev/v1alpha1/namespaces/default/distributedlocks';
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
let kube: EmbeddedKube;

beforeEach(async () => {
  kube = await EmbeddedKube.open();
});
afterEach(() => kube[Symbol.asyncDispose]());

interface Options {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answered {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  // biome-ignore lint: a test reads whatever is there
  readonly body: any;
}

function ask(path: string, { method = 'GET', headers = {}, body }: Options = {}): Promise<Answered> {
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port: kube.api.port, path, method, headers: { ...headers, ...length } },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const parsed: unknown = text.startsWith('{') ? JSON.parse(text) : text;
          resolve({ status: response.statusCode, headers: response.headers, body: parsed });
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

const json = { 'content-type': 'application/json' };
const lock = (name: string, spec: object = {}) =>
  JSON.stringify({ apiVersion: 'lockkeeper.dev/v1alpha1', kind: 'DistributedLock', metadata: { name }, spec });
const post = (name: string, spec?: object, query = '') =>
  ask(`${LOCKS}${query}`, { method: 'POST', headers: json, body: lock(name, spec) });

/** The events of a watch as they come; ends with `stop`. */
async function watching(path: string, headers: Readonly<Record<string, string>> = {}) {
  const abort = new AbortController();
  const response = await fetch(`http://127.0.0.1:${kube.api.port}${path}`, { headers, signal: abort.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = '';
  const next = async () => {
    while (!text.includes('\n')) {
      const { value, done } = await reader.read();
      if (done) return undefined;
      text += new TextDecoder().decode(value);
    }
    const line = text.slice(0, text.indexOf('\n'));
    text = text.slice(line.length + 1);
    // biome-ignore lint: a test reads whatever is there
    return JSON.parse(line) as { type: string; object: any };
  };
  return { next, stop: () => abort.abort() };
}

describe('who may call', () => {
  test.each([
    ['a foreign host', { host: 'evil.example:80' }, 403],
    ['an origin', { origin: 'http://localhost' }, 403],
    ['another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['localhost', {}, 200],
  ])('%s', async (_what, headers: Record<string, string>, status) => {
    expect(await ask('/version', { headers })).toMatchObject({ status });
  });

  test('a port that is taken is refused with what to do', async () => {
    expect(kube.api.addresses[0]).toBe(`http://127.0.0.1:${kube.api.port}`);
    const platform = { clock: systemClock(), timers: systemTimers(), log: silentLog };
    const second = openKubeApi({ store: kube.store, port: kube.api.port, ...platform });
    await expect(second).rejects.toThrow(/is in use.*--kube-port/);
  });

  test('watches are counted', async () => {
    const hosts = new Set<string>();
    const server = createServer(
      kubeApiHandler({
        store: kube.store,
        clock: systemClock(),
        timers: systemTimers(),
        log: silentLog,
        hosts: () => hosts,
        watchesMax: 1,
      }),
    );
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    hosts.add(host);
    const abort = new AbortController();
    const first = await fetch(`http://${host}${LOCKS}?watch=true`, { signal: abort.signal });
    const second = await fetch(`http://${host}${LOCKS}?watch=true`);
    expect([first.status, second.status, second.headers.get('retry-after')]).toEqual([200, 429, '1']);
    abort.abort();
    server.close();
    server.closeAllConnections();
  });
});

describe('discovery', () => {
  test('in one piece', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
    const { headers, body } = await ask('/apis', { headers: { accept } });
    expect(headers['content-type']).toContain('as=APIGroupDiscoveryList');
    expect(body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual([
      'coordination.k8s.io',
      'lockkeeper.dev',
    ]);
  });

  test.each([
    ['/api', 'APIVersions'],
    ['/apis', 'APIGroupList'],
    ['/apis/lockkeeper.dev', 'APIGroup'],
    ['/api/v1', 'APIResourceList'],
    ['/apis/lockkeeper.dev/v1alpha1', 'APIResourceList'],
  ])('%s for clients of old', async (path, kind) => {
    expect(await ask(path)).toMatchObject({ status: 200, body: { kind } });
  });

  test.each(['/apis/apps/v1/deployments', '/nothing', '/%zz', '///x'])('%s is no page', async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404, body: '404 page not found\n' });
  });

  test.each(['/api/v2', `${LOCKS}/a/scale`, '/api/v1/pods', '/apis/coordination.k8s.io/v1/things'])(
    '%s is not there',
    async (path) => {
      expect(await ask(path)).toMatchObject({ status: 404, body: { kind: 'Status', reason: 'NotFound', code: 404 } });
    },
  );
});

describe('requests', () => {
  test('unknown fields are told, refused or ignored', async () => {
    expect((await post('a', { permitz: 1 })).headers['warning']).toBe('299 - "unknown field \\"spec.permitz\\""');
    expect((await post('b', { permitz: 1 }, '?fieldValidation=Ignore')).headers['warning']).toBeUndefined();
    expect(await post('c', { permitz: 1 }, '?fieldValidation=Strict')).toMatchObject({
      status: 400,
      body: { reason: 'BadRequest' },
    });
  });

  test('a refusal lists every cause', async () => {
    const { status, body } = await post('a', { permits: 0, fairness: 'x' });
    expect({ status, reason: body.reason }).toEqual({ status: 422, reason: 'Invalid' });
    expect(body.details).toMatchObject({ name: 'a', group: 'lockkeeper.dev', kind: 'DistributedLock' });
    expect(body.details.causes.map(({ field }: { field: string }) => field).sort()).toEqual([
      '<nil>',
      'spec.fairness',
      'spec.permits',
    ]);
  });

  test.each<[string, string, Options, number]>([
    ['broken JSON', LOCKS, { method: 'POST', headers: json, body: '{' }, 400],
    ['a list', LOCKS, { method: 'POST', headers: json, body: '[]' }, 400],
    ['no body', LOCKS, { method: 'POST', headers: json }, 400],
    ['another media type', LOCKS, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' }, 415],
    ['a body of more than 3 MiB', LOCKS, { method: 'POST', headers: json, body: 'x'.repeat(3 * 1024 * 1024 + 1) }, 413],
    ['an object without a kind', LOCKS, { method: 'POST', headers: json, body: '{"metadata":{"name":"a"}}' }, 400],
    ['a patch without a media type', `${LOCKS}/a`, { method: 'PATCH', body: '{}' }, 415],
    ['a method that is none', LOCKS, { method: 'PROPFIND' }, 405],
    ['a POST to a name', `${LOCKS}/a`, { method: 'POST', headers: json, body: lock('a') }, 405],
    ['a dry run of something', `${LOCKS}?dryRun=Some`, { method: 'POST', headers: json, body: lock('a') }, 422],
    ['an answer in XML', LOCKS, { headers: { accept: 'application/xml' } }, 406],
    ['a limit that is no number', `${LOCKS}?limit=x`, {}, 400],
    ['a PUT of nothing', `${LOCKS}/a`, { method: 'PUT', headers: json, body: lock('a') }, 404],
    [
      'another namespace',
      LOCKS,
      { method: 'POST', headers: json, body: lock('a').replace('"name"', '"namespace":"x","name"') },
      400,
    ],
  ])('%s is refused', async (_what, path, options, status) => {
    expect(await ask(path, options)).toMatchObject({ status, body: { kind: 'Status', code: status } });
  });

  test('a PUT must name the version that it replaces, and need not repeat the namespace', async () => {
    const { body } = await post('a');
    const replace = (metadata: object) =>
      ask(`${LOCKS}/a`, {
        method: 'PUT',
        headers: json,
        body: JSON.stringify({ ...JSON.parse(lock('a')), metadata: { name: 'a', ...metadata } }),
      });
    expect(await replace({})).toMatchObject({ status: 422 });
    const { resourceVersion } = body.metadata;
    expect(await replace({ resourceVersion, labels: { a: 'b' } })).toMatchObject({
      status: 200,
      body: { metadata: { namespace: 'default' } },
    });
    expect(await replace({ resourceVersion })).toMatchObject({ status: 409 });
  });

  test('a deletion answers with a Status that names the life it ended', async () => {
    const { body } = await post('a');
    const other = JSON.stringify({ preconditions: { uid: 'x' } });
    expect(await ask(`${LOCKS}/a`, { method: 'DELETE', headers: json, body: other })).toMatchObject({ status: 409 });
    expect(await ask(`${LOCKS}/a`, { method: 'DELETE' })).toMatchObject({
      status: 200,
      body: { status: 'Success', details: { name: 'a', uid: body.metadata.uid } },
    });
  });

  test('YAML is taken as well', async () => {
    const body = 'apiVersion: lockkeeper.dev/v1alpha1\nkind: DistributedLock\nmetadata: {name: a}\n';
    expect(await ask(LOCKS, { method: 'POST', headers: { 'content-type': 'application/yaml' }, body })).toMatchObject({
      status: 201,
    });
  });
});

describe('watches', () => {
  test('begin with what is there, then tell changes, and name the columns once', async () => {
    await post('a');
    const { next, stop } = await watching(`${LOCKS}?watch=true`, { accept: TABLE });
    const first = await next();
    expect(first).toMatchObject({
      type: 'ADDED',
      object: {
        kind: 'Table',
        rows: [{ cells: ['a', null, null, null, null, null, 15, null, null, expect.any(String)] }],
      },
    });
    expect(first?.object.columnDefinitions).not.toEqual([]);
    await kube.store.patchStatus(DISTRIBUTED_LOCKS, 'default', 'a', { status: { holder: 'me' } });
    expect(await next()).toMatchObject({
      type: 'MODIFIED',
      object: { columnDefinitions: [], rows: [{ object: { kind: 'PartialObjectMetadata' } }] },
    });
    stop();
  });

  test('of the list kind end the beginning with a bookmark', async () => {
    await post('a');
    const { next, stop } = await watching(
      `${LOCKS}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`,
    );
    expect((await next())?.type).toBe('ADDED');
    expect(await next()).toMatchObject({
      type: 'BOOKMARK',
      object: { metadata: { annotations: { 'k8s.io/initial-events-end': 'true' } } },
    });
    stop();
  });

  test('from a version that is gone are told so', async () => {
    const { next } = await watching(`${LOCKS}?watch=true&resourceVersion=999999`);
    expect(await next()).toMatchObject({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired' } });
    expect(await next()).toBeUndefined();
  });

  test('end when their time is over', async () => {
    const { next } = await watching(`${LOCKS}?watch=true&timeoutSeconds=0.01`);
    expect(await next()).toBeUndefined();
  });
});
