/** Finding the programs of a control plane on this machine. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export interface Binaries {
  readonly apiServer: string;
  readonly etcd: string;
  readonly kubectl: string;
  /** Of the API server, for example `v1.36.3`. */
  readonly version: string;
  /** Where they came from, for people. */
  readonly source: string;
}

/** @throws Error saying what is missing. */
export async function findBinaries(): Promise<Binaries> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'lockkeeper', 'kube');
  const apiServer = join(cache, 'v1.36.3', 'bin', 'kube-apiserver');
  const etcd = join(cache, 'etcd-v3.6.8', 'bin', 'etcd');
  for (const program of [apiServer, etcd]) if (!existsSync(program)) throw new Error(`There is no ${program}.`);
  return { apiServer, etcd, kubectl: 'kubectl', version: 'v1.36.3', source: 'cache' };
}
