/** Getting the programs of a control plane: those of this machine if it has them, else published or built ones. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheDirectory, publish, whileLocked } from './cache.ts';
import { downloadEnvtest, findEnvtestArchive, setupEnvtestFolder } from './envtest.ts';
import { findGo, goBuild } from './go-build.ts';
import { type Pin, type ProgramName, pinOf, programNames, versionOf, wantedMinor } from './programs.ts';

export interface Binary {
  readonly path: string;
  /** For example `v1.36.3`. */
  readonly version: string;
}

export type Binaries = Readonly<Record<ProgramName, Binary>>;

/** There are no programs, and no means of getting them. */
export class NoBinariesError extends Error {}

/** Tells people what is used, a line each. */
export type Say = (line: string) => void;

/** Gets every program of a control plane, as `findBinary` does. */
export async function findBinaries(say: Say): Promise<Binaries> {
  const found: Partial<Record<ProgramName, Binary>> = {};
  for (const name of programNames) found[name] = await findBinary(name, say);
  return found as Binaries;
}

/**
 * The first of: `TEST_ASSET_KUBE_APISERVER`, `TEST_ASSET_ETCD`, `TEST_ASSET_KUBECTL`; `KUBEBUILDER_ASSETS`; what
 * setup-envtest has downloaded; our cache; for kubectl the one on the PATH; the published envtest archive; a build from
 * published Go modules, which takes some minutes. The last two go to our cache.
 *
 * @throws NoBinariesError saying what to do; Error if a build fails, or a variable names a program that does not run.
 */
export async function findBinary(name: ProgramName, say: Say): Promise<Binary> {
  const startMs = performance.now();
  const minor = wantedMinor();
  const [binary, source] = (await onThisMachine(name, minor)) ?? (await made(name, minor, say));
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  say(`${name} ${binary.version} from ${source} (${binary.path}), ${seconds} s`);
  return binary;
}

type Found = readonly [binary: Binary, source: string];

async function onThisMachine(name: ProgramName, minor: string): Promise<Found | undefined> {
  const variable = `TEST_ASSET_${name.toUpperCase().replace('-', '_')}`;
  for (const [source, path] of [
    [variable, process.env[variable]],
    ['KUBEBUILDER_ASSETS', inFolder(process.env['KUBEBUILDER_ASSETS'], name)],
  ] as const) {
    if (!path) continue;
    const version = await versionOf(name, path);
    if (version === undefined) throw new Error(`${source} leads to ${path}, which is no ${name} that runs.`);
    return [{ path, version }, source];
  }
  const { version: pinned } = pinOf(name, minor);
  for (const [source, path] of [
    ["setup-envtest's folder", inFolder(setupEnvtestFolder(minor), name)],
    ['the cache', inFolder(builtFolder(name, pinned), name)],
    ['the cache', inFolder(downloadedFolder(minor), name)],
    ['the PATH', name === 'kubectl' ? onPath(name) : undefined],
  ] as const) {
    // One that does not run, say since its download was interrupted, is as good as none.
    const version = path === undefined ? undefined : await versionOf(name, path);
    if (path !== undefined && version !== undefined) return [{ path, version }, source];
  }
  return undefined;
}

async function made(name: ProgramName, minor: string, say: Say): Promise<Found> {
  const onWait = (pid: number) => say(`Process ${pid} is getting ${name} just now; waiting for it.`);
  return whileLocked(cacheDirectory(), onWait, async () => {
    // Another process may have made it meanwhile.
    const byOther = await onThisMachine(name, minor);
    if (byOther) return byOther;
    const downloadFailure = await download(minor, say).catch((error: Error) => error);
    const downloaded = await onThisMachine(name, minor);
    if (downloaded) return downloaded;
    return [await build(name, pinOf(name, minor), say, downloadFailure), 'a build'];
  });
}

/** One attempt in a process is enough: without internet it takes seconds. */
const downloads = new Map<string, Promise<Error | undefined>>();

function download(minor: string, say: Say): Promise<Error | undefined> {
  const attempt = async () => {
    const archive = await findEnvtestArchive(minor);
    if (!archive) return new Error(`no envtest archive of Kubernetes ${minor} for this machine was published`);
    say(`Downloading ${archive.url}`);
    await publish(downloadedFolder(minor), (folder) => downloadEnvtest(archive, folder));
    return undefined;
  };
  const known = downloads.get(minor) ?? attempt().catch((error: unknown) => error as Error);
  downloads.set(minor, known);
  return known;
}

async function build(name: ProgramName, pin: Pin, say: Say, downloadFailure: Error | undefined): Promise<Binary> {
  const go = findGo();
  if (go === undefined) {
    const cause = downloadFailure?.cause instanceof Error ? downloadFailure.cause : downloadFailure;
    throw new NoBinariesError(
      `There is no ${name} on this machine: install Go so that one can be built, or set KUBEBUILDER_ASSETS to a folder ` +
        `that has one. Downloading one failed (${cause?.message ?? 'the archive lacks it'}).`,
    );
  }
  const directory = builtFolder(name, pin.version);
  const logPath = join(cacheDirectory(), `build-${name}.log`);
  say(`Building ${name} ${pin.version} with ${go}, which takes minutes; its output goes to ${logPath}.`);
  await publish(directory, async (folder) => {
    await goBuild(go, pin, join(folder, name), logPath);
    return [name];
  });
  const path = join(directory, name);
  const version = await versionOf(name, path);
  if (version === undefined) throw new Error(`${path} was built and does not run.`);
  return { path, version };
}

function builtFolder(name: ProgramName, version: string): string {
  return join(cacheDirectory(), name === 'etcd' ? `etcd-${version}` : version, 'bin');
}

function downloadedFolder(minor: string): string {
  return join(cacheDirectory(), `envtest-v${minor}`, 'bin');
}

function inFolder(folder: string | undefined, name: ProgramName): string | undefined {
  const path = folder ? join(folder, name) : undefined;
  return path !== undefined && existsSync(path) ? path : undefined;
}

function onPath(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}
