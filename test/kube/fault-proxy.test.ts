/**
 * Goal: every fault of the proxy does to a request what it says, and what lands at the API server is known.
 * Method: plain HTTP through the proxy; the API server itself, asked directly, says what it has seen.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { HttpClient, accessFromKubeconfig } from './control-plane/http.ts';
import { waitFor } from '../support/wait.ts';
import { PlainWatch } from './control-plane/watch.ts';
import { type FaultProxy, startFaultProxy } from './fault-proxy/fault-proxy.ts';
import { watchesOf, writesOf } from './fault-proxy/faults.ts';
import { freshNamespace, lease, leasesPath, sharedControlPlane } from './support.ts';

const controlPlane = sharedControlPlane();
let proxy: FaultProxy;
let client: HttpClient;
let path: string;
let count = 0;

beforeAll(async () => {
  proxy = await startFaultProxy(controlPlane.kubeconfigPath);
  client = new HttpClient(accessFromKubeconfig(proxy.kubeconfigPath));
  path = leasesPath((await freshNamespace()).name);
});

afterEach(() => proxy.clear());

afterAll(async () => {
  client[Symbol.dispose]();
  await proxy[Symbol.asyncDispose]();
});

const freshName = () => `lease-${(count += 1)}`;
const create = (name: string, timeoutMs?: number) =>
  client.call('POST', path, { body: lease(name), ...(timeoutMs === undefined ? {} : { timeoutMs }) });
const hasLanded = async (name: string) => (await controlPlane.http.call('GET', `${path}/${name}`)).status === 200;
/** A client that has given up by then: what it would get would come within a tenth of this. */
const patienceMs = 300;

describe('without a fault', () => {
  test('requests pass unchanged, and answers too', async () => {
    const name = freshName();
    const { status, body } = await create(name);
    expect(status).toBe(201);
    expect(body).toEqual(await controlPlane.http.get(`${path}/${name}`));
    expect((await create(name)).body.reason).toBe('AlreadyExists');
  });

  test('a client with a token of its own stays who it is', async () => {
    const someone = new HttpClient({ ...client.access, token: 'nonsense' });
    expect((await someone.call('GET', path)).status).toBe(401);
    someone[Symbol.dispose]();
  });

  test('matching requests are counted, others are not', async () => {
    using seen = proxy.inject(writesOf('leases', 'counted'), { kind: 'pass' });
    await create('counted');
    await create(freshName());
    await client.call('GET', `${path}/counted`);
    await client.call('DELETE', `${path}/counted`);
    expect(seen.hits).toBe(2);
  });
});

test('an observer is told of each request, when it is sent on, and when it was answered', async () => {
  const told: string[] = [];
  await using watched = await startFaultProxy(controlPlane.kubeconfigPath, {
    observe: ({ method, isWatch }) => {
      told.push(`${method} ${isWatch ? 'watch' : 'request'}`);
      return { forwarded: () => told.push('forwarded'), answered: (status) => told.push(`answered ${status}`) };
    },
  });
  using through = new HttpClient(accessFromKubeconfig(watched.kubeconfigPath));
  await through.call('POST', path, { body: lease(freshName()) });
  watched.inject({}, { kind: 'answer', status: 500 });
  await through.call('GET', path);
  expect(told).toEqual(['POST request', 'forwarded', 'answered 201', 'GET request']);
});

describe('the request is lost', () => {
  test('its connection is reset before it is forwarded', async () => {
    const name = freshName();
    proxy.inject(writesOf('leases', name), { kind: 'resetBeforeForwarding' }, { times: 1 });
    await expect(create(name)).rejects.toThrow('ECONNRESET');
    expect(await hasLanded(name)).toBe(false);
    expect((await create(name)).status).toBe(201);
  });

  test('nobody ever answers', async () => {
    const name = freshName();
    proxy.inject(writesOf('leases', name), { kind: 'swallow' });
    await expect(create(name, patienceMs)).rejects.toThrow('no answer');
    expect(await hasLanded(name)).toBe(false);
  });

  test.each([
    [409, 'Conflict'],
    [429, 'TooManyRequests'],
    [500, 'InternalError'],
    [503, 'ServiceUnavailable'],
  ] as const)('the proxy answers %d', async (status, reason) => {
    const name = freshName();
    proxy.inject(writesOf('leases', name), { kind: 'answer', status, retryAfterSeconds: 7 });
    const answer = await create(name);
    expect(answer).toMatchObject({ status, body: { kind: 'Status', code: status, reason } });
    expect(answer.headers['retry-after']).toBe('7');
    expect(await hasLanded(name)).toBe(false);
  });
});

describe('the request lands, and its client does not hear of it', () => {
  test('its connection is reset after the API server answered', async () => {
    const name = freshName();
    proxy.inject(writesOf('leases', name), { kind: 'resetAfterForwarding' });
    await expect(create(name)).rejects.toThrow('ECONNRESET');
    expect(await hasLanded(name)).toBe(true);
  });

  test('the answer is swallowed', async () => {
    const name = freshName();
    proxy.inject(writesOf('leases', name), { kind: 'landUnanswered' });
    await expect(create(name, patienceMs)).rejects.toThrow('no answer');
    expect(await hasLanded(name)).toBe(true);
  });

  test('it lands after its client gave up', async () => {
    const name = freshName();
    proxy.inject(writesOf('leases', name), { kind: 'landLate', ms: 2 * patienceMs });
    await expect(create(name, patienceMs)).rejects.toThrow('no answer');
    expect(await hasLanded(name)).toBe(false);
    await waitFor(() => hasLanded(name), { what: 'late write' });
  });
});

describe('the request is late', () => {
  test.each(['delay', 'delayAnswer'] as const)('%s', async (kind) => {
    const name = freshName();
    proxy.inject(writesOf('leases', name), { kind, ms: patienceMs });
    const startMs = performance.now();
    expect((await create(name)).status).toBe(201);
    // A timer may be early by less than a millisecond.
    expect(performance.now() - startMs).toBeGreaterThan(patienceMs - 2);
  });

  test('a delayed request whose client left is not forwarded', async () => {
    const name = freshName();
    const fault = proxy.inject(writesOf('leases', name), { kind: 'delay', ms: patienceMs });
    await expect(create(name, patienceMs / 3)).rejects.toThrow('no answer');
    // The proxy has decided about the first once this second one is through, which is delayed later.
    expect((await client.call('DELETE', `${path}/${name}`)).status).toBe(404);
    expect(fault.hits).toBe(2);
    expect(await hasLanded(name)).toBe(false);
  });
});

describe('the request is held', () => {
  test('before it is forwarded', async () => {
    const name = freshName();
    const held = proxy.hold(writesOf('leases', name), 'beforeForwarding');
    const answer = create(name);
    expect((await held.reached).body.metadata.name).toBe(name);
    expect(await hasLanded(name)).toBe(false);
    held.release();
    expect((await answer).status).toBe(201);
  });

  test('before it is forwarded, and released when its client has left: it lands', async () => {
    const name = freshName();
    const held = proxy.hold(writesOf('leases', name), 'beforeForwarding');
    await expect(create(name, patienceMs)).rejects.toThrow('no answer');
    held.release();
    await waitFor(() => hasLanded(name), { what: 'late write' });
  });

  test('before it is forwarded, and dropped: it never lands', async () => {
    const name = freshName();
    const held = proxy.hold(writesOf('leases', name), 'beforeForwarding');
    const answer = create(name);
    await held.reached;
    held.drop();
    await expect(answer).rejects.toThrow('ECONNRESET');
    expect(await hasLanded(name)).toBe(false);
  });

  test.each(['inFlight', 'beforeAnswer'] as const)(
    '%s: it lands, and its client hears of it when released',
    async (point) => {
      const name = freshName();
      const held = proxy.hold(writesOf('leases', name), point);
      let isAnswered = false;
      const answer = create(name).finally(() => (isAnswered = true));
      await held.reached;
      await waitFor(() => hasLanded(name), { what: 'write' });
      expect(isAnswered).toBe(false);
      held.release();
      expect((await answer).status).toBe(201);
    },
  );

  test('the third of its kind', async () => {
    const name = freshName();
    await create(name);
    const held = proxy.hold({ method: 'GET', path: `${path}/${name}` }, 'beforeForwarding', { skip: 2 });
    expect((await client.call('GET', `${path}/${name}`)).status).toBe(200);
    expect((await client.call('GET', `${path}/${name}`)).status).toBe(200);
    const third = client.call('GET', `${path}/${name}`);
    await held.reached;
    held.release();
    expect((await third).status).toBe(200);
  });
});

describe('watches', () => {
  /** Opens a watch through the proxy that begins before the next creation. */
  async function watchFromNow(): Promise<PlainWatch> {
    const { metadata } = await controlPlane.http.get(path);
    return PlainWatch.open(client.access, `${path}?resourceVersion=${metadata.resourceVersion}`);
  }

  test('events pass', async () => {
    const name = freshName();
    using watch = await watchFromNow();
    await create(name);
    expect((await watch.next())?.object.metadata.name).toBe(name);
  });

  test('cut after two events', async () => {
    proxy.inject(watchesOf('leases'), { kind: 'cutWatch', afterEvents: 2 });
    using watch = await watchFromNow();
    for (let index = 0; index < 3; index += 1) await create(freshName());
    expect((await watch.next())?.type).toBe('ADDED');
    expect((await watch.next())?.type).toBe('ADDED');
    await expect(watch.next()).rejects.toThrow('aborted');
  });

  test('ended in order', async () => {
    proxy.inject(watchesOf('leases'), { kind: 'endWatch' });
    using watch = await watchFromNow();
    expect(await watch.next()).toBeUndefined();
  });

  test('told that its version is too old', async () => {
    proxy.inject(watchesOf('leases'), { kind: 'expireWatch', afterEvents: 1 }, { times: 1 });
    using watch = await watchFromNow();
    await create(freshName());
    expect((await watch.next())?.type).toBe('ADDED');
    expect(await watch.next()).toMatchObject({ type: 'ERROR', object: { code: 410, reason: 'Expired' } });
    expect(await watch.next()).toBeUndefined();
  });

  test('stalled: open, and silent', async () => {
    proxy.inject(watchesOf('leases'), { kind: 'stallWatch', afterEvents: 1 }, { times: 1 });
    using stalled = await watchFromNow();
    using other = await watchFromNow();
    await create(freshName());
    await create(freshName());
    expect((await stalled.next())?.type).toBe('ADDED');
    let isTold = false;
    void stalled.next().then(
      () => (isTold = true),
      () => {},
    );
    // The second event reaches another watch of the same proxy, and a request goes there and back.
    await other.next();
    await other.next();
    await client.call('GET', path);
    expect(isTold).toBe(false);
  });
});

describe('the whole network', () => {
  test('an outage nobody is told about: requests wait, and go through when it is over', async () => {
    const [one, other] = [freshName(), freshName()];
    await create(freshName());
    proxy.swallowEverything();
    await expect(create(one, patienceMs)).rejects.toThrow('no answer');
    const late = create(other);
    await waitFor(() => proxy.connections > 0, { what: 'connection' });
    expect(await hasLanded(other)).toBe(false);
    proxy.clear();
    expect((await late).status).toBe(201);
  });

  test('all connections are reset', async () => {
    const name = freshName();
    const held = proxy.hold(writesOf('leases', name), 'beforeForwarding');
    const answer = create(name);
    await held.reached;
    proxy.resetConnections();
    await expect(answer).rejects.toThrow('ECONNRESET');
    held.drop();
  });
});
