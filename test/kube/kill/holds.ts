/** From calls to what their clients believed to hold, and until when. */
import type { Mode } from '../../../src/api/vocabulary.ts';
import { type Call, type HoldCall, isHoldCall } from './history.ts';

/** A time during which a client was sure of a hold: from the receipt of an answer until its deadline, or its own release. */
export interface Belief {
  readonly fromMs: number;
  untilMs: number;
}

/** One ownership: what was handed out under one token of one lock. */
export interface Hold {
  readonly lock: string;
  readonly token: number;
  readonly ownerId: string;
  readonly client: string;
  readonly mode: Mode;
  /** When it was first asked for. */
  readonly askedMs: number;
  /** Send and receipt of the first answer that named it. */
  readonly sentMs: number;
  readonly receivedMs: number;
  /** Empty if the answer came after its own deadline. Ordered, without overlap. */
  readonly beliefs: Belief[];
  /** When its client was told that it is not held, although its deadline had not come and it was not given back. */
  lostMs: number | undefined;
  /** When its client sent the first release. */
  releasedMs: number | undefined;
}

/**
 * `calls` in the order of their ends. The deadline of an answer is its send plus `validForMs`, as the API documents it; a
 * renewal never moves it earlier.
 */
export function holdsOf(calls: readonly Call[]): Hold[] {
  const holds = new Map<string, Hold>();
  for (const call of calls) {
    if (isHoldCall(call)) confirm(holds, call);
    else if (call.token !== undefined) end(holds.get(`${call.lock}#${call.token}`), call);
  }
  return [...holds.values()];
}

function confirm(holds: Map<string, Hold>, call: HoldCall): void {
  const { lock, ownerId, client, askedMs, sentMs, endedMs, answer } = call;
  const id = `${lock}#${answer.token}`;
  let hold = holds.get(id);
  if (hold === undefined) {
    const { token, mode } = answer;
    const told = { lock, token, ownerId, client, mode, askedMs, sentMs, receivedMs: endedMs };
    holds.set(id, (hold = { ...told, beliefs: [], lostMs: undefined, releasedMs: undefined }));
  }
  // Of a hold that was given back, or by another client, an answer makes nobody believe.
  if (hold.releasedMs !== undefined || hold.ownerId !== ownerId) return;
  const deadlineMs = sentMs + answer.validForMs;
  const last = hold.beliefs.at(-1);
  if (last !== undefined && endedMs <= last.untilMs) last.untilMs = Math.max(last.untilMs, deadlineMs);
  else if (deadlineMs > endedMs) hold.beliefs.push({ fromMs: endedMs, untilMs: deadlineMs });
}

function end(hold: Hold | undefined, { verb, sentMs, endedMs, answer }: Call): void {
  const last = hold?.beliefs.at(-1);
  if (hold === undefined) return;
  if (verb === 'release') {
    hold.releasedMs ??= sentMs;
    if (last !== undefined) last.untilMs = Math.min(last.untilMs, sentMs);
  } else if (answer.kind === 'refused' && answer.code === 'NOT_HELD') {
    if (last !== undefined && endedMs < last.untilMs) {
      hold.lostMs ??= endedMs;
      last.untilMs = endedMs;
    }
  }
}
