/**
 * Goal: what the other suites of this folder take for granted about their control plane is so.
 * Method: each promise of the harness is put to the proof on the real thing.
 */
import { describe, expect, test } from '@jest/globals';
import { freshNamespace, sharedControlPlane } from './support.ts';

const controlPlane = sharedControlPlane();

const leases = (namespace: string) => `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;

function lease(name: string, holderIdentity = 'somebody') {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name },
    spec: { holderIdentity, leaseDurationSeconds: 15 },
  };
}

describe('a namespace per test', () => {
  test('two of them share nothing', async () => {
    const [one, other] = [await freshNamespace(), await freshNamespace()];
    await controlPlane.http.expectSuccess('POST', leases(one.name), { body: lease('a') });
    expect((await controlPlane.http.get(leases(other.name))).items).toEqual([]);
    expect((await one.kubectl(['get', 'leases', '--output', 'name'])).out).toBe('lease.coordination.k8s.io/a\n');
  });
});
