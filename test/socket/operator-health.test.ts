/**
 * Goal: the operator tells its health and its metrics to programs of its own machine, and to nobody else. Method: real sockets on the
 * loopback addresses.
 */
import { request } from 'node:http';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type Health, openHealth } from '../../src/operator/health.ts';
import { silentLog } from '../../src/system/logger.ts';

let reason: string | undefined;
let metrics: () => Promise<{ contentType: string; body: string }>;
let health: Health;

beforeEach(async () => {
  reason = undefined;
  metrics = () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', body: 'lockkeeper_holds 3\n' });
  health = await openHealth({ port: 0, notReadyReason: () => reason, metrics: () => metrics(), log: silentLog });
});
afterEach(() => health[Symbol.asyncDispose]());

interface Answer {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly text: string;
}

function ask(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: health.port, path, ...options }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode, type: response.headers['content-type'], text }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

it('is well while it runs, ready while it serves, and says why when it does not', async () => {
  expect(await ask('/healthz')).toMatchObject({ status: 200, text: 'ok\n' });
  expect(await ask('/readyz?verbose')).toMatchObject({ status: 200, text: 'ok\n' });
  reason = 'another one owns the shards';
  expect(await ask('/readyz')).toMatchObject({ status: 503, text: 'another one owns the shards\n' });
  expect((await ask('/healthz')).status).toBe(200);
});

it('shows metrics under their own content type; a page that fails is a 500 without its cause', async () => {
  expect(await ask('/metrics')).toEqual({
    status: 200,
    type: 'text/plain; version=0.0.4',
    text: 'lockkeeper_holds 3\n',
  });
  metrics = () => Promise.reject(new Error('secret'));
  const failed = await ask('/metrics');
  expect(failed.status).toBe(500);
  expect(failed.text).not.toContain('secret');
});

it('answers to its own names only, and to no web page', async () => {
  const { port } = health;
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`])
    expect((await ask('/healthz', { headers: { host } })).status).toBe(200);
  for (const host of [`evil.example:${port}`, 'localhost', `localhost:${port + 1}`])
    expect((await ask('/healthz', { headers: { host } })).status).toBe(403);
  expect((await ask('/metrics', { headers: { origin: 'http://localhost' } })).status).toBe(403);
});

it('reads and nothing else', async () => {
  expect((await ask('/healthz', { method: 'POST' })).status).toBe(405);
  expect(await ask('/healthz', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' });
  expect((await ask('/')).status).toBe(404);
});

it('names the port that it cannot have', async () => {
  const taken = openHealth({ port: health.port, notReadyReason: () => undefined, metrics, log: silentLog });
  await expect(taken).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: `Port ${health.port} is in use. Name another one with --port, or 0 for any free one.`,
  });
});
