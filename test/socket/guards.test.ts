/**
 * Goal: only programs on this machine are answered. A web page reaches us by a name that points to 127.0.0.1 (its Host is
 * foreign), by a cross-site request (it has an Origin) or by a form (its content type is not JSON).
 * Method: real sockets, since the allowed Host depends on the listener's port; every refusal must leave the calls untouched.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ErrorBody } from '../../src/api/codes.ts';
import type { Endpoint } from '../../src/sidecar/endpoint/endpoint.ts';
import { hostsOfPort } from '../../src/system/loopback.ts';
import { exchange, firstAnswer, inMemory, openForTest, post } from '../support/local-endpoint.ts';
import { type ScriptedCalls, scriptedCalls } from '../support/scripted-calls.ts';

let calls: ScriptedCalls;
let endpoint: Endpoint;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockkeeper-'));
  calls = scriptedCalls();
  endpoint = await openForTest({ calls, socketPath: join(folder, 'api.sock') });
});
afterAll(async () => {
  await endpoint[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** A POST of `{}` with exactly these headers besides length and close. `PORT` stands for the listener's. */
async function acquireWith(
  headers: readonly string[],
  where: { port?: number | undefined; path?: string } = { port: endpoint.port },
) {
  const lines = ['POST /v1/locks/a:acquire HTTP/1.1', ...headers, 'content-length: 2', 'connection: close', '', '{}'];
  const bytes = lines.join('\r\n').replaceAll('PORT', String(endpoint.port));
  return firstAnswer(await exchange(where, bytes));
}

const json = 'content-type: application/json';

describe('over TCP', () => {
  test.each([['host: localhost:PORT'], ['host: LocalHost:PORT'], ['host: 127.0.0.1:PORT'], ['Host: [::1]:PORT']])(
    '%s is answered',
    async (host) => {
      expect((await acquireWith([host, json])).status).toBe(200);
    },
  );

  test.each([
    ['evil.example:PORT'],
    ['evil.example'],
    ['localhost'],
    ['127.0.0.1'],
    ['localhost:80'],
    ['localhost.:PORT'],
    ['127.0.0.1.nip.io:PORT'],
    ['127.0.0.2:PORT'],
    ['0.0.0.0:PORT'],
    ['user@localhost:PORT'],
    ['localhost:PORT@evil.example'],
    ['localhost:PORT, evil.example'],
    [''],
  ])('host %s is refused', async (host) => {
    const before = calls.seen.length;
    const answer = await acquireWith([`host: ${host}`, json]);
    expect(answer.status).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'PERMISSION_DENIED', details: { header: 'host' }, retryable: false });
    expect(answer.json<ErrorBody>().message).toContain(`localhost:${endpoint.port}`);
    expect(calls.seen.length).toBe(before);
  });

  test('no Host is refused', async () => {
    expect((await acquireWith([json])).json()).toMatchObject({
      code: 'PERMISSION_DENIED',
      details: { header: 'host' },
    });
  });

  test('the first of two Hosts counts', async () => {
    expect((await acquireWith(['host: evil.example', 'host: localhost:PORT', json])).status).toBe(403);
  });

  test.each([
    ['origin: http://evil.example', 'origin'],
    ['origin: null', 'origin'],
    ['origin: http://localhost:PORT', 'origin'],
    ['sec-fetch-site: cross-site', 'sec-fetch-site'],
    ['sec-fetch-site: same-site', 'sec-fetch-site'],
    ['sec-fetch-site: anything', 'sec-fetch-site'],
  ])('%s is refused', async (header, name) => {
    const before = calls.seen.length;
    const answer = await acquireWith(['host: localhost:PORT', json, header]);
    expect(answer.status).toBe(403);
    expect(answer.json()).toMatchObject({ code: 'PERMISSION_DENIED', details: { header: name } });
    expect(calls.seen.length).toBe(before);
  });

  test('an Origin behind a thousand other headers is still seen', async () => {
    const many = Array.from({ length: 2_500 }, (_, index) => `${index.toString(36)}:`);
    expect((await acquireWith(['host: localhost:PORT', json, ...many, 'origin: http://evil.example'])).status).toBe(
      403,
    );
  });

  test.each([['sec-fetch-site: none'], ['sec-fetch-site: same-origin']])('%s is answered', async (header) => {
    expect((await acquireWith(['host: localhost:PORT', json, header])).status).toBe(200);
  });

  test('reading is guarded too', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/v1/locks', '/nowhere']) {
      const bytes = [`GET ${path} HTTP/1.1`, 'host: evil.example', 'connection: close', '', ''].join('\r\n');
      expect(firstAnswer(await exchange({ port: endpoint.port }, bytes)).status).toBe(403);
    }
  });
});

describe('content type', () => {
  test.each([
    [undefined],
    ['application/x-www-form-urlencoded'],
    ['text/plain'],
    ['multipart/form-data; boundary=x'],
    ['text/plain; application/json'],
    ['application/jsonp'],
    ['application/merge-patch+json'],
    [','],
  ])('%s is refused', async (type) => {
    const before = calls.seen.length;
    const answer = await acquireWith([
      'host: localhost:PORT',
      ...(type === undefined ? [] : [`content-type: ${type}`]),
    ]);
    expect(answer.status).toBe(415);
    expect(answer.json()).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      details: { header: 'content-type', value: type ?? null },
    });
    expect(answer.json<ErrorBody>().message).toContain(`With curl add -H 'content-type: application/json'`);
    expect(calls.seen.length).toBe(before);
  });

  test('a POST without any body needs it as well', async () => {
    const send = await inMemory(calls);
    const answer = await send({ method: 'POST', url: '/v1/locks/a:acquire' });
    expect({ status: answer.status, code: answer.json<ErrorBody>().code }).toEqual({
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE',
    });
  });

  test.each([['application/json; charset=utf-8'], ['Application/JSON'], ['application/json ;charset=UTF-8']])(
    '%s is answered',
    async (type) => {
      expect((await acquireWith(['host: localhost:PORT', `content-type: ${type}`])).status).toBe(200);
    },
  );
});

describe('over the Unix socket', () => {
  test.each([['host: anything'], ['host: localhost'], ['x: no host at all']])('%s is answered', async (header) => {
    expect((await acquireWith([header, json], { path: join(folder, 'api.sock') })).status).toBe(200);
  });

  test('an Origin is still refused', async () => {
    expect((await acquireWith(['host: x', json, 'origin: http://x'], { path: join(folder, 'api.sock') })).status).toBe(
      403,
    );
  });
});

test('without a port only where the port is 80', async () => {
  expect([...hostsOfPort(80)]).toEqual(expect.arrayContaining(['localhost', 'localhost:80', '[::1]']));
  expect([...hostsOfPort(5625)]).toEqual(['localhost:5625', '127.0.0.1:5625', '[::1]:5625']);
  const send = await inMemory(calls);
  expect(
    (
      await send({
        ...post('/v1/locks/a:acquire'),
        headers: { 'content-type': 'application/json', host: 'localhost:5625' },
      })
    ).status,
  ).toBe(403);
});
