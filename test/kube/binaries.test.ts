/**
 * Goal: the programs of a control plane come from where they should, whole, and nobody gets a damaged one.
 * Method: cache, lock and download with small files on a server of this machine; the order with the programs of this run.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { findBinary } from './control-plane/binaries.ts';
import { publish, whileLocked } from './control-plane/cache.ts';
import { downloadEnvtest, findEnvtestArchive } from './control-plane/envtest.ts';
import { goBuild } from './control-plane/go-build.ts';
import { pinOf, versionOf, wantedMinor } from './control-plane/programs.ts';

const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
const variables = [
  'XDG_CACHE_HOME',
  'XDG_DATA_HOME',
  'KUBEBUILDER_ASSETS',
  'TEST_ASSET_ETCD',
  'LOCKKEEPER_KUBE_VERSION',
];
const given = Object.fromEntries(variables.map((name) => [name, process.env[name]]));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lockkeeper-binaries-'));
});

afterEach(() => {
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(folder, { recursive: true });
});

/** A program that prints this. */
function script(path: string, text: string): string {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho '${text}'\n`);
  chmodSync(path, 0o755);
  return path;
}

describe('a program', () => {
  test('says its version', async () => {
    const etcd = script(join(folder, 'etcd'), 'etcd Version: 3.6.8\nGo Version: go1.26.8');
    expect(await versionOf('etcd', etcd)).toBe('v3.6.8');
  });

  test.each([
    ['is not there', () => {}],
    [
      'is cut short',
      (path: string) => writeFileSync(path, readFileSync(process.execPath).subarray(0, 4_096), { mode: 0o755 }),
    ],
    ['is empty', (path: string) => writeFileSync(path, '', { mode: 0o755 })],
    ['fails', (path: string) => writeFileSync(path, '#!/bin/sh\necho 1.2.3\nexit 1\n', { mode: 0o755 })],
  ])('that %s has none', async (_what, make) => {
    make(join(folder, 'etcd'));
    expect(await versionOf('etcd', join(folder, 'etcd'))).toBeUndefined();
  });
});

describe('the order', () => {
  const said: string[] = [];
  const find = () => findBinary('etcd', (line) => said.push(line));

  test('a variable of the program comes before a folder of programs, that before other tools, those before the cache', async () => {
    const pinned = pinOf('etcd', wantedMinor()).version;
    process.env['XDG_CACHE_HOME'] = folder;
    const cached = script(join(folder, 'lockkeeper', 'kube', `etcd-${pinned}`, 'bin', 'etcd'), 'etcd Version: 3.6.1');
    expect((await find()).path).toBe(cached);
    process.env['XDG_DATA_HOME'] = folder;
    const store = join(folder, 'kubebuilder-envtest', 'k8s');
    script(join(store, `1.99.0-${platform}`, 'etcd'), 'etcd Version: 3.6.9');
    script(join(store, `${wantedMinor()}.2-${platform}`, 'etcd'), 'etcd Version: 3.6.2');
    const downloaded = script(join(store, `${wantedMinor()}.10-${platform}`, 'etcd'), 'etcd Version: 3.6.3');
    expect((await find()).path).toBe(downloaded);
    process.env['KUBEBUILDER_ASSETS'] = join(folder, 'assets');
    const asset = script(join(folder, 'assets', 'etcd'), 'etcd Version: 3.6.4');
    expect(await find()).toEqual({ path: asset, version: 'v3.6.4' });
    process.env['TEST_ASSET_ETCD'] = script(join(folder, 'etcd'), 'etcd Version: 3.6.5');
    expect(await find()).toEqual({ path: join(folder, 'etcd'), version: 'v3.6.5' });
    expect(said.at(-1)).toContain('etcd v3.6.5 from TEST_ASSET_ETCD');
  });

  test('a variable that leads to nothing is an error, not passed over', async () => {
    process.env['TEST_ASSET_ETCD'] = join(folder, 'nothing');
    await expect(find()).rejects.toThrow(`TEST_ASSET_ETCD leads to ${folder}/nothing, which is no etcd that runs`);
  });

  test('another minor version can be asked for, if it is pinned here', () => {
    process.env['LOCKKEEPER_KUBE_VERSION'] = '1.35';
    expect(pinOf('kube-apiserver', wantedMinor()).version).toMatch(/^v1\.35\.\d+$/);
    process.env['LOCKKEEPER_KUBE_VERSION'] = '1.2';
    expect(wantedMinor).toThrow('LOCKKEEPER_KUBE_VERSION is 1.2; there are: 1.35, 1.36.');
  });
});

describe('the cache', () => {
  test('gets whole files only, and a later attempt sweeps away what an interrupted one left', async () => {
    const directory = join(folder, 'bin');
    const interrupted = publish(directory, async (inside) => {
      writeFileSync(join(inside, 'half'), 'half');
      throw new Error('interrupted');
    });
    await expect(interrupted).rejects.toThrow('interrupted');
    expect(existsSync(directory)).toBe(false);
    await publish(directory, async (inside) => {
      expect(readdirSync(inside)).toEqual([]);
      writeFileSync(join(inside, 'whole'), 'whole');
      writeFileSync(join(inside, 'rest'), 'rest');
      return ['whole'];
    });
    expect(readdirSync(directory)).toEqual(['whole']);
  });

  test('is filled by one process at a time', async () => {
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all([1, 2, 3].map(() => whileLocked(folder, () => {}, work)));
    expect(most).toBe(1);
  });

  test('is not blocked by a process that died', async () => {
    const child = execFileSync('sh', ['-c', 'echo $$']).toString().trim();
    writeFileSync(join(folder, 'lock'), child);
    expect(
      await whileLocked(
        folder,
        () => {},
        async () => 'done',
      ),
    ).toBe('done');
    expect(existsSync(join(folder, 'lock'))).toBe(false);
  });

  test('is waited for while its process lives', async () => {
    writeFileSync(join(folder, 'lock'), String(process.ppid));
    const waited: number[] = [];
    const work = whileLocked(
      folder,
      (pid) => {
        waited.push(pid);
        rmSync(join(folder, 'lock'));
      },
      async () => 'done',
    );
    expect(await work).toBe('done');
    expect(waited).toEqual([process.ppid]);
  });
});

describe('published archives', () => {
  let server: Server;
  let base: string;
  let archive: Buffer;

  beforeEach(async () => {
    const inside = join(folder, 'controller-tools', 'envtest');
    for (const name of ['etcd', 'kube-apiserver']) script(join(inside, name), '1.99.10');
    execFileSync('tar', ['-czf', 'archive.tar.gz', 'controller-tools'], { cwd: folder });
    archive = readFileSync(join(folder, 'archive.tar.gz'));
    server = createServer((request, response) => response.end(request.url === '/index' ? index() : archive));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => new Promise((resolve) => server.close(resolve)));

  const sha512 = () => createHash('sha512').update(archive).digest('hex');
  const index = () =>
    ['v1.99.2', 'v1.99.10', 'v1.99.11-rc.1', 'v1.100.0']
      .map(
        (version) =>
          `  ${version}:\n    envtest-${version}-${platform}.tar.gz: {hash: ${sha512()}, selfLink: ${base}/a}`,
      )
      .join('\n')
      .replace(/^/, 'releases:\n');

  test('the newest of a minor version is taken, and its programs run', async () => {
    const newest = { version: 'v1.99.10', url: `${base}/a`, sha512: sha512() };
    expect(await findEnvtestArchive('1.99', `${base}/index`)).toEqual(newest);
    const target = join(folder, 'bin');
    mkdirSync(target);
    expect(await downloadEnvtest(newest, target)).toEqual(['kube-apiserver', 'etcd']);
    expect(await versionOf('kube-apiserver', join(target, 'kube-apiserver'))).toBe('v1.99.10');
  });

  test('there may be none', async () => {
    expect(await findEnvtestArchive('1.98', `${base}/index`)).toBeUndefined();
  });

  test('one that is not what the index says is refused', async () => {
    const wrong = { version: 'v1.99.10', url: `${base}/a`, sha512: '0'.repeat(128) };
    await expect(downloadEnvtest(wrong, folder)).rejects.toThrow('has the sha512');
  });
});

test('a build that fails says what Go said', async () => {
  mkdirSync(join(folder, 'module'));
  const go = join(folder, 'go');
  copyFileSync('/bin/sh', go);
  const pin = { module: join(folder, 'module'), package: 'example.org/none', version: 'v1.0.0' };
  await expect(goBuild(go, pin, join(folder, 'target'), join(folder, 'log'))).rejects.toThrow(
    /could not build example.org\/none. The end of .*log:\n.*build/,
  );
});
