/**
 * A `LockCalls` whose answers a test scripts: what is not scripted answers a plausible success at once. Every call is
 * recorded with its arguments, so a test can look at what came through the endpoint.
 */
import type { CallContext, LockCalls } from '../../src/sidecar/calls.ts';
import { EXAMPLES } from '../../src/sidecar/endpoint/open-api-examples.ts';

export interface SeenCall {
  readonly operation: keyof LockCalls;
  readonly arguments: readonly unknown[];
  readonly context: CallContext;
}

export interface ScriptedCalls extends LockCalls {
  readonly seen: SeenCall[];
  /** Settles when the call after the ones seen so far arrives. */
  next(): Promise<SeenCall>;
}

export function scriptedCalls(script: Partial<LockCalls> = {}): ScriptedCalls {
  const seen: SeenCall[] = [];
  let waiting: ((call: SeenCall) => void)[] = [];

  const answers: LockCalls = {
    acquire: async () => EXAMPLES.hold,
    renew: async () => EXAMPLES.hold,
    release: async () => EXAMPLES.released,
    forceRelease: async () => EXAMPLES.forceReleased,
    inspect: async () => EXAMPLES.record,
    list: async () => ({ items: [EXAMPLES.record] }),
    held: async () => EXAMPLES.held,
    acquireAll: async () => ({ holds: [EXAMPLES.hold], validForMs: EXAMPLES.hold.validForMs }),
    releaseAll: async () => EXAMPLES.releasedAll,
    async *hold() {
      yield EXAMPLES.granted;
    },
    notReadyReason: () => undefined,
    ...script,
  };

  function record<Arguments extends unknown[], Answer>(
    operation: keyof LockCalls,
    answer: (...given: Arguments) => Answer,
  ) {
    return (...given: Arguments): Answer => {
      const call: SeenCall = { operation, arguments: given.slice(0, -1), context: given.at(-1) as CallContext };
      seen.push(call);
      for (const settle of waiting) settle(call);
      waiting = [];
      return answer(...given);
    };
  }

  return {
    seen,
    next: () => new Promise((resolve) => waiting.push(resolve)),
    acquire: record('acquire', answers.acquire),
    renew: record('renew', answers.renew),
    release: record('release', answers.release),
    forceRelease: record('forceRelease', answers.forceRelease),
    inspect: record('inspect', answers.inspect),
    list: record('list', answers.list),
    held: record('held', answers.held),
    acquireAll: record('acquireAll', answers.acquireAll),
    releaseAll: record('releaseAll', answers.releaseAll),
    hold: record('hold', answers.hold),
    notReadyReason: answers.notReadyReason,
  };
}

/** Settles with the reason when the signal aborts; rejects the way a call does that follows its signal. */
export function rejectedByAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const fail = () => reject(signal.reason as Error);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}
