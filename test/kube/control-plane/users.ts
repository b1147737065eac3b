/** Users of few rights, for tests of what our programs may do. */
import { join } from 'node:path';
import { type Identity, createClient } from './certificates.ts';
import { readAuthority } from './files.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import type { TestCluster } from './test-cluster.ts';

/** A rule of a Role or ClusterRole. */
export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
  /** What it may do in its namespace. Default: nothing. */
  readonly rules?: readonly Rule[];
  /** What it may do everywhere. Default: nothing. */
  readonly clusterRules?: readonly Rule[];
  /** Whom its token is for. Default: the API server. */
  readonly audience?: string;
}

let files = 0;

function newPath(directory: string): string {
  files += 1;
  return join(directory, `kubeconfig-${process.pid}-${files}`);
}

/**
 * Writes a kubeconfig for a user of these groups, who may do nothing but what RBAC gives, into the folder of a control
 * plane of ours; gives its path.
 */
export async function kubeconfigForUser(directory: string, server: string, identity: Identity): Promise<string> {
  const authority = readAuthority(directory);
  const client = await createClient(authority, identity);
  const path = newPath(directory);
  writeKubeconfig(path, { server, authority: authority.certificate, ...client });
  return path;
}

/** Creates a service account with its rights and writes a kubeconfig with a token of an hour into `directory`; gives its path. */
export async function kubeconfigForServiceAccount(
  { http }: Pick<TestCluster, 'http'>,
  directory: string,
  { namespace, name, rules = [], clusterRules = [], audience }: ServiceAccount,
): Promise<string> {
  const core = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const create = (path: string, body: unknown) => http.expectSuccess('POST', path, { body });
  await create(core, { metadata: { name } });
  if (rules.length > 0) {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
    await create(`${rbac}/namespaces/${namespace}/roles`, { metadata: { name }, rules });
    await create(`${rbac}/namespaces/${namespace}/rolebindings`, { metadata: { name }, roleRef, subjects });
  }
  if (clusterRules.length > 0) {
    const metadata = { name: `${namespace}-${name}` };
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: metadata.name };
    await create(`${rbac}/clusterroles`, { metadata, rules: clusterRules });
    await create(`${rbac}/clusterrolebindings`, { metadata, roleRef, subjects });
  }
  const spec = { expirationSeconds: 3_600, ...(audience === undefined ? {} : { audiences: [audience] }) };
  const { status } = await create(`${core}/${name}/token`, { spec });
  const { server, authority } = http.access;
  const path = newPath(directory);
  writeKubeconfig(path, { server, authority, token: status.token }, namespace);
  return path;
}
