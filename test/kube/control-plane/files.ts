/** What a control plane keeps in its folder, apart from the logs of its programs. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { auditPolicy } from './audit-policy.ts';
import { type Credential, createAuthority, createClient, createServing, createSigningKeys } from './certificates.ts';
import { writeKubeconfig } from './kubeconfig.ts';

const memoryFileSystem = '/dev/shm';
/** A container often has 64 MiB there, which is what the first file of etcd's log takes. */
const memoryBytesMin = 1 << 30;

/** For etcd: in memory if there is room, where a write costs nothing. */
export function newDataDirectory(directory: string): string {
  if (!hasMemoryFileSystem()) return join(directory, 'etcd-data');
  return mkdtempSync(join(memoryFileSystem, 'lockkeeper-etcd-'));
}

function hasMemoryFileSystem(): boolean {
  if (!existsSync(memoryFileSystem)) return false;
  const { bavail, bsize } = statfsSync(memoryFileSystem);
  return bavail * bsize >= memoryBytesMin;
}

/** Certificates, keys, the audit policy, and the kubeconfig of a user who may do everything, whose path it gives. */
export async function writeFiles(directory: string, server: string): Promise<string> {
  const write = (name: string, text: string) => writeFileSync(join(directory, name), text, { mode: 0o600 });
  const authority = await createAuthority();
  const serving = await createServing(authority);
  const admin = await createClient(authority, { user: 'admin', groups: ['system:masters'] });
  const serviceAccounts = await createSigningKeys();
  write('authority.crt', authority.certificate);
  write('authority.key', authority.key);
  write('serving.crt', serving.certificate);
  write('serving.key', serving.key);
  write('service-accounts.pub', serviceAccounts.publicKey);
  write('service-accounts.key', serviceAccounts.privateKey);
  write('audit-policy.yaml', auditPolicy());
  const kubeconfigPath = join(directory, 'kubeconfig');
  writeKubeconfig(kubeconfigPath, { server, authority: authority.certificate, ...admin });
  return kubeconfigPath;
}

/** The authority that signs client certificates of the control plane in this folder. */
export function readAuthority(directory: string): Credential {
  const file = (name: string) => readFileSync(join(directory, name), 'utf8');
  return { certificate: file('authority.crt'), key: file('authority.key') };
}

/** Names of everything that a control plane puts into its folder. */
const ownFiles =
  /^(authority|serving|service-accounts)\.|^audit|^kubeconfig|^snapshot-|^state\.json$|^(etcd|kube-apiserver)\.(log|pid)$|^etcd-data$|^\.kube$/;

/** Removes them, and the folder too if nothing else is in it. */
export function removeFiles(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) {
    if (ownFiles.test(name)) rmSync(join(directory, name), { recursive: true, force: true });
  }
  if (readdirSync(directory).length === 0) rmSync(directory, { recursive: true });
}
