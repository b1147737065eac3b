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
  /** Comes first. Exit code 3: this machine cannot run the suite, which is then skipped. Any other but 0 is a failure. */
  readonly preparation?: readonly string[];
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

/** On a real API server: one control plane for the whole suite, whose parts some tests kill, so one file at a time. */
const kube: Suite = {
  ...jestSuite('kube', '--runInBand'),
  preparation: ['node', '--disable-warning=ExperimentalWarning', 'hack/kube.ts', 'prepare'],
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
  kube,
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

interface Outcome {
  readonly counts: Counts;
  /** A line for each part. */
  readonly lines: readonly string[];
}

async function runSuite({ name, preparation, command, counts }: Suite, rest: readonly string[]): Promise<Outcome> {
  console.log(`== ${name}`);
  const line = (part: string, seconds: number, text: string) =>
    `${part.padEnd(16)} ${seconds.toFixed(1).padStart(6)} s  ${text}`;
  const lines: string[] = [];
  if (preparation) {
    const { exitCode, seconds } = await run(preparation, { show: true });
    if (exitCode === 3) {
      const skipped = { passed: 0, failed: 0, skipped: 1 };
      return { counts: skipped, lines: [line(name, seconds, 'skipped: this machine cannot run it, as said above')] };
    }
    lines.push(line(`${name} (prepare)`, seconds, exitCode === 0 ? 'ok' : 'failed'));
    if (exitCode !== 0) return { counts: judged(undefined, exitCode), lines };
  }
  const { exitCode, output, seconds } = await run([...command, ...rest], { show: true });
  const result = judged(counts(output), exitCode);
  return { counts: result, lines: [...lines, line(name, seconds, inWords(result))] };
}

async function runAll(): Promise<number> {
  const { chosen, rest } = parse(process.argv.slice(2));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  for (const suite of chosen) {
    const outcome = await runSuite(suite, rest);
    total.passed += outcome.counts.passed;
    total.failed += outcome.counts.failed;
    total.skipped += outcome.counts.skipped;
    lines.push(...outcome.lines);
  }
  console.log(`\n${lines.join('\n')}\n${inWords(total)}`);
  return total.failed > 0 || total.passed === 0 || (isCi && total.skipped > 0) ? 1 : 0;
}

try {
  process.exitCode = await runAll();
} finally {
  rmSync(reports, { recursive: true, force: true });
}
