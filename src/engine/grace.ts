import { settle } from './grant.ts';
import type { EngineState } from './state.ts';

/** Reclaims are over: whoever waited for the end of grace is served. Sessions that never spoke lose their slots. */
export function endGrace(state: EngineState, nowMs: number): void {
  const { shard } = state;
  shard.inGrace = false;
  state.deadlines.remove(shard.graceEnd);
  for (const slot of shard.inheritedSlots) if (shard.slots.get(slot) === undefined) shard.dropSlot(slot);
  shard.inheritedSlots.clear();
  serveStalled(state, nowMs);
}

/** Serves every lock that was put aside; one that is still not allowed to grant is put aside again. */
export function serveStalled(state: EngineState, nowMs: number): void {
  const locks = [...state.shard.stalledLocks];
  state.shard.stalledLocks.clear();
  for (const lock of locks) {
    lock.stalled = false;
    settle(state, lock, nowMs);
  }
}
