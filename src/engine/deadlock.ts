import { LIMITS } from '../api/limits.ts';
import type { DeadlockEdge } from './effects.ts';
import { type Hold, ownerKeyOf } from './hold.ts';
import type { EngineState } from './state.ts';
import type { Waiter } from './waiter.ts';

/** Waits with a shorter timeout end by themselves and are left alone. */
const SHORT_WAIT_MS = 5_000;

/** A found deadlock: who waits for what, and the waiters that stand on the cycle. */
export interface Deadlock {
  readonly cycle: readonly DeadlockEdge[];
  readonly waiters: readonly Waiter[];
}

/** One step of the wait-for graph: this waiter of the owner stands behind that hold. */
interface Edge {
  readonly waiter: Waiter;
  readonly hold: Hold;
  readonly to: string;
}

/**
 * Searches the wait-for graph of owners for a deadlock through this waiter's owner. An owner with several flows waits only if
 * every one of its waiters is stuck. A waiter for a lock with one permit is stuck if any holder is (a writer needs all readers
 * to leave); one for several permits only if all holders are (a knot: any of them would do). Everybody who can still get on is
 * found first, by elimination; what is left is stuck, and a depth-first walk over it names the cycle.
 *
 * Returns `undefined` if there is none, if this owner is merely behind one that it is no part of, or if the graph is larger
 * than `deadlockSearchMax` edges.
 */
export function searchDeadlock(state: EngineState, start: Waiter): Deadlock | undefined {
  if (!counts(start)) return undefined;
  const startOwner = ownerKeyOf(start.session.principal, start.ownerId);
  const graph = reachable(state, startOwner);
  if (graph === undefined) return undefined;
  eliminate(graph);
  if (!graph.has(startOwner)) return undefined;
  return cycleThrough(graph, startOwner);
}

function counts(waiter: Waiter): boolean {
  return !(waiter.timeoutMs >= 0 && waiter.timeoutMs < SHORT_WAIT_MS) && waiter.refs.length > 0;
}

/** Owners that can be reached from `start` and wait with all their flows, with their edges; `undefined` if there are too many. */
function reachable(state: EngineState, start: string): Map<string, Edge[][]> | undefined {
  const graph = new Map<string, Edge[][]>();
  const open = [start];
  let edges = 0;
  for (let owner = open.pop(); owner !== undefined; owner = open.pop()) {
    if (graph.has(owner)) continue;
    const waiters = state.waitersByOwner.get(owner);
    if (waiters === undefined || !waiters.every(counts)) continue;
    const flows: Edge[][] = [];
    for (const waiter of waiters) {
      const flow: Edge[] = [];
      for (let hold = waiter.lock.holds.first; hold !== undefined; hold = hold.nextInLock) {
        if (++edges > LIMITS.deadlockSearchMax) return undefined;
        const to = ownerKeyOf(hold.principal, hold.ownerId);
        flow.push({ waiter, hold, to });
        if (to !== owner) open.push(to);
      }
      flows.push(flow);
    }
    graph.set(owner, flows);
  }
  return graph;
}

/** Removes every owner that can still get on, until only the stuck ones are left. */
function eliminate(graph: Map<string, Edge[][]>): void {
  for (let changed = true; changed; ) {
    changed = false;
    for (const [owner, flows] of graph) {
      if (!flows.some((flow) => isFree(graph, owner, flow))) continue;
      graph.delete(owner);
      changed = true;
    }
  }
}

function isFree(graph: Map<string, Edge[][]>, owner: string, flow: readonly Edge[]): boolean {
  // Another flow of the same owner holds it (a lock that is not re-entrant), and will give it back.
  if (flow.length === 0 || flow.some((edge) => edge.to === owner)) return true;
  const permits = flow[0]?.waiter.lock.policy?.permits ?? 1;
  if (permits === 1) return flow.every((edge) => !graph.has(edge.to));
  // A permit that nobody holds (a lock delay, a record being written) comes free by itself.
  return flow.length < permits || flow.some((edge) => !graph.has(edge.to));
}

/** Depth-first walk over the stuck owners, with the usual three colours: unseen, on the path, done. */
function cycleThrough(graph: Map<string, Edge[][]>, start: string): Deadlock | undefined {
  const path: Edge[] = [];
  const done = new Set<string>();
  const iterators = [edgesOf(graph, start)];
  while (iterators.length > 0) {
    const next = (iterators.at(-1) as Iterator<Edge>).next();
    if (next.done === true) {
      iterators.pop();
      path.pop();
      continue;
    }
    const edge = next.value;
    if (edge.to === start) return describe([...path, edge]);
    if (done.has(edge.to)) continue;
    done.add(edge.to);
    path.push(edge);
    iterators.push(edgesOf(graph, edge.to));
  }
  return undefined;
}

function edgesOf(graph: Map<string, Edge[][]>, owner: string): Iterator<Edge> {
  const stuck = (graph.get(owner) ?? []).flat().filter((edge) => graph.has(edge.to));
  return stuck[Symbol.iterator]();
}

function describe(path: readonly Edge[]): Deadlock {
  return {
    cycle: path.map(({ waiter, hold }) => ({
      principal: waiter.session.principal,
      ownerId: waiter.ownerId,
      waitsFor: waiter.lock.key,
      heldBy: hold.ownerId,
      token: hold.token,
    })),
    waiters: path.map((edge) => edge.waiter),
  };
}
