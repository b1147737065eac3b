/** What the API server's audit log records. */
import { stringify } from 'yaml';

const writeVerbs = ['create', 'update', 'patch', 'delete', 'deletecollection'];

/**
 * Writes of Leases and of our own kinds with body and answer; everything else by its metadata alone, and nothing of the
 * server's talk with itself. Both stages are kept: a request that was received and never completed was in flight when
 * the server was killed.
 */
export function auditPolicy(): string {
  return stringify({
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['ResponseStarted'],
    omitManagedFields: true,
    rules: [
      { level: 'None', users: ['system:apiserver'] },
      { level: 'None', nonResourceURLs: ['/*'] },
      {
        level: 'RequestResponse',
        verbs: writeVerbs,
        resources: [{ group: 'coordination.k8s.io', resources: ['leases'] }, { group: 'lockkeeper.dev' }],
      },
      { level: 'Metadata' },
    ],
  });
}
