/**
 * Goal: the tour of docs/kubernetes.md works as written on a real cluster, from `kubectl apply -f crds/` on, and prints what the page
 * shows. Method: a control plane of its own, since the tour begins with an empty one; the commands are run in their order, only
 * the kubeconfig and the port are others; only tokens, times, ages, versions and ports are masked. `npm run documents` puts what
 * came into the page instead of comparing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from '@jest/globals';
import { expectPageToHold } from '../support/documented-page.ts';
import { startControlPlane } from './control-plane/control-plane.ts';
import { freePort } from './control-plane/ports.ts';
import { describeOnOwnControlPlane } from './own-control-plane.ts';

describeOnOwnControlPlane('the page', () => {
  // oxlint-disable-next-line jest/expect-expect
  it('docs/kubernetes.md prints what it shows', async () => {
    await using controlPlane = await startControlPlane();
    const home = mkdtempSync(join(tmpdir(), 'lockkeeper-home-'));
    const port = await freePort();
    const { kubeconfigPath, server } = controlPlane;
    const start = `exec '${process.execPath}' --disable-warning=ExperimentalWarning src/dev/main.ts --port ${port} `;
    try {
      await expectPageToHold('docs/kubernetes.md', {
        prepare: (command) =>
          command
            .replaceAll('localhost:5625', `localhost:${port}`)
            .replaceAll('export KUBECONFIG=~/.kube/config', `export KUBECONFIG=${kubeconfigPath} HOME=${home}`)
            .replaceAll('npm start -- ', start)
            .replaceAll('~/.kube/config', kubeconfigPath),
        shown: (output) =>
          output
            .replaceAll(server, 'https://127.0.0.1:6443')
            .replaceAll(kubeconfigPath, '/home/you/.kube/config')
            .replaceAll(`:${port}`, ':5625'),
      });
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  }, 300_000);
});
