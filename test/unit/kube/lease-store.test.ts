/** The stores of Leases in memory keep the contract that a real API server keeps in test/kube/cluster.test.ts. */
import { EmbeddedStore } from '../../../src/kube/embedded/embedded-store.ts';
import { NAMESPACES } from '../../../src/kube/kube-object.ts';
import { MemoryLeaseStore } from '../../../src/kube/memory-lease-store.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { describeLeaseStore } from '../../support/lease-store-contract.ts';

const clock = { monotonicMs: () => 0, wallMs: () => Date.UTC(2026, 0, 31, 12) };

describeLeaseStore('Leases alone in memory', async () => {
  const store = new MemoryLeaseStore({ clock, random: seededRandom(1) });
  let namespaces = 0;
  return {
    store,
    freshNamespace: async () => `test-${(namespaces += 1)}`,
    [Symbol.asyncDispose]: async () => store[Symbol.dispose](),
  };
});

describeLeaseStore('Leases of the embedded API', async () => {
  const embedded = new EmbeddedStore({ clock, random: seededRandom(1), customResourceDefinitions: [] });
  let namespaces = 0;
  return {
    store: embedded.leases,
    freshNamespace: async () => {
      const name = `test-${(namespaces += 1)}`;
      await embedded.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      return name;
    },
    [Symbol.asyncDispose]: async () => embedded[Symbol.dispose](),
  };
});
