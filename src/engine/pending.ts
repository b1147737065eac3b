import { Hold, type PendingReply } from './hold.ts';
import type { RequestEntry, Session } from './session.ts';

/** A request waits until the write of this grant has an outcome. */
export function awaitGrant(hold: Hold, session: Session, ref: number, depth: number): void {
  hold.pending ??= [];
  hold.pending.push({ session, ref, depth });
  session.pending.set(ref, hold);
}

/** The requests that wait for the write of a grant; they do no longer. */
export function takePending(hold: Hold): readonly PendingReply[] {
  const { pending } = hold;
  if (pending === undefined) return [];
  hold.pending = undefined;
  for (const { session, ref } of pending) session.pending.delete(ref);
  return pending;
}

/**
 * Takes back a request that waits for a write. Returns the grant it waited for, if it was one: left at depth 0 it has nobody to
 * go to. A longer promise that nobody waits for any more is not made.
 */
export function withdraw(session: Session, ref: number): Hold | undefined {
  const target = session.pending.get(ref);
  if (target === undefined) return undefined;
  session.pending.delete(ref);
  if (!(target instanceof Hold)) {
    target.refs = target.refs.filter((other) => other !== ref);
    const requestId = target.reentry?.requestId;
    if (target.refs.length === 0 && requestId !== undefined) session.requests.forget(requestId);
    return undefined;
  }
  const taken = target.pending?.find((reply) => reply.session === session && reply.ref === ref);
  if (taken === undefined) return undefined;
  target.pending = target.pending?.filter((reply) => reply !== taken);
  if (target.pending?.some((reply) => reply.depth === taken.depth) !== true) giveUpDepth(target, taken.depth);
  return target;
}

/** Gives up the depths of a grant that no repetition can find again, for want of a request id. */
export function forgetUnnamedRequests(hold: Hold): void {
  const named = new Set<number>();
  for (let entry = hold.requests; entry !== undefined; entry = entry.previous) named.add(entry.depth);
  for (let { depth } = hold; depth > 0; depth--) if (!named.has(depth)) giveUpDepth(hold, depth);
}

/** One depth of a grant that was never told is given up: those above it move down. */
export function giveUpDepth(hold: Hold, depth: number): void {
  hold.depth--;
  for (const reply of hold.pending ?? []) if (reply.depth > depth) reply.depth--;
  let above: RequestEntry | undefined;
  for (let entry = hold.requests; entry !== undefined && entry.depth >= depth; entry = entry.previous) {
    if (entry.depth > depth) {
      entry.depth--;
      above = entry;
      continue;
    }
    entry.memory.forget(entry.requestId);
    if (above === undefined) hold.requests = entry.previous;
    else above.previous = entry.previous;
  }
}
