/** The archives of control plane programs that the Kubernetes project publishes for tests (controller-tools, "envtest"). */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { programNames } from './programs.ts';

const publishedIndex = 'https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml';
/** Without internet the answer must not keep anybody waiting. */
const indexTimeoutMs = 4_000;
const archiveTimeoutMs = 10 * 60_000;

/** As archives name this machine, for example `linux-amd64`. */
const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;

export interface EnvtestArchive {
  /** For example `v1.36.0`. */
  readonly version: string;
  readonly url: string;
  /** Of the archive, in hexadecimal. */
  readonly sha512: string;
}

/**
 * The newest archive of this minor version for this machine. Undefined if none was published.
 *
 * @throws Error if the index cannot be read within 4 s.
 */
export async function findEnvtestArchive(minor: string, index = publishedIndex): Promise<EnvtestArchive | undefined> {
  const answer = await fetch(index, { signal: AbortSignal.timeout(indexTimeoutMs) });
  if (!answer.ok) throw new Error(`${index}: ${answer.status}`);
  const { releases } = parse(await answer.text()) as {
    readonly releases: Readonly<Record<string, Readonly<Record<string, { hash: string; selfLink: string }>>>>;
  };
  const version = newest(Object.keys(releases), minor);
  const archive = version === undefined ? undefined : releases[version]?.[`envtest-${version}-${platform}.tar.gz`];
  return version === undefined || archive === undefined
    ? undefined
    : { version, url: archive.selfLink, sha512: archive.hash };
}

/**
 * Downloads the archive and unpacks its programs into `folder`; gives their names.
 *
 * @throws Error if it does not come, or is not what the index says.
 */
export async function downloadEnvtest({ url, sha512 }: EnvtestArchive, folder: string): Promise<readonly string[]> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(archiveTimeoutMs) });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const bytes = Buffer.from(await answer.arrayBuffer());
  const found = createHash('sha512').update(bytes).digest('hex');
  if (found !== sha512) throw new Error(`${url} has the sha512 ${found}, and not ${sha512} as its index says.`);
  const file = join(folder, 'archive.tar.gz');
  writeFileSync(file, bytes);
  // Its files are below controller-tools/envtest.
  await promisify(execFile)('tar', ['-xzf', file, '-C', folder, '--strip-components=2']);
  return programNames.filter((name) => existsSync(join(folder, name)));
}

/** Where the `setup-envtest` command of other projects has put such programs, if it did for this minor version. */
export function setupEnvtestFolder(minor: string): string | undefined {
  const base =
    process.platform === 'darwin'
      ? join(homedir(), 'Library', 'Application Support', 'io.kubebuilder.envtest')
      : join(process.env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'kubebuilder-envtest');
  const store = join(base, 'k8s');
  if (!existsSync(store)) return undefined;
  const names = readdirSync(store).filter((name) => name.endsWith(`-${platform}`));
  const version = newest(
    names.map((name) => `v${name.slice(0, -platform.length - 1)}`),
    minor,
  );
  return version === undefined ? undefined : join(store, `${version.slice(1)}-${platform}`);
}

/** The highest final version of this minor among `versions`. */
function newest(versions: readonly string[], minor: string): string | undefined {
  const patch = (version: string) => Number(version.split('.')[2]);
  return versions
    .filter((version) => version.startsWith(`v${minor}.`) && /^v\d+\.\d+\.\d+$/.test(version))
    .toSorted((one, other) => patch(other) - patch(one))[0];
}
