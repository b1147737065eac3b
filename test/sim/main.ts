/**
 * `npm run sim -- --seeds N [--from S] | --seed S | --minutes M | --mutations [--only NAME] | --check N`, each with `--workers N`. See docs/simulator.md.
 * Ends with 0 only if every rule held and, over a large enough batch, every rare path was reached.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { runBatch } from './batch.ts';
import { runMutations } from './mutation-run.ts';
import { makePlan } from './plan-maker.ts';
import { printCoverage, printFailure, printPlan } from './report.ts';
import { runPlan } from './run-plan.ts';
import { shrink } from './shrink.ts';

/** Below this many seeds an unreached path proves nothing. */
const COVERAGE_FROM_SEEDS = 100;
const SHRINK_WITHIN_MS = 60_000;
/** A seed that sends less proves too little. */
const OPERATIONS_MIN = 5_000;

const { values } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    check: { type: 'string' },
    mutations: { type: 'boolean', default: false },
    only: { type: 'string' },
    workers: { type: 'string' },
    'no-shrink': { type: 'boolean', default: false },
  },
});

const workers = values.workers === undefined ? undefined : Number(values.workers);

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}

/** One seed, in full: the broken rule, the events around it, and the smallest plan that still breaks it. */
async function replay(seed: number): Promise<boolean> {
  const plan = makePlan(seed);
  const outcome = await runPlan(plan);
  console.log(`seed ${seed}, commit ${commit()}, ${outcome.operations} commands, history ${outcome.digest}`);
  if (outcome.violation === undefined) return true;
  printFailure(outcome);
  if (!values['no-shrink']) {
    const small = await shrink(plan, outcome, SHRINK_WITHIN_MS);
    printPlan(small);
  }
  console.log(`replay with: npm run sim -- --seed ${seed}`);
  return false;
}

async function many(next: () => number | undefined): Promise<{ passed: number; failed: number; ok: boolean }> {
  const failed: number[] = [];
  const { reports, coverage, seconds } = await runBatch({
    next,
    ...(workers !== undefined && { workers }),
    onReport: ({ seed, rule, message }) => {
      if (rule === undefined) return;
      failed.push(seed);
      console.log(`seed ${seed} broke ${rule}: ${message.split('\n')[0]}`);
    },
  });
  const operations = reports.reduce((sum, report) => sum + report.operations, 0);
  const idle = reports.filter((report) => report.rule === undefined && report.operations < OPERATIONS_MIN);
  for (const { seed, operations: sent } of idle) console.log(`seed ${seed} sent only ${sent} commands`);
  const fewest = Math.min(...reports.map((report) => report.operations));
  const missing = printCoverage(coverage);
  const rate = (reports.length / seconds).toFixed(2);
  console.log(
    `${reports.length} seeds, ${operations} commands, at least ${fewest} each, ${seconds.toFixed(0)} s, ${rate} seeds per second`,
  );
  const isLarge = reports.length >= COVERAGE_FROM_SEEDS;
  if (isLarge && missing.length > 0) console.log(`never reached: ${missing.join(', ')}`);
  const worst = failed.sort((left, right) => left - right)[0];
  if (worst !== undefined) await replay(worst);
  const ok = failed.length + idle.length === 0 && !(isLarge && missing.length > 0);
  return { passed: reports.length - failed.length - idle.length, failed: failed.length + idle.length, ok };
}

function upTo(first: number, count: number): () => number | undefined {
  let seed = first;
  return () => (seed < first + count ? seed++ : undefined);
}

async function run(): Promise<boolean> {
  const first = Number(values.from);
  if (values.mutations) return runMutations(values.only, workers);
  if (values.seed !== undefined) return replay(Number(values.seed));
  if (values.minutes !== undefined) {
    const endMs = performance.now() + Number(values.minutes) * 60_000;
    let seed = first;
    return (await many(() => (performance.now() < endMs ? seed++ : undefined))).ok;
  }
  if (values.check === undefined) return (await many(upTo(first, Number(values.seeds ?? 100)))).ok;
  // For `npm test`: a few seeds, and one of them twice.
  const twice = await Promise.all([runPlan(makePlan(first)), runPlan(makePlan(first))]);
  const isSame = twice[0].digest === twice[1].digest;
  if (!isSame) console.log(`seed ${first} had two histories`);
  const { passed, failed } = await many(upTo(first, Number(values.check)));
  console.log(`${passed + (isSame ? 1 : 0)} passed, ${failed + (isSame ? 0 : 1)} failed`);
  return isSame && failed === 0;
}

process.exitCode = (await run()) ? 0 : 1;
