/**
 * Goal: the commands of the README and of docs/kubectl.md work as written and print what the pages show. Method: they are run in
 * their order against `npm start`, only ports and the kubeconfig's path are others; only tokens, times, ages, versions and ports
 * are masked. `npm run documents` puts what came into the pages instead of comparing, to be reviewed as a diff.
 */
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { DevProcess, ROOT } from '../support/dev-process.ts';
import { fencesOf, masked, runFences } from '../support/documented-commands.ts';

const REWRITE = process.env['DOCUMENTS_REWRITE'] === '1';
const KUBECONFIG = '$PWD/.lockkeeper/kubeconfig';
const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
if (!hasKubectl) console.warn('documents: kubectl is not installed, so pages that use it are skipped');

const pages = ['README.md', 'docs/kubectl.md'];
(hasKubectl ? describe : describe.skip)('the page', () => {
  it.each(pages)('%s prints what it shows', async (name) => {
    const path = join(ROOT, name);
    const page = await readFile(path, 'utf8');
    await using server = await DevProcess.start();
    const lines = page.split('\n');
    const shownNow: object[] = [];
    const shownThen: object[] = [];
    const insertions: { readonly line: number; readonly length: number; readonly text: string }[] = [];
    const home = dirname(server.kubeconfig);
    await runFences(fencesOf(page), {
      directory: ROOT,
      prepare: (command) =>
        command
          .replaceAll('localhost:5625', `localhost:${server.port}`)
          .replaceAll(KUBECONFIG, `${server.kubeconfig} HOME=${home}`),
      check: (fence, output) => {
        const shown = output.trimEnd().replaceAll(`localhost:${server.port}`, 'localhost:5625');
        const length = fence.text === '' ? 0 : fence.text.split('\n').length;
        insertions.push({ line: fence.line - 1, length, text: shown });
        shownNow.push({ line: fence.line, output: masked(shown) });
        shownThen.push({ line: fence.line, output: masked(fence.text) });
      },
    });
    expect(shownNow.length).toBeGreaterThan(6);
    expect(REWRITE ? shownThen : shownNow).toEqual(shownThen);
    if (!REWRITE) return;
    for (const { line, length, text } of insertions.reverse()) lines.splice(line, length, ...text.split('\n'));
    await writeFile(path, lines.join('\n'));
  });
});
