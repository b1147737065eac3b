/** Being asked to stop. */
import { type Emitter, disposable, listen } from './disposables.ts';
import { exitNow } from './exit.ts';

export type StopSignal = 'SIGTERM' | 'SIGINT';

/** The exit code that tells a shell which signal ended the process: 128 plus the signal's number. */
const exitCodes: Readonly<Record<StopSignal, number>> = { SIGTERM: 143, SIGINT: 130 };
const stopSignals: readonly StopSignal[] = ['SIGTERM', 'SIGINT'];

export interface StopOptions {
  /** Where the signals arrive. Default: the process. */
  readonly source?: Emitter;
  /** Default: ends the process at once. */
  readonly exit?: (code: number) => void;
}

/**
 * Calls `callback` at the first SIGTERM or SIGINT. A second one, of either kind, means that somebody has lost patience:
 * the process ends at once with 143 or 130. Disposing the answer restores what signals did before.
 */
export function onStop(callback: (signal: StopSignal) => void, options: StopOptions = {}): Disposable {
  const { source = process, exit = exitNow } = options;
  let stopping = false;

  const receive = (signal: StopSignal) => {
    if (stopping) return exit(exitCodes[signal]);
    stopping = true;
    callback(signal);
  };

  const listeners = stopSignals.map((signal) => listen(source, signal, () => receive(signal)));
  return disposable(() => {
    for (const listener of listeners) listener[Symbol.dispose]();
  });
}
