/** Writing kubeconfig files: one cluster, one user, one context. */
import { writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import type { Access } from './http.ts';

/** Writes a file that only its owner may read. `namespace`: the one that a command without `-n` means. */
export function writeKubeconfig(path: string, access: Access, namespace = 'default'): void {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const { server, authority, certificate, key, token } = access;
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': base64(authority) } }],
    users: [
      {
        name: 'test',
        user: {
          ...(certificate === undefined ? {} : { 'client-certificate-data': base64(certificate) }),
          ...(key === undefined ? {} : { 'client-key-data': base64(key) }),
          ...(token === undefined ? {} : { token }),
        },
      },
    ],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace } }],
    'current-context': 'test',
  };
  writeFileSync(path, stringify(config), { mode: 0o600 });
}
