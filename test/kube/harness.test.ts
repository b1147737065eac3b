/**
 * Goal: what the other suites of this folder take for granted about their control plane is so.
 * Method: each promise of the harness is put to the proof on the real thing. The tests that kill and restore use a control
 * plane of their own, so that the shared one never goes back in time under another test.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type ControlPlane, attachControlPlane, startControlPlane } from './control-plane/control-plane.ts';
import { isAlive } from './control-plane/component.ts';
import { HttpClient, accessFromKubeconfig } from './control-plane/http.ts';
import { waitFor } from '../support/wait.ts';
import { PlainWatch } from './control-plane/watch.ts';
import { describeOnOwnControlPlane } from './own-control-plane.ts';
import { freshNamespace, lease, leasesPath, sharedControlPlane } from './support.ts';

const shared = sharedControlPlane();

// A control plane starts in 4 s, on a machine with ten times as much to do in 40.
jest.setTimeout(180_000);

describe('a namespace per test', () => {
  test('two of them share nothing', async () => {
    const [one, other] = [await freshNamespace(), await freshNamespace()];
    await shared.http.expectSuccess('POST', leasesPath(one.name), { body: lease('a') });
    expect((await shared.http.get(leasesPath(other.name))).items).toEqual([]);
    expect((await one.kubectl(['get', 'leases', '--output', 'name'])).out).toBe('lease.coordination.k8s.io/a\n');
  });
});

describe('kinds', () => {
  test('ours are served once they are defined, and defining them again changes nothing', async () => {
    await shared.applyCustomResourceDefinitions();
    const { name, kubectl } = await freshNamespace();
    const manifest = {
      apiVersion: 'lockkeeper.dev/v1alpha1',
      kind: 'DistributedLock',
      metadata: { name: 'a' },
      spec: {},
    };
    expect(await kubectl(['apply', '--filename', '-'], JSON.stringify(manifest))).toMatchObject({ exitCode: 0 });
    const locks = `/apis/lockkeeper.dev/v1alpha1/namespaces/${name}/distributedlocks`;
    expect((await shared.http.get(`${locks}/a`)).spec.leaseDurationSeconds).toBe(15);
    await shared.applyCustomResourceDefinitions();
    expect((await shared.http.get(locks)).items).toHaveLength(1);
  });
});

describe('users', () => {
  test('a service account may do what its rules say, and nothing else', async () => {
    const { name: namespace } = await freshNamespace();
    const rules = [{ apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create', 'get'] }];
    const path = await shared.kubeconfigForServiceAccount({ namespace, name: 'writer', rules });
    using http = new HttpClient(accessFromKubeconfig(path));
    expect((await http.call('POST', leasesPath(namespace), { body: lease('a') })).status).toBe(201);
    expect((await http.call('GET', leasesPath(namespace))).body.message).toContain(
      `User "system:serviceaccount:${namespace}:writer" cannot list resource "leases"`,
    );
    expect((await http.call('GET', leasesPath('default'))).status).toBe(403);
  });

  test('a token is for its audience', async () => {
    const { name: namespace } = await freshNamespace();
    const path = await shared.kubeconfigForServiceAccount({ namespace, name: 'app', audience: 'lockkeeper' });
    const { token } = accessFromKubeconfig(path);
    const review = async (audiences: readonly string[]) =>
      (
        await shared.http.expectSuccess('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
          body: { spec: { token, audiences } },
        })
      ).status;
    const user = { username: `system:serviceaccount:${namespace}:app` };
    expect(await review(['lockkeeper'])).toMatchObject({ authenticated: true, user });
    expect((await review(['another'])).authenticated).toBeUndefined();
  });
});

describeOnOwnControlPlane('users by certificate', () => {
  test('they may do nothing until somebody lets them', async () => {
    const { name: namespace } = await freshNamespace();
    const path = await shared.kubeconfigForUser({ user: 'alice', groups: ['developers'] });
    using http = new HttpClient(accessFromKubeconfig(path));
    expect((await http.call('GET', leasesPath(namespace))).status).toBe(403);
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`;
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' };
    const subjects = [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'developers' }];
    await shared.http.expectSuccess('POST', rbac, { body: { metadata: { name: 'developers' }, roleRef, subjects } });
    await waitFor(async () => (await http.call('GET', leasesPath(namespace))).status === 200, { what: 'permission' });
  });
});

describeOnOwnControlPlane('the audit log', () => {
  test('has every write of a namespace once, with who, what and the outcome', async () => {
    const { name: namespace } = await freshNamespace();
    const path = leasesPath(namespace);
    const headers = { 'user-agent': 'harness-test' };
    const created = await shared.http.expectSuccess('POST', path, { body: lease('a'), headers });
    const changed = { ...created, spec: { ...created.spec, holderIdentity: 'another' } };
    const updated = await shared.http.expectSuccess('PUT', `${path}/a`, { body: changed, headers });
    expect((await shared.http.call('PUT', `${path}/a`, { body: changed, headers })).status).toBe(409);
    await shared.http.get(path);
    await shared.http.expectSuccess('DELETE', `${path}/a`, { headers });

    const ours = { resource: 'leases', namespace, userAgent: 'harness-test' };
    await shared.auditLog.settled(ours);
    const writes = shared.auditLog.writes(ours);
    expect(writes.map(({ verb, objectRef, responseStatus }) => [verb, objectRef?.name, responseStatus?.code])).toEqual([
      ['create', 'a', 201],
      ['update', 'a', 200],
      ['update', 'a', 409],
      ['delete', 'a', 200],
    ]);
    expect(writes[1]).toMatchObject({
      user: { username: 'admin' },
      requestObject: { spec: { holderIdentity: 'another' } },
      responseObject: { metadata: { resourceVersion: updated.metadata.resourceVersion } },
    });
    expect(shared.auditLog.writes({ resource: 'leases', namespace })).toHaveLength(4);
  });

  test('says what comes', async () => {
    const { name: namespace } = await freshNamespace();
    const wanted = shared.auditLog.waitFor(({ objectRef }) => objectRef?.namespace === namespace, 'write');
    await shared.http.expectSuccess('POST', leasesPath(namespace), { body: lease('awaited') });
    expect((await wanted).verb).toBe('create');
  });
});

describeOnOwnControlPlane('the end', () => {
  test('a control plane dies with the process that started it, even if that is killed', async () => {
    const module = fileURLToPath(new URL('./control-plane/control-plane.ts', import.meta.url));
    const script = `
    const { startControlPlane } = await import(${JSON.stringify(module)});
    const { directory, components } = await startControlPlane();
    console.log(JSON.stringify({ directory, pids: [components.etcd.pid, components.apiServer.pid] }));
    setInterval(() => {}, 1_000);
  `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const { directory, pids } = JSON.parse(line.toString()) as { directory: string; pids: number[] };
    expect(pids.map(isAlive)).toEqual([true, true]);
    child.kill('SIGKILL');
    await waitFor(() => !pids.some(isAlive) && !existsSync(directory), { what: 'end of what it started' });
  });
});

describeOnOwnControlPlane('outages', () => {
  let own: ControlPlane;
  let path: string;

  beforeAll(async () => {
    own = await startControlPlane();
    path = leasesPath((await freshNamespace(own)).name);
  });

  afterAll(() => own[Symbol.asyncDispose]());

  const create = (name: string) => own.http.expectSuccess('POST', path, { body: lease(name) });
  const names = async () =>
    (await own.http.get(path)).items.map(
      ({ metadata }: { readonly metadata: { readonly name: string } }) => metadata.name,
    );

  test.each([
    ['the API server is killed', 'apiServer', 'kill'],
    ['the API server is stopped', 'apiServer', 'stop'],
    ['etcd is killed', 'etcd', 'kill'],
    ['etcd is stopped', 'etcd', 'stop'],
  ] as const)('%s and started: the data is there, at the same address', async (_what, name, end) => {
    const written = `${name.toLowerCase()}-${end}`;
    await create(written);
    const component = own.components[name];
    const { pid } = component;
    await component[end]();
    expect(component.pid).toBeUndefined();
    await component.start();
    expect(component.pid).not.toBe(pid);
    await waitFor(async () => (await own.http.call('GET', path)).status === 200, { what: 'list' });
    expect(await names()).toContain(written);
  });

  test('nobody answers while the API server is down', async () => {
    await own.components.apiServer.kill();
    await expect(own.http.call('GET', path)).rejects.toThrow(/ECONNREFUSED|ECONNRESET|hang up/);
    await own.components.apiServer.start();
    expect((await own.http.call('GET', path)).status).toBe(200);
  });

  test('an API server whose time stands still answers when it goes on', async () => {
    own.components.apiServer.pause();
    const answer = own.http.call('GET', path);
    await expect(own.http.call('GET', path, { timeoutMs: 300 })).rejects.toThrow('no answer');
    own.components.apiServer.resume();
    expect((await answer).status).toBe(200);
  });

  test('a request that a killed API server never answered is open in the audit log', async () => {
    own.components.etcd.pause();
    const lost = create('lost');
    lost.catch(() => {});
    await own.auditLog.waitFor(({ requestURI, verb }) => verb === 'create' && requestURI === path, 'request in flight');
    await waitFor(() => own.auditLog.openRequests().some(({ requestURI }) => requestURI === path), { what: 'request' });
    await own.components.apiServer.kill();
    own.components.etcd.resume();
    await expect(lost).rejects.toThrow(/ECONNRESET|hang up/);
    await own.components.apiServer.start();
    expect(own.auditLog.openRequests().map(({ verb }) => verb)).toContain('create');
    own.auditLog.forgetOpen();
    await own.auditLog.settled();
  });

  test.each([false, true])('a restored snapshot: versions go backwards (keepApiServer: %s)', async (keepApiServer) => {
    const before = await create(`before-${keepApiServer}`);
    const snapshot = own.snapshot();
    const after = await create(`after-${keepApiServer}`);
    await own.restore(snapshot, { keepApiServer });
    // Single objects are read from etcd; a kept API server's lists may tell of the lost future.
    await waitFor(async () => (await own.http.call('GET', `${path}/${after.metadata.name}`)).status === 404, {
      what: 'past',
    });
    const again = await create(`again-${keepApiServer}`);
    const version = (object: typeof before) => Number(object.metadata.resourceVersion);
    expect(version(again)).toBeGreaterThan(version(before));
    expect(version(again)).toBeLessThanOrEqual(version(after) + 20);
    for (const { metadata } of [before, again]) {
      expect((await own.http.get(`${path}/${metadata.name}`)).metadata.uid).toBe(metadata.uid);
    }
  });

  test('another process can use and end it', async () => {
    const attached = attachControlPlane(own.directory);
    expect(attached?.components.etcd.pid).toBe(own.components.etcd.pid);
    await attached?.components.apiServer.kill();
    expect(own.components.apiServer.pid).toBeUndefined();
    await own.components.apiServer.start();
  });
});

test('a watch of another client sees a write', async () => {
  const { name: namespace } = await freshNamespace();
  const { metadata } = await shared.http.get(leasesPath(namespace));
  const query = `${leasesPath(namespace)}?resourceVersion=${metadata.resourceVersion}`;
  using watch = await PlainWatch.open(shared.http.access, query);
  await shared.http.expectSuccess('POST', leasesPath(namespace), { body: lease('seen') });
  expect(await watch.next()).toMatchObject({ type: 'ADDED', object: { metadata: { name: 'seen' } } });
});
