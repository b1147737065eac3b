/** Many seeds over several worker processes. */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Coverage } from './coverage.ts';

/** What a worker says of one seed. */
export interface SeedReport {
  readonly seed: number;
  readonly rule: string | undefined;
  readonly message: string;
  readonly operations: number;
  readonly digest: string;
  readonly coverage: Readonly<Record<string, number>>;
}

export interface BatchOptions {
  /** Next seed to run; `undefined` when there is nothing left. */
  readonly next: () => number | undefined;
  readonly onReport: (report: SeedReport) => void;
  /** Source tree to run; default: this one. */
  readonly workerPath?: string;
  readonly workers?: number;
}

export interface BatchResult {
  readonly reports: readonly SeedReport[];
  readonly coverage: Coverage;
  readonly seconds: number;
}

export async function runBatch(options: BatchOptions): Promise<BatchResult> {
  const startMs = performance.now();
  const reports: SeedReport[] = [];
  const coverage = new Coverage();
  const path = options.workerPath ?? fileURLToPath(new URL('./worker.ts', import.meta.url));
  const work = () =>
    new Promise<void>((resolve, reject) => {
      const child = fork(path, { execArgv: ['--disable-warning=ExperimentalWarning'] });
      let seed: number | undefined;
      const give = () => {
        seed = options.next();
        child.send(seed ?? 'end');
      };
      child.on('message', (message: SeedReport | 'ready') => {
        if (message !== 'ready') {
          reports.push(message);
          coverage.add(message.coverage);
          options.onReport(message);
        }
        give();
      });
      child.on('error', reject);
      child.on('exit', (code) => {
        if (code !== 0 && seed !== undefined) {
          const message = `the worker ended with ${code}`;
          const report = { seed, rule: 'crash', message, operations: 0, digest: '', coverage: {} };
          reports.push(report);
          options.onReport(report);
        }
        resolve();
      });
    });
  await Promise.all(Array.from({ length: options.workers ?? availableParallelism() }, work));
  return { reports, coverage, seconds: (performance.now() - startMs) / 1_000 };
}
