/**
 * Goal: a data directory keeps objects of all kinds but Events over restarts, and reads what the store of Leases alone kept.
 * Method: a real directory, opened twice.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { leaseJournal, objectJournal, objectsOf, openDataDirectory } from '../../../../src/dev/data-directory.ts';
import { DISTRIBUTED_LOCKS, EVENTS, LEASES, NAMESPACES } from '../../../../src/kube/kube-object.ts';
import { MemoryLeaseStore } from '../../../../src/kube/memory-lease-store.ts';
import { systemClock } from '../../../../src/system/clock.ts';
import { seededRandom } from '../../../../src/system/random.ts';
import { systemTimers } from '../../../../src/system/timers.ts';
import { embeddedStore } from '../../../support/embedded-kube.ts';

const timers = systemTimers();
let path = '';

beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'lockkeeper-kept-'));
});
afterEach(() => rmSync(path, { recursive: true }));

/** A store on the directory, and what it began with. */
async function openStore() {
  const { directory, content } = await openDataDirectory({ path, timers });
  const initial = { objects: objectsOf(content), resourceVersion: content.resourceVersion };
  const store = embeddedStore({ journal: objectJournal(directory), initial });
  const close = () => {
    store[Symbol.dispose]();
    directory[Symbol.dispose]();
  };
  return { store, close };
}

const metadata = { namespace: 'shop', name: 'a' };

test('locks, their status, Leases and namespaces are there again; Events are not', async () => {
  const first = await openStore();
  await first.store.create(DISTRIBUTED_LOCKS, {
    apiVersion: 'lockkeeper.dev/v1alpha1',
    kind: 'DistributedLock',
    metadata,
    spec: { permits: 2 },
  });
  const lock = await first.store.patchStatus(DISTRIBUTED_LOCKS, 'shop', 'a', { status: { fencingToken: '7' } });
  const lease = await first.store.leases.create({ metadata, spec: { holderIdentity: 'me' } });
  await first.store.create(EVENTS, { apiVersion: 'v1', kind: 'Event', metadata });
  const namespace = await first.store.get(NAMESPACES, undefined, 'shop');
  first.close();

  const second = await openStore();
  expect(await second.store.get(DISTRIBUTED_LOCKS, 'shop', 'a')).toEqual(lock);
  expect(await second.store.leases.get('shop', 'a')).toEqual(lease);
  expect(await second.store.get(NAMESPACES, undefined, 'shop')).toEqual(namespace);
  expect((await second.store.list(EVENTS, {})).items).toEqual([]);
  await second.store.delete(NAMESPACES, undefined, 'shop');
  second.close();

  const third = await openStore();
  expect(await third.store.get(DISTRIBUTED_LOCKS, 'shop', 'a')).toBeUndefined();
  expect(await third.store.leases.get('shop', 'a')).toBeUndefined();
  third.close();
});

test('Leases kept by the store of Leases alone are taken over', async () => {
  const { directory } = await openDataDirectory({ path, timers });
  const alone = new MemoryLeaseStore({
    clock: systemClock(),
    random: seededRandom(1),
    journal: leaseJournal(directory),
  });
  const lease = await alone.create({ metadata, spec: { leaseTransitions: 3 } });
  directory[Symbol.dispose]();
  const { store, close } = await openStore();
  expect(await store.leases.get('shop', 'a')).toEqual(lease);
  expect(await store.get(LEASES, 'shop', 'a')).toMatchObject({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' });
  close();
});
