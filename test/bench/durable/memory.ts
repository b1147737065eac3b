/** An operator with many DistributedLocks: how long it takes to start, and what it weighs. */
import type { HttpClient } from '../../kube/control-plane/http.ts';
import { waitFor } from '../../support/wait.ts';
import type { DevPair } from '../../kube/kill/dev-pair.ts';

const AT_ONCE = 16;

export interface Weight {
  readonly residentMiB: number;
  readonly heapMiB: number;
}

export async function weightOf(operator: DevPair): Promise<Weight> {
  const mebi = 2 ** 20;
  return {
    residentMiB: (await operator.metric('process_resident_memory_bytes')) / mebi,
    heapMiB: (await operator.metric('nodejs_heap_size_used_bytes')) / mebi,
  };
}

/** Declares the locks `bench-FIRST` up to but not with `bench-END`. */
export async function declareLocks(http: HttpClient, namespace: string, first: number, end: number): Promise<void> {
  let next = first;
  const collection = `/apis/lockkeeper.dev/v1alpha1/namespaces/${namespace}/distributedlocks`;
  const declare = async () => {
    for (let index = next++; index < end; index = next++) {
      const metadata = { name: `bench-${index}` };
      const body = { apiVersion: 'lockkeeper.dev/v1alpha1', kind: 'DistributedLock', metadata, spec: {} };
      await http.expectSuccess('POST', collection, { body });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, declare));
}

/** From the start of the process until it serves; it reads every lock before that. */
export async function startTimeMs(operator: DevPair): Promise<number> {
  const startedMs = performance.now();
  await operator.start();
  return performance.now() - startedMs;
}

/** Waits until what was thrown away has been collected: the heap is what is in use only then. */
export async function settledWeight(operator: DevPair): Promise<Weight> {
  let before = await weightOf(operator);
  const isSettled = async () => {
    const now = await weightOf(operator);
    const isSame = Math.abs(now.residentMiB - before.residentMiB) < 2;
    before = now;
    return isSame;
  };
  await waitFor(isSettled, { what: 'settled memory', timeoutMs: 60_000, intervalMs: 5_000 });
  return before;
}
