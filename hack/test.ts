/**
 * `npm test`: every suite, one after the other, and a last line `N passed, N failed`.
 *
 * `npm test -- --suite unit --suite contract` runs only those; any other argument goes to their commands, so
 * `npm test -- --suite unit clock` runs the unit tests of files whose path contains `clock`.
 * Fails if a test failed, if none ran, or, with CI=true, if one was skipped.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest, repository, run } from './run.ts';

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Suite {
  readonly name: string;
  readonly command: readonly string[];
  /** Reads the counts of a finished run from its output, or from a file it wrote. Undefined: there are none to read. */
  readonly counts: (output: string) => Counts | undefined;
}

const reports = mkdtempSync(join(tmpdir(), 'lockkeeper-test-'));
const isCi = process.env['CI'] === 'true';

/** A Jest project of `jest.config.js`. */
function jestSuite(name: string, ...args: readonly string[]): Suite {
  const report = join(reports, `${name}.json`);
  return {
    name,
    command: jest('--selectProjects', name, '--json', '--outputFile', report, ...(isCi ? ['--ci'] : []), ...args),
    counts: () => {
      if (!existsSync(report)) return undefined;
      const result = JSON.parse(readFileSync(report, 'utf8')) as Record<string, number>;
      const count = (key: string) => result[key] ?? 0;
      return {
        passed: count('numPassedTests'),
        // A file that could not even be loaded has no tests to fail.
        failed: count('numFailedTests') + count('numRuntimeErrorTestSuites'),
        skipped: count('numPendingTests') + count('numTodoTests'),
      };
    },
  };
}

/** Seeds of the simulator that every test run plays, and one of them twice. Node runs them directly: far faster than in Jest. */
const SIMULATED_SEEDS = 20;

const simulation: Suite = {
  name: 'sim',
  command: ['node', '--disable-warning=ExperimentalWarning', 'test/sim/main.ts', '--check', String(SIMULATED_SEEDS)],
  counts: (output) => {
    const [, passed, failed] = /^(\d+) passed, (\d+) failed$/m.exec(output) ?? [];
    return passed === undefined ? undefined : { passed: Number(passed), failed: Number(failed), skipped: 0 };
  },
};

/** Jest suites of folders that do not exist are left out; the process suite runs one file at a time. */
const suites: readonly Suite[] = [
  jestSuite('unit'),
  jestSuite('property'),
  jestSuite('contract'),
  jestSuite('golden'),
  simulation,
  jestSuite('socket'),
  jestSuite('process', '--runInBand'),
].filter(({ name }) => existsSync(join(repository, 'test', name)));

function parse(args: readonly string[]): { readonly chosen: readonly Suite[]; readonly rest: readonly string[] } {
  const names: string[] = [];
  const rest: string[] = [];
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index] ?? '';
    if (arg === '--suite') names.push(args[(index += 1)] ?? '');
    else rest.push(arg);
  }
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    throw new Error(`No such suite: ${unknown.join(', ')}. There are: ${suites.map(({ name }) => name).join(', ')}.`);
  }
  return { chosen: names.length === 0 ? suites : suites.filter(({ name }) => names.includes(name)), rest };
}

/** A suite that ended badly without saying which test failed counts as one failure. */
function judged(counts: Counts | undefined, exitCode: number): Counts {
  const { passed, failed, skipped } = counts ?? { passed: 0, failed: 1, skipped: 0 };
  return { passed, failed: failed === 0 && exitCode !== 0 ? 1 : failed, skipped };
}

function inWords({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

async function runAll(): Promise<number> {
  const { chosen, rest } = parse(process.argv.slice(2));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  for (const { name, command, counts } of chosen) {
    console.log(`== ${name}`);
    const { exitCode, output, seconds } = await run([...command, ...rest], { show: true });
    const result = judged(counts(output), exitCode);
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped += result.skipped;
    lines.push(`${name.padEnd(10)} ${seconds.toFixed(1).padStart(6)} s  ${inWords(result)}`);
  }
  console.log(`\n${lines.join('\n')}\n${inWords(total)}`);
  return total.failed > 0 || total.passed === 0 || (isCi && total.skipped > 0) ? 1 : 0;
}

try {
  process.exitCode = await runAll();
} finally {
  rmSync(reports, { recursive: true, force: true });
}
