/**
 * Goal: the quick start of the README works as written and prints what it shows. Method: its commands are run in their order
 * against `npm start`, only the port is another; only tokens, times and ports are masked. `README_REWRITE=1` puts what came
 * into the page instead of comparing, to be reviewed as a diff.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { DevProcess, ROOT } from '../support/dev-process.ts';
import { fencesOf, masked, runFences } from '../support/documented-commands.ts';

const REWRITE = process.env['README_REWRITE'] === '1';

it('the quick start prints what it shows', async () => {
  const path = join(ROOT, 'README.md');
  const page = await readFile(path, 'utf8');
  await using server = await DevProcess.start();
  const lines = page.split('\n');
  const insertions: { readonly line: number; readonly length: number; readonly text: string }[] = [];
  const shownNow: object[] = [];
  const shownThen: object[] = [];
  await runFences(fencesOf(page), {
    directory: ROOT,
    prepare: (command) => command.replaceAll('localhost:5625', `localhost:${server.port}`),
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
  for (const { line, length, text } of insertions.reverse())
    lines.splice(line, length, ...(text === '' ? [] : text.split('\n')));
  await writeFile(path, lines.join('\n'));
});
