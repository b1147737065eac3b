/** What the clients of a run did and saw, on the one monotonic clock of their process. Judges read nothing else of them. */
import type { ErrorCode } from '../../../src/api/codes.ts';
import type { Mode } from '../../../src/api/vocabulary.ts';

/** A lock of the run, as it was declared. With more than one permit it has no shared mode. */
export interface LockRules {
  readonly name: string;
  readonly permits: number;
}

export type Verb = 'acquire' | 'renew' | 'release';

/** One HTTP call, from its send to its end. */
export interface Call {
  readonly client: string;
  readonly lock: string;
  readonly verb: Verb;
  readonly ownerId: string;
  /** The token that a renewal or a release names. */
  readonly token: number | undefined;
  /** How long an acquire said that it would wait; 0 for other calls. */
  readonly timeoutMs: number;
  /** The send of the first request of which this is a repetition; its own if it is none. */
  readonly askedMs: number;
  readonly sentMs: number;
  readonly endedMs: number;
  readonly answer: CallAnswer;
}

/** `none`: the connection was refused, or ended before an answer. */
export type CallAnswer =
  | { readonly kind: 'hold'; readonly token: number; readonly mode: Mode; readonly validForMs: number }
  | { readonly kind: 'released' }
  | {
      readonly kind: 'refused';
      readonly code: ErrorCode;
      readonly message: string;
      readonly reason: string | undefined;
    }
  | { readonly kind: 'none'; readonly why: string };

export type HoldCall = Call & { readonly answer: Extract<CallAnswer, { kind: 'hold' }> };

export function isHoldCall(call: Call): call is HoldCall {
  return call.answer.kind === 'hold';
}

/** Calls in the order of their ends. */
export class History {
  readonly calls: Call[] = [];

  add(call: Call): void {
    this.calls.push(call);
  }

  /** Grants that were received from a moment on. */
  grantsSince(ms: number): HoldCall[] {
    const found: HoldCall[] = [];
    for (let index = this.calls.length - 1; index >= 0; index -= 1) {
      const call = this.calls[index] as Call;
      if (call.endedMs < ms) break;
      if (call.verb === 'acquire' && isHoldCall(call)) found.push(call);
    }
    return found.reverse();
  }
}
