/** Before the first test: the one control plane of this Jest run, which dies with it at the latest. */
import { startControlPlane } from './control-plane/control-plane.ts';
import { useExistingCluster, wantsExistingCluster } from './control-plane/existing-cluster.ts';

const say = (line: string): void => console.log(line);

/** Jest calls the default exports of the files that its configuration names. */
// oxlint-disable-next-line import/no-default-export
export default async function globalSetup(): Promise<void> {
  const startMs = performance.now();
  const controlPlane = wantsExistingCluster() ? await useExistingCluster(say) : await startControlPlane({ say });
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  if (controlPlane.isOwn) say(`Kubernetes ${controlPlane.version} serves after ${seconds} s`);
  process.env['LOCKKEEPER_KUBE_DIRECTORY'] = controlPlane.directory;
}
