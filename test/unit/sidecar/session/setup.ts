import { LockkeeperError } from '../../../../src/api/codes.ts';
import type { CallContext } from '../../../../src/sidecar/calls.ts';
import {
  type LocalLocks,
  type LocalLocksOptions,
  openLocalLocks,
} from '../../../../src/sidecar/session/local-locks.ts';
import { silentLog } from '../../../../src/system/logger.ts';
import { seededRandom } from '../../../../src/system/random.ts';
import { VirtualTime } from '../../../../src/system/virtual.ts';
import { ScriptedTransport } from '../../../support/scripted-transport.ts';

export interface Bench {
  readonly time: VirtualTime;
  readonly transport: ScriptedTransport;
  readonly locks: LocalLocks;
  /** A request that comes in now. */
  context(signal?: AbortSignal): CallContext;
  /** Lets everything that is due at this moment happen. */
  turn(): Promise<void>;
}

/** One session on a scripted transport. */
export function bench(options: Partial<LocalLocksOptions> = {}): Bench {
  const time = new VirtualTime();
  const transport = new ScriptedTransport();
  const locks = openOn(time, { openTransport: transport.open, ...options });
  return {
    time,
    transport,
    locks,
    context: (signal) => contextAt(time, signal),
    turn: () => time.runBy(0),
  };
}

export function openOn(
  time: VirtualTime,
  options: Partial<LocalLocksOptions> & Pick<LocalLocksOptions, 'openTransport'>,
): LocalLocks {
  return openLocalLocks({
    clock: time,
    timers: time,
    random: seededRandom(7),
    log: silentLog,
    namespace: 'team',
    principal: 'pod-1',
    ...options,
  });
}

export function contextAt(time: VirtualTime, signal: AbortSignal = new AbortController().signal): CallContext {
  return { signal, receivedAtMs: time.monotonicMs() };
}

/** What a promise came to, once it is settled: its value, or code and details of its error. */
export interface Settled<Value> {
  value?: Value;
  code?: string;
  details?: Record<string, unknown>;
  error?: unknown;
}

/** Watches a promise without waiting for it. */
export function watch<Value>(promise: Promise<Value>): Settled<Value> {
  const settled: Settled<Value> = {};
  promise.then(
    (value) => (settled.value = value),
    (error: unknown) => {
      settled.error = error;
      if (!(error instanceof LockkeeperError)) return;
      settled.code = error.code;
      settled.details = { ...error.details };
    },
  );
  return settled;
}
