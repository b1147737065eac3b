/** The cost of the one thing that no durable lock can do without: a Lease PUT with a resourceVersion, by our own client. */
import type { StoredLease } from '../../../src/kube/lease.ts';
import type { LeaseStore } from '../../../src/kube/lease-store.ts';
import { closedLoop, type Round } from './figures.ts';

/** Each client replaces a Lease of its own, again and again. */
export async function rawPuts(
  leases: LeaseStore,
  namespace: string,
  clients: number,
  durationMs: number,
): Promise<Round> {
  const current: StoredLease[] = [];
  for (let client = 0; client < clients; client += 1) {
    const name = `raw-${client}`;
    const found = await leases.get(namespace, name);
    // As large as the Lease of a lock.
    const annotations = { 'bench.example/payload': 'x'.repeat(400) };
    current.push(found ?? (await leases.create({ metadata: { namespace, name, annotations }, spec: {} })));
  }
  return closedLoop(clients, durationMs, async (client, round) => {
    const { metadata } = current[client] as StoredLease;
    const spec = { holderIdentity: `client-${client}-${round}`, leaseTransitions: round };
    const sentMs = performance.now();
    current[client] = await leases.update({ metadata, spec });
    return performance.now() - sentMs;
  });
}
