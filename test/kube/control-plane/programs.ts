/** The programs that a control plane is made of, and which versions of them this repository pins. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const programNames = ['kube-apiserver', 'etcd', 'kubectl'] as const;
export type ProgramName = (typeof programNames)[number];

/** Go modules that build them: a folder for each minor version of Kubernetes, and one for etcd. */
const buildFiles = fileURLToPath(new URL('../../../hack/kube', import.meta.url));

/** What is built where, and at which version. */
export interface Pin {
  /** The folder of its `go.mod`. */
  readonly module: string;
  /** Import path of the Go package. */
  readonly package: string;
  /** For example `v1.36.3`. */
  readonly version: string;
}

/** The minor version to use when nobody asks for another by `LOCKKEEPER_KUBE_VERSION`. */
const defaultMinor = '1.36';

/**
 * The minor version of Kubernetes to test against, for example `1.36`.
 *
 * @throws Error if `LOCKKEEPER_KUBE_VERSION` names one that this repository does not pin.
 */
export function wantedMinor(): string {
  const minor = (process.env['LOCKKEEPER_KUBE_VERSION'] ?? defaultMinor).replace(/^v/, '');
  if (!existsSync(join(buildFiles, `v${minor}`, 'go.mod'))) {
    const known = readdirSync(buildFiles).filter((name) => /^v\d/.test(name));
    throw new Error(`LOCKKEEPER_KUBE_VERSION is ${minor}; there are: ${known.join(', ').replaceAll('v', '')}.`);
  }
  return minor;
}

export function pinOf(name: ProgramName, minor: string): Pin {
  if (name === 'etcd') return pin(join(buildFiles, 'etcd'), 'go.etcd.io/etcd/server/v3', 'go.etcd.io/etcd/server/v3');
  return pin(join(buildFiles, `v${minor}`), `k8s.io/kubernetes/cmd/${name}`, 'k8s.io/kubernetes');
}

function pin(module: string, goPackage: string, required: string): Pin {
  const file = readFileSync(join(module, 'go.mod'), 'utf8');
  const version = file.split('\n').flatMap((line) => {
    const [path, found] = line.replace('require ', '').trim().split(' ');
    return path === required && found !== undefined ? [found] : [];
  })[0];
  if (version === undefined) throw new Error(`${module}/go.mod does not require ${required}.`);
  return { module, package: goPackage, version };
}

/** Runs the program and reads its version, for example `v1.36.3`. Undefined if it is not there, or damaged, or says none. */
export function versionOf(name: ProgramName, program: string): Promise<string | undefined> {
  const words = name === 'kubectl' ? ['version', '--client'] : ['--version'];
  return new Promise((resolve) => {
    execFile(program, words, { timeout: 30_000 }, (error, out) => {
      const found = /\bv?(\d+\.\d+\.\d+[\w.+-]*)/.exec(out)?.[1];
      resolve(error === null && found !== undefined ? `v${found}` : undefined);
    });
  });
}
