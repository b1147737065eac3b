/** What the tests against a real API server share: one control plane for a whole run, and a namespace for each test. */
import { basename } from 'node:path';
import { type ControlPlane, attachControlPlane } from './control-plane/control-plane.ts';
import type { KubectlAnswer } from './control-plane/test-cluster.ts';

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

/** Ends the control plane of this run; of a cluster that is not ours, the namespaces that the run has made. */
export async function endRun(): Promise<void> {
  const controlPlane = sharedControlPlane();
  if (!controlPlane.isOwn) {
    const label = `${runLabel}=${basename(controlPlane.directory)}`;
    const { items } = await controlPlane.http.get(`/api/v1/namespaces?labelSelector=${encodeURIComponent(label)}`);
    for (const { metadata } of items) await controlPlane.http.call('DELETE', `/api/v1/namespaces/${metadata.name}`);
  }
  await controlPlane[Symbol.asyncDispose]();
}

export interface Namespace {
  readonly name: string;
  /** Runs `kubectl` in this namespace to its end. `input` goes to its standard input. */
  readonly kubectl: (words: readonly string[], input?: string) => Promise<KubectlAnswer>;
}

let namespaces = 0;

/** What all namespaces of a run are labelled with, so that a cluster which is not ours can be rid of them. */
export const runLabel = 'lockkeeper.dev/test-run';

/** A namespace nobody used before. It stays to the end of the run: without a controller nothing could remove it. */
export async function freshNamespace(controlPlane: ControlPlane = sharedControlPlane()): Promise<Namespace> {
  if (controlPlane.isOwn) {
    // A test that failed in the middle of an outage must not fail the others.
    await controlPlane.components.etcd.start();
    await controlPlane.components.apiServer.start();
  }
  namespaces += 1;
  const name = `test-${process.pid}-${Date.now().toString(36)}-${namespaces}`;
  await controlPlane.http.expectSuccess('POST', '/api/v1/namespaces', {
    body: { metadata: { name, labels: { [runLabel]: basename(controlPlane.directory) } } },
  });
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
