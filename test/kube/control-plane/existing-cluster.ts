/** Tests on a cluster that is there already: `USE_EXISTING_CLUSTER=true` and the current kubeconfig, as elsewhere. */
import { mkdtempSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Say, findBinary } from './binaries.ts';
import { ControlPlane } from './control-plane.ts';
import { HttpClient, accessFromKubeconfig } from './http.ts';
import { type ControlPlaneState, writeState } from './state.ts';

/** Whether the tests shall use a cluster that is there already. */
export function wantsExistingCluster(): boolean {
  return process.env['USE_EXISTING_CLUSTER'] === 'true';
}

/**
 * The cluster of the current context of `$KUBECONFIG` or `~/.kube/config`. Nothing of it is started or ended.
 *
 * @throws Error if it does not answer.
 */
export async function useExistingCluster(say: Say): Promise<ControlPlane> {
  const kubeconfigPath = process.env['KUBECONFIG']?.split(delimiter)[0] || join(homedir(), '.kube', 'config');
  using http = new HttpClient(accessFromKubeconfig(kubeconfigPath));
  const { gitVersion: version } = await http.get('/version');
  const kubectl = (await findBinary('kubectl', say)).path;
  const directory = mkdtempSync(join(tmpdir(), 'lockkeeper-kube-'));
  const state: ControlPlaneState = { version, kubeconfigPath, kubectl };
  writeState(directory, state);
  say(`Kubernetes ${version} at ${http.access.server}, which is not ours`);
  return new ControlPlane(directory, state);
}
