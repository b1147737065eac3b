/**
 * Goal: `npm start -- --kubeconfig` keeps its promises to callers over a kill -9, and makes locks only where there is a namespace.
 * Method: real processes on a real API server, killed and started again; callers keep nothing but their tokens.
 */
import { beforeAll, expect, test } from '@jest/globals';
import { DevProcess } from '../support/dev-process.ts';
import { freshNamespace, sharedControlPlane } from './support.ts';

const controlPlane = sharedControlPlane();
const start = () => DevProcess.start(['--kubeconfig', controlPlane.kubeconfigPath]);

beforeAll(async () => {
  await controlPlane.applyCustomResourceDefinitions();
});

test('after a kill -9 callers renew and release with their tokens; keys of pools wait until every promise has run out', async () => {
  const { name: namespace, kubectl } = await freshNamespace();
  const first = await start();
  const held = await first.post('/v1/locks/kept:acquire', { ownerId: 'alice', ttlMs: 600_000, namespace });
  const reader = { ownerId: 'reader', mode: 'shared', ttlMs: 600_000, namespace };
  const shared = await first.post('/v1/locks/read:acquire', reader);
  const key = await first.post('/v1/locks/default/key:acquire', { ownerId: 'alice', ttlMs: 15_000, namespace });
  expect([held.status, shared.status, key.status]).toEqual([200, 200, 200]);
  await first.kill();

  await using second = await start();
  const { fencingToken } = held.body;
  const alice = { ownerId: 'alice', fencingToken, namespace };
  expect(await second.post('/v1/locks/kept:acquire', { ownerId: 'bob', namespace })).toMatchObject({
    status: 423,
    body: { details: { holders: [{ ownerId: 'alice' }] } },
  });
  expect(await second.post('/v1/locks/kept:renew', alice)).toMatchObject({ status: 200, body: { fencingToken } });
  expect(await second.post('/v1/locks/kept:release', { ...alice, ownerId: 'bob' })).toMatchObject({ status: 409 });
  expect((await second.post('/v1/locks/kept:release', alice)).body).toEqual({ released: true, depth: 0 });
  const next = await second.post('/v1/locks/kept:acquire', { ownerId: 'bob', namespace });
  expect(BigInt(next.body['fencingToken'])).toBeGreaterThan(BigInt(fencingToken));
  const returned = { ownerId: 'reader', fencingToken: shared.body['fencingToken'], namespace };
  expect((await second.post('/v1/locks/read:release', returned)).body).toEqual({ released: true, depth: 0 });

  const early = await second.post('/v1/locks/default/key:acquire', { ownerId: 'bob', namespace });
  expect(early).toMatchObject({ status: 503, body: { code: 'UNAVAILABLE', details: { reason: 'grace' } } });
  expect(await second.post('/v1/locks/default/key:renew', { ...key.body, ownerId: 'alice' })).not.toMatchObject({
    status: 200,
  });
  const late = await second.post('/v1/locks/default/key:acquire', { ownerId: 'bob', timeoutMs: 30_000, namespace });
  expect(BigInt(late.body['fencingToken'])).toBeGreaterThan(BigInt(key.body['fencingToken']));
  // Made with the first acquire, as objects like any other.
  expect((await kubectl(['get', 'locks,lockpools', '-o', 'name'])).out.split('\n').sort().filter(Boolean)).toEqual([
    'distributedlock.lockkeeper.dev/kept',
    'distributedlock.lockkeeper.dev/read',
    'lockpool.lockkeeper.dev/default',
  ]);
}, 240_000);

test('a lock in a namespace that is not there is refused with its name, a declared lock is taken as it is declared', async () => {
  const { name: namespace, kubectl } = await freshNamespace();
  await using server = await start();
  for (const lock of ['migrations', 'default/order-1']) {
    const refused = await server.post(`/v1/locks/${lock}:acquire`, { namespace: 'nobody-made-this' });
    expect(refused).toMatchObject({
      status: 404,
      body: { code: 'LOCK_NOT_FOUND', details: { namespace: 'nobody-made-this', reason: 'namespaceMissing' } },
    });
    expect(refused.body['message']).toContain('There is no namespace nobody-made-this in the cluster');
  }
  const body = { namespace: 'nobody-made-this', ids: ['a', 'b'] };
  expect(await server.post('/v1/locks:acquireAll', body)).toMatchObject({ status: 404 });
  expect(await server.post('/v1/locks/a:hold', { namespace: 'nobody-made-this' })).toMatchObject({ status: 404 });

  // Applied and asked for in the same moment: whoever sees it first, its two permits count.
  const object = { apiVersion: 'lockkeeper.dev/v1alpha1', kind: 'DistributedLock', metadata: { name: 'two' } };
  await kubectl(['apply', '-f', '-'], JSON.stringify({ ...object, spec: { permits: 2 } }));
  const acquire = () => server.post('/v1/locks/two:acquire', { namespace });
  expect([(await acquire()).status, (await acquire()).status, (await acquire()).status]).toEqual([200, 200, 423]);
}, 240_000);
