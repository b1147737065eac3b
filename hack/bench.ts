/**
 * `npm run bench -- NAME [NAME ...]`: runs benchmarks, each in a process of its own. Without a name it lists them. A benchmark
 * prints one line for each figure, beginning with what it measures, and exits non-zero if it misses its floor.
 */
import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';

const BENCHMARKS: Readonly<Record<string, { readonly script: string; readonly about: string }>> = {
  engine: { script: 'test/bench/engine.ts', about: 'the lock engine alone: pairs/s, hand-off cost, memory' },
  'embedded-api': {
    script: 'test/bench/embedded-api.ts',
    about: 'the embedded Kubernetes API with 10,000 locks and 1,000 watchers: memory and CPU',
  },
  'kube-client': {
    script: 'test/bench/kube-client.ts',
    about: 'the client of a real API server: cost of a Lease PUT, a list of 10,000 Leases',
  },
  durable: {
    script: 'test/bench/durable.ts',
    about: 'DistributedLocks on a real API server: acquire beside a Lease PUT, one hot lock, 10,000 locks',
  },
};

const names = process.argv.slice(2);
const unknown = names.filter((name) => !Object.hasOwn(BENCHMARKS, name));
if (names.length === 0 || unknown.length > 0) {
  if (unknown.length > 0) console.error(`No such benchmark: ${unknown.join(', ')}.`);
  console.error('Usage: npm run bench -- NAME [NAME ...]');
  for (const [name, { about }] of Object.entries(BENCHMARKS)) console.error(`  ${name}  ${about}`);
  process.exit(2);
}

console.log(`machine: ${cpus().length} x ${cpus()[0]?.model.trim()}, Node ${process.version}`);
let failed = false;
for (const name of names) {
  const script = BENCHMARKS[name]?.script as string;
  const { status } = spawnSync(process.execPath, ['--expose-gc', script], { stdio: 'inherit' });
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
