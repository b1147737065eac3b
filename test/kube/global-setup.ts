/** Before the first test: the one control plane of this Jest run, which dies with it at the latest. */
import { startControlPlane } from './control-plane/control-plane.ts';

/** Jest calls the default exports of the files that its configuration names. */
// oxlint-disable-next-line import/no-default-export
export default async function globalSetup(): Promise<void> {
  const startMs = performance.now();
  const controlPlane = await startControlPlane({ say: (line) => console.log(line) });
  console.log(
    `Kubernetes ${controlPlane.version} for the tests, after ${((performance.now() - startMs) / 1_000).toFixed(1)} s`,
  );
  process.env['LOCKKEEPER_KUBE_DIRECTORY'] = controlPlane.directory;
}
