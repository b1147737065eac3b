import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Name of the cluster, the user and the context. */
const NAME = 'lockkeeper-dev';

/** The kubeconfig for an embedded Kubernetes API on this machine, as text. */
export function kubeconfigOf(port: number): string {
  // JSON is YAML; written by hand because people read it.
  return `apiVersion: v1
kind: Config
clusters:
- name: ${NAME}
  cluster:
    server: http://127.0.0.1:${port}
users:
- name: ${NAME}
  user: {}
contexts:
- name: ${NAME}
  context:
    cluster: ${NAME}
    user: ${NAME}
    namespace: default
current-context: ${NAME}
`;
}

/** Writes a kubeconfig that only this user can read, with its directory, all or nothing. */
export async function writeKubeconfig(path: string, port: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const unfinished = `${path}.new-${process.pid}`;
  await writeFile(unfinished, kubeconfigOf(port), { mode: 0o600 });
  await rename(unfinished, path);
}
