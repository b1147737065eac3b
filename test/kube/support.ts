/** What the tests against a real API server share: one control plane for a whole run, and a namespace for each test. */
import { type ControlPlane, type KubectlAnswer, attachControlPlane } from './control-plane/control-plane.ts';

let shared: ControlPlane | undefined;

/**
 * The control plane of this Jest run. Whoever kills a part of it starts it again before the test ends: the next test
 * uses it too. It may have been restored to an older state by an earlier test.
 */
export function sharedControlPlane(): ControlPlane {
  const directory = process.env['LOCKKEEPER_KUBE_DIRECTORY'] ?? '';
  shared ??= attachControlPlane(directory);
  if (!shared) throw new Error('There is no control plane: run the tests by npm run jest -- --selectProjects kube.');
  return shared;
}

export interface Namespace {
  readonly name: string;
  /** Runs `kubectl` in this namespace to its end. `input` goes to its standard input. */
  readonly kubectl: (words: readonly string[], input?: string) => Promise<KubectlAnswer>;
}

let namespaces = 0;

/** A namespace nobody used before. It stays: nothing deletes it, and without a controller nothing could. */
export async function freshNamespace(controlPlane: ControlPlane = sharedControlPlane()): Promise<Namespace> {
  namespaces += 1;
  const name = `test-${process.pid}-${Date.now().toString(36)}-${namespaces}`;
  await controlPlane.http.expectSuccess('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
  return { name, kubectl: (words, input) => controlPlane.kubectl(['--namespace', name, ...words], input) };
}

/** Where the API server has the Leases of a namespace. */
export function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
}

/** A Lease to create, without anything of ours. */
export function lease(name: string, holderIdentity = 'somebody') {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name },
    spec: { holderIdentity, leaseDurationSeconds: 15 },
  };
}
