import { readFileSync } from 'node:fs';
import { LockkeeperError } from '../api/codes.ts';
import { StoreError } from '../kube/lease-store.ts';
import { exitNow, exitWhenIdle } from '../system/exit.ts';
import type { Log } from '../system/logger.ts';
import { onStop, type StopSignal } from '../system/signals.ts';

/** How a process of Lockkeeper ends; docs/operator.md lists them. 130 and 143: a second signal ended it at once. */
export const EXIT_CODES = {
  /** It was asked to stop, and left in order. */
  stopped: 0,
  /** It could not start, or could not stop in order. */
  failed: 1,
  /** The command line or the environment is wrong. */
  usage: 2,
  /** Something that must never happen has happened; what it had granted stands on record. */
  broken: 70,
} as const;

/** Ends the process at once: an invariant broke. */
export function fatalHandler(log: Log): (error: unknown) => void {
  return (error) => {
    log.error({ error }, 'this process cannot go on');
    console.error(
      'Lockkeeper: something that must never happen has happened; stopping at once. The log has the cause.',
      error,
    );
    exitNow(EXIT_CODES.broken);
  };
}

/** At the first SIGTERM or SIGINT disposes `resources`, then ends the process; at a second one it ends at once. */
export function stopOnSignal(resources: AsyncDisposable, tell: (signal: StopSignal) => void): void {
  onStop((signal) => {
    tell(signal);
    resources[Symbol.asyncDispose]().then(
      () => exitNow(EXIT_CODES.stopped),
      (error: unknown) => {
        console.error('Lockkeeper did not stop cleanly:', error);
        exitNow(EXIT_CODES.failed);
      },
    );
  });
}

/** Says why it did not start, in the words that errors for people have; the process ends once it is idle. */
export function refuseToStart(problems: readonly string[], advice?: string): void {
  for (const problem of problems) console.error(`Lockkeeper did not start: ${problem}`);
  if (advice !== undefined) console.error(`\n${advice}`);
  exitWhenIdle(EXIT_CODES.usage);
}

/** Says why it did not start, and ends the process, whose connections may still be open. `isForPeople`: the message is enough. */
export function failToStart(error: unknown, isForPeople = error instanceof StoreError): never {
  if (error instanceof LockkeeperError) console.error(`Lockkeeper did not start (${error.code}): ${error.message}`);
  else if (isForPeople) console.error(`Lockkeeper did not start: ${(error as Error).message}`);
  else console.error('Lockkeeper did not start:', error);
  exitNow(EXIT_CODES.failed);
}

export function versionOfPackage(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
