/**
 * Goal: a kubeconfig is read as kubectl reads it, what rotates is picked up, and what is wrong is named. Method: files in a
 * temporary directory, a clock the test sets.
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Credentials } from '../../../../src/kube/cluster/credentials.ts';
import { kubeconfigCredentials } from '../../../../src/kube/cluster/kubeconfig.ts';

let directory: string;
let nowMs = 0;
const clock = { monotonicMs: () => nowMs, wallMs: () => 0 };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kubeconfig-'));
  nowMs = 0;
});
afterEach(() => rm(directory, { recursive: true }));

interface Parts {
  readonly server?: string;
  readonly cluster?: object;
  readonly user?: object;
  readonly name?: string;
  readonly currentContext?: string | null;
}

function config({
  server = 'https://api.example:6443/',
  cluster = {},
  user = {},
  name = 'main',
  currentContext,
}: Parts) {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, ...cluster } }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    ...(currentContext === null ? {} : { 'current-context': currentContext ?? name }),
  });
}

async function file(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

async function open(parts: Parts, context?: string): Promise<Credentials> {
  return kubeconfigCredentials({ kubeconfigPath: await file('config', config(parts)), context, clock });
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const authorization = async (credentials: Credentials) => (await credentials.current()).headers['authorization'];

describe('who one is', () => {
  test('a token', async () => {
    expect(await authorization(await open({ user: { token: 'abc' } }))).toBe('Bearer abc');
  });

  test('a user name and a password', async () => {
    const credentials = await open({ user: { username: 'me', password: 'secret' } });
    expect(await authorization(credentials)).toBe(`Basic ${base64('me:secret')}`);
  });

  test('a client certificate, in the file or beside it', async () => {
    await file('client.crt', 'CERT');
    await file('client.key', 'KEY');
    const beside = await open({ user: { 'client-certificate': 'client.crt', 'client-key': 'client.key' } });
    const inside = await open({
      user: { 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
      cluster: { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'api' },
    });
    expect(String((await beside.current()).tls.cert)).toBe('CERT');
    expect(String((await inside.current()).tls.key)).toBe('KEY');
    expect(String((await inside.current()).tls.ca)).toBe('CA');
    expect((await inside.current()).tls.servername).toBe('api');
  });

  test('an exec plugin', async () => {
    const plugin = await file(
      'plugin.sh',
      `#!/bin/sh\necho '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"from-plugin"}}'\n`,
    );
    await chmod(plugin, 0o700);
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin };
    expect(await authorization(await open({ user: { exec } }))).toBe('Bearer from-plugin');
  });

  test('an exec plugin that fails is named by what it said', async () => {
    const plugin = await file('plugin.sh', '#!/bin/sh\necho log in first >&2\nexit 1\n');
    await chmod(plugin, 0o700);
    const credentials = await open({ user: { exec: { command: plugin } } });
    await expect(credentials.current()).rejects.toThrow('log in first');
    await writeFile(plugin, `#!/bin/sh\necho '{"status":{"token":"now"}}'\n`);
    expect(await authorization(credentials)).toBe('Bearer now');
  });

  test('somebody impersonated', async () => {
    const credentials = await open({ user: { token: 'abc', as: 'jane' } });
    expect((await credentials.current()).headers).toMatchObject({ 'impersonate-user': 'jane' });
  });
});

describe('what rotates', () => {
  test('a token file is read again when it was refused', async () => {
    await file('token', 'first\n');
    const credentials = await open({ user: { tokenFile: 'token', token: 'ignored' } });
    expect(await authorization(credentials)).toBe('Bearer first');
    await file('token', 'second\n');
    nowMs += 5_000;
    expect(await authorization(credentials)).toBe('Bearer first');
    credentials.refused();
    expect(await authorization(credentials)).toBe('Bearer second');
  });

  test('a client certificate is read again every few seconds, and has another fingerprint', async () => {
    await file('client.crt', 'CERT');
    await file('client.key', 'KEY');
    const credentials = await open({ user: { 'client-certificate': 'client.crt', 'client-key': 'client.key' } });
    const { tlsFingerprint } = await credentials.current();
    nowMs += 11_000;
    expect((await credentials.current()).tlsFingerprint).toBe(tlsFingerprint);
    await file('client.crt', 'NEWER');
    nowMs += 11_000;
    const renewed = await credentials.current();
    expect(String(renewed.tls.cert)).toBe('NEWER');
    expect(renewed.tlsFingerprint).not.toBe(tlsFingerprint);
  });

  test('the kubeconfig itself is read again after a refusal, not in a hot loop, and kept if it cannot be read', async () => {
    const credentials = await open({ user: { token: 'first' } });
    await file('config', config({ user: { token: 'second' } }));
    credentials.refused();
    expect(await authorization(credentials)).toBe('Bearer first');
    nowMs += 3_000;
    credentials.refused();
    expect(await authorization(credentials)).toBe('Bearer second');
    await file('config', 'half a fi');
    nowMs += 3_000;
    credentials.refused();
    expect(await authorization(credentials)).toBe('Bearer second');
  });

  test('many requests read it once', async () => {
    const credentials = await open({ user: { token: 'abc' } });
    expect(credentials.current()).toBe(credentials.current());
  });
});

describe('which cluster', () => {
  test('the current context, or the one that is asked for', async () => {
    const first = await file('a', config({ server: 'https://one:1' }));
    const second = await file('b', config({ name: 'other', server: 'https://two:2/gateway/' }));
    const kubeconfigPath = `${first}${delimiter}${second}`;
    expect((await kubeconfigCredentials({ kubeconfigPath, clock })).server).toBe('https://one:1');
    const other = await kubeconfigCredentials({ kubeconfigPath, context: 'other', clock });
    expect(other.server).toBe('https://two:2/gateway');
  });

  test('of several files earlier ones win', async () => {
    const first = await file('a', config({ user: { token: 'first' }, currentContext: null }));
    const second = await file('b', config({ user: { token: 'second' } }));
    const credentials = await kubeconfigCredentials({ kubeconfigPath: `${first}${delimiter}${second}`, clock });
    expect(await authorization(credentials)).toBe('Bearer first');
  });
});

describe('what is wrong', () => {
  test.each<[string, Parts, string]>([
    ['no current context', { currentContext: null }, 'names no current context'],
    ['a context that is not there', { currentContext: 'gone' }, 'has no context "gone"'],
    ['a server that is no URL', { server: 'api.example' }, 'is no http(s) URL'],
    ['a proxy', { cluster: { 'proxy-url': 'http://proxy:3128' } }, 'proxy-url'],
  ])('%s', async (_what, parts, message) => {
    await expect(open(parts)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(open(parts)).rejects.toThrow(message);
  });

  test('a file that is not there is named', async () => {
    const kubeconfigPath = join(directory, 'nowhere');
    await expect(kubeconfigCredentials({ kubeconfigPath, clock })).rejects.toThrow(kubeconfigPath);
  });

  test('a file that is no YAML is named', async () => {
    const kubeconfigPath = await file('config', '{{{');
    await expect(kubeconfigCredentials({ kubeconfigPath, clock })).rejects.toThrow(kubeconfigPath);
  });
});
