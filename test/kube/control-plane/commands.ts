/** The command lines of a control plane's programs. */
import { join } from 'node:path';
import type { OwnPrograms } from './state.ts';

export function etcdArguments({ etcd, dataDirectory }: OwnPrograms): string[] {
  const { clientPort, peerPort, version } = etcd;
  // A machine that loses power loses the tests anyway.
  const withoutFsync = /^v3\.[0-4]\./.test(version) ? [] : ['--unsafe-no-fsync'];
  return [
    '--name=test',
    `--data-dir=${dataDirectory}`,
    `--listen-client-urls=http://127.0.0.1:${clientPort}`,
    `--advertise-client-urls=http://127.0.0.1:${clientPort}`,
    `--listen-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peerPort}`,
    `--initial-cluster=test=http://127.0.0.1:${peerPort}`,
    '--log-level=warn',
    ...withoutFsync,
  ];
}

/** RBAC is on, service accounts have working tokens, every request is in the audit log before it is handled. */
export function apiServerArguments(directory: string, { etcd, apiServer }: OwnPrograms): string[] {
  const file = (name: string) => join(directory, name);
  return [
    `--etcd-servers=http://127.0.0.1:${etcd.clientPort}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${apiServer.port}`,
    `--tls-cert-file=${file('serving.crt')}`,
    `--tls-private-key-file=${file('serving.key')}`,
    `--client-ca-file=${file('authority.crt')}`,
    `--cert-dir=${directory}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.0.0.0/24',
    '--allow-privileged=true',
    // Without kube-controller-manager nobody makes the account "default" that it asks of every namespace.
    '--disable-admission-plugins=ServiceAccount',
    `--service-account-issuer=https://127.0.0.1:${apiServer.port}/`,
    `--service-account-key-file=${file('service-accounts.pub')}`,
    `--service-account-signing-key-file=${file('service-accounts.key')}`,
    '--endpoint-reconciler-type=none',
    '--profiling=false',
    `--audit-policy-file=${file('audit-policy.yaml')}`,
    `--audit-log-path=${file('audit.log')}`,
    '--audit-log-mode=blocking',
    // In MiB: never rotated, since a reader follows the one file.
    '--audit-log-maxsize=1000000',
  ];
}
