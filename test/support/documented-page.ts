import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { ROOT } from './node-process.ts';
import { fencesOf, masked, runFences } from './documented-commands.ts';

/** `npm run documents`: what the commands print now goes into the pages, to be reviewed as a diff. */
const REWRITE = process.env['DOCUMENTS_REWRITE'] === '1';

export interface PageOptions {
  /** Changes a command before it runs, for example its port. */
  readonly prepare: (command: string) => string;
  /** Changes what a command printed to what a reader would see. */
  readonly shown: (output: string) => string;
}

/**
 * Runs the commands of a page in their order and expects what it shows; or, when rewriting, puts what came into the page. Only what
 * differs from run to run is masked.
 */
export async function expectPageToHold(name: string, { prepare, shown }: PageOptions): Promise<void> {
  const path = join(ROOT, name);
  const page = await readFile(path, 'utf8');
  const lines = page.split('\n');
  const shownNow: object[] = [];
  const shownThen: object[] = [];
  const insertions: { readonly line: number; readonly length: number; readonly text: string }[] = [];
  await runFences(fencesOf(page), {
    directory: ROOT,
    prepare,
    check: (fence, output) => {
      const text = shown(output.trimEnd());
      const length = fence.text === '' ? 0 : fence.text.split('\n').length;
      insertions.push({ line: fence.line - 1, length, text });
      shownNow.push({ line: fence.line, output: masked(text) });
      shownThen.push({ line: fence.line, output: masked(fence.text) });
    },
  });
  expect(shownNow.length).toBeGreaterThan(6);
  expect(REWRITE ? shownThen : shownNow).toEqual(shownThen);
  if (!REWRITE) return;
  for (const { line, length, text } of insertions.reverse()) lines.splice(line, length, ...text.split('\n'));
  await writeFile(path, lines.join('\n'));
}
