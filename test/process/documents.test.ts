/**
 * Goal: the commands of the README and of docs/kubectl.md work as written and print what the pages show. Method: they are run in
 * their order against `npm start`, only ports and the kubeconfig's path are others; only tokens, times, ages, versions and ports
 * are masked. `npm run documents` puts what came into the pages instead of comparing, to be reviewed as a diff.
 */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { describe, it } from '@jest/globals';
import { DevProcess } from '../support/dev-process.ts';
import { expectPageToHold } from '../support/documented-page.ts';

const KUBECONFIG = '$PWD/.lockkeeper/kubeconfig';
const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
if (!hasKubectl) console.warn('documents: kubectl is not installed, so pages that use it are skipped');

const pages = ['README.md', 'docs/kubectl.md'];
(hasKubectl ? describe : describe.skip)('the page', () => {
  // oxlint-disable-next-line jest/expect-expect
  it.each(pages)('%s prints what it shows', async (name) => {
    await using server = await DevProcess.start();
    const home = dirname(server.kubeconfig);
    await expectPageToHold(name, {
      prepare: (command) =>
        command
          .replaceAll('localhost:5625', `localhost:${server.port}`)
          .replaceAll(KUBECONFIG, `${server.kubeconfig} HOME=${home}`),
      shown: (output) => output.replaceAll(`localhost:${server.port}`, 'localhost:5625'),
    });
  });
});
