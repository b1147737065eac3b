/**
 * Goal: the rules of the house hold in every file, and a failure says where and what to do instead.
 * Method: each rule is applied to the whole tree, and to a few lines that break it, so that it is known to be able to fail.
 */
import { readFile, readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { type SourceText, defaultExports, directTouches, overlongFiles } from './house-rules.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

async function filesBelow(folder: string): Promise<SourceText[]> {
  const names = await readdir(`${repository}/${folder}`, { recursive: true });
  const paths = names.filter((name) => name.endsWith('.ts')).map((name) => `${folder}/${name.replaceAll('\\', '/')}`);
  return Promise.all(paths.map(async (path) => ({ path, text: await readFile(`${repository}/${path}`, 'utf8') })));
}

const product = await filesBelow('src');
const tests = await filesBelow('test');

function inFile(path: string, ...lines: readonly string[]): SourceText {
  return { path, text: `${lines.join('\n')}\n` };
}

test('the tree was read', () => {
  expect(product.length).toBeGreaterThan(10);
  expect(tests.length).toBeGreaterThan(5);
});

describe('only src/system touches time, chance and the process', () => {
  test('in the whole tree', () => {
    expect(product.flatMap(directTouches)).toEqual([]);
  });

  test.each([
    ['Date.now();', 'Date.now: use Clock.wallMs in src/system/clock.ts'],
    ['new Date();', 'new Date: use Clock.wallMs in src/system/clock.ts'],
    ['Date();', 'Date: use Clock.wallMs in src/system/clock.ts'],
    ['performance.now();', 'performance.now: use Clock.monotonicMs in src/system/clock.ts'],
    ['process.hrtime();', 'process.hrtime: use Clock.monotonicMs in src/system/clock.ts'],
    ['setTimeout(run, 1);', 'setTimeout: use Timers.after or sleep in src/system/timers.ts'],
    ['globalThis.setTimeout(run, 1);', 'setTimeout: use Timers.after or sleep in src/system/timers.ts'],
    ['const later = { setInterval };', 'setInterval: use Timers.after or sleep in src/system/timers.ts'],
    ['AbortSignal.timeout(1);', 'AbortSignal.timeout: use Timers.after or sleep in src/system/timers.ts'],
    ['await new Promise(setImmediate);', 'setImmediate: use Timers.soon in src/system/timers.ts'],
    ['Math.random();', 'Math.random: use Random in src/system/random.ts'],
    ['crypto.randomUUID();', 'crypto.randomUUID: use Random in src/system/random.ts'],
    ['globalThis.crypto.getRandomValues(a);', 'crypto.getRandomValues: use Random in src/system/random.ts'],
    ['process.env.HOME;', 'process.env: use readEnvironment in src/system/environment.ts'],
    ["process['env'];", 'process.env: use readEnvironment in src/system/environment.ts'],
    ['process.exit(1);', 'process.exit: use exitWhenIdle or exitNow in src/system/exit.ts'],
    ['process.exitCode = 1;', 'process.exitCode: use exitWhenIdle or exitNow in src/system/exit.ts'],
    ["process.on('SIGTERM', run);", 'process.on: use onStop in src/system/signals.ts'],
    [
      "import { setTimeout as wait } from 'timers/promises';",
      'import of timers/promises: use Timers in src/system/timers.ts',
    ],
    ["import { randomBytes as some } from 'node:crypto';", 'randomBytes: use Random in src/system/random.ts'],
    [
      "import { performance as p } from 'node:perf_hooks';",
      'performance: use Clock.monotonicMs in src/system/clock.ts',
    ],
    [
      "import { env } from 'node:process';",
      'import of node:process: use environment.ts, exit.ts and signals.ts in src/system',
    ],
  ])('%s', (line, complaint) => {
    expect(directTouches(inFile('src/server/late.ts', '', line))).toContain(`src/server/late.ts:2: ${complaint}`);
    expect(directTouches(inFile('src/system/door.ts', '', line))).toEqual([]);
  });

  test.each([
    ['a comment', '// setTimeout and Date.now()'],
    ['a string', "const text = 'Math.random()';"],
    ['a given moment', 'const date = new Date(nowMs);'],
    ['a property of that name', 'timers.setTimeout(run); const options = { setTimeout: 1 }; fake.performance;'],
    ['a type', "let timer: ReturnType<typeof setTimeout>; import type { UUID } from 'node:crypto';"],
    ['another export', "import { createHash } from 'node:crypto'; process.pid; process.stdout.write('');"],
  ])('%s is no touch', (_what, line) => {
    expect(directTouches(inFile('src/server/fine.ts', line))).toEqual([]);
  });
});

describe('every file is short enough to be read', () => {
  const lines = (count: number) => Array.from({ length: count }, () => ';');

  test('in the whole tree', () => {
    expect([...product, ...tests].flatMap(overlongFiles)).toEqual([]);
  });

  test('a file ends at 500 lines', () => {
    expect(overlongFiles(inFile('src/server/long.ts', ...lines(500)))).toEqual([]);
    expect(overlongFiles(inFile('src/server/long.ts', ...lines(501)))).toEqual([
      'src/server/long.ts: 501 lines, at most 500: split it by noun',
    ]);
  });

  test('a main.ts stays under 60 lines', () => {
    expect(overlongFiles(inFile('src/operator/main.ts', ...lines(59)))).toEqual([]);
    expect(overlongFiles(inFile('src/operator/main.ts', ...lines(60)))).toEqual([
      'src/operator/main.ts: 60 lines, under 60 in a main.ts: move the wiring into its own file',
    ]);
  });
});

describe('every export has a name', () => {
  test('in the whole tree', () => {
    expect(product.flatMap(defaultExports)).toEqual([]);
  });

  test.each(['export default 1;', 'export default function run() {}', 'export { run as default };'])('%s', (line) => {
    expect(defaultExports(inFile('src/sdk/index.ts', line))).toEqual(['src/sdk/index.ts:1: default export: name it']);
  });

  test('a named export is fine', () => {
    expect(defaultExports(inFile('src/sdk/index.ts', 'export const run = 1; export { run as walk };'))).toEqual([]);
  });
});
