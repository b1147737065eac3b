/**
 * `npm run model -- --sequences 100000 [--seed N]`: compares the lock engine with the naive reference engine on that many
 * random sequences of 200 to 260 commands, in two processes. With `--faults` the sequences are steps of clients, a store and
 * owners that fail, and what is looked at is whether a promise is broken. Prints sequences, commands and seconds; a failure
 * prints the seed and the shortest sequence that shows it.
 */
import { fork } from 'node:child_process';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { runModel } from '../test/support/engine-model.ts';
import { runSafety } from '../test/support/engine-safety.ts';

const WORKERS = 2;
/** A look at every lock and at the engine's books after every so many commands; at the lock in question after each. */
const CHECK_EVERY = 8;
const REPORT_EVERY = 5_000;

interface Done {
  readonly sequences: number;
  readonly commands: number;
  readonly problem: string | undefined;
}

const { values } = parseArgs({
  options: {
    sequences: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(Date.now() & 0x7fff_ffff) },
    faults: { type: 'boolean', default: false },
    worker: { type: 'boolean', default: false },
  },
});
const sequences = Number(values.sequences);
const seed = Number(values.seed);
if (!Number.isSafeInteger(sequences) || sequences < 1 || !Number.isSafeInteger(seed)) {
  console.error('Usage: npm run model -- --sequences COUNT [--seed NUMBER] [--faults]');
  process.exit(2);
}

function compare(): Done {
  let commands = 0;
  let ran = 0;
  const numbers = fc.array(fc.nat(0xffff_ffff), { minLength: 200, maxLength: 260, size: 'max' });
  const property = fc.property(numbers, (sequence) => {
    commands += sequence.length;
    ran++;
    if (ran % REPORT_EVERY === 0) console.log(`${ran} sequences of seed ${seed}`);
    if (values.faults) runSafety(sequence);
    else runModel(sequence, CHECK_EVERY);
  });
  const result = fc.check(property, { numRuns: sequences, seed, endOnFailure: true });
  const problem = result.failed
    ? `seed ${seed}, sequence ${result.numRuns}: ${String(result.errorInstance)}`
    : undefined;
  return { sequences: ran, commands, problem };
}

function inWorker(index: number): Promise<Done> {
  const share = Math.floor(sequences / WORKERS) + (index < sequences % WORKERS ? 1 : 0);
  if (share === 0) return Promise.resolve({ sequences: 0, commands: 0, problem: undefined });
  const args = ['--worker', '--sequences', String(share), '--seed', String(seed + index)];
  if (values.faults) args.push('--faults');
  return new Promise((resolve, reject) => {
    const child = fork(import.meta.filename, args);
    child.once('message', (done) => resolve(done as Done));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`a worker ended with ${code}`)));
  });
}

if (values.worker) {
  process.send?.(compare());
  process.disconnect?.();
} else {
  const startMs = performance.now();
  const done = await Promise.all(Array.from({ length: WORKERS }, (_, index) => inWorker(index)));
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  const problems = done.flatMap(({ problem }) => problem ?? []);
  for (const problem of problems) console.error(problem);
  const total = (what: 'sequences' | 'commands') => done.reduce((sum, one) => sum + one[what], 0).toLocaleString('en');
  console.log(`${total('sequences')} sequences, ${total('commands')} commands, ${seconds} s, seed ${seed}`);
  const isWell = values.faults ? 'no promise was broken' : 'the engine and the reference agree';
  console.log(problems.length === 0 ? isWell : `${problems.length} failures`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
