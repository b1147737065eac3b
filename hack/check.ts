/**
 * `npm run check`: everything about the source that can be judged in a minute. One line per step, and the output of
 * the steps that failed. Two steps run at a time.
 */
import { jest, run } from './run.ts';

interface Step {
  readonly name: string;
  readonly command: readonly string[];
}

/** The longest first, so that two at a time end together. */
const steps: readonly Step[] = [
  { name: 'unit tests', command: jest('--selectProjects', 'unit', '--maxWorkers', '1') },
  {
    name: 'house rules',
    command: jest('--selectProjects', 'contract', '--maxWorkers', '1', 'house', 'import-direction'),
  },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'lint', command: ['oxlint', '--type-aware', '--deny-warnings'] },
  { name: 'dead code', command: ['knip', '--no-progress', '--no-config-hints'] },
  { name: 'format', command: ['biome', 'format', '--reporter=summary'] },
];

const startMs = performance.now();
const waiting = [...steps];
const failed: string[] = [];

async function work(): Promise<void> {
  for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
    const { exitCode, output, seconds } = await run(step.command, { show: false });
    console.log(`${exitCode === 0 ? 'ok    ' : 'FAILED'} ${step.name.padEnd(12)} ${seconds.toFixed(1).padStart(5)} s`);
    if (exitCode === 0) continue;
    failed.push(step.name);
    console.log(output.trimEnd().replaceAll(/^/gm, '  '));
  }
}

await Promise.all([work(), work()]);
const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
console.log(
  failed.length === 0 ? `check passed in ${seconds} s` : `check failed in ${seconds} s: ${failed.join(', ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
