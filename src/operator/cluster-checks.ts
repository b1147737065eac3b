import { LockkeeperError } from '../api/codes.ts';
import { customResourceDefinitions } from '../api/custom-resources/definitions.ts';
import { VERSION } from '../api/custom-resources/resource.ts';
import { backoffMs } from '../kube/backoff.ts';
import type { AccessRequest } from '../kube/cluster/access-review.ts';
import type { Cluster } from '../kube/cluster/cluster.ts';
import { type KubeObject, NAMESPACES, type ResourceType } from '../kube/kube-object.ts';
import { StoreError } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import { sleep, type Timers } from '../system/timers.ts';
import { accessRequestsOf, type PermissionRule, rulesFor } from './permissions.ts';

export interface ClusterCheckOptions {
  readonly cluster: Cluster;
  /** Where the operator's Leases go. */
  readonly namespace: string;
  /** What the account must be allowed to do. */
  readonly rules: readonly PermissionRule[];
  /** How long an API server that does not answer is waited for. Default 60,000. */
  readonly reachWithinMs?: number | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Ends the waiting; what it rejects with then is of no interest. */
  readonly signal: AbortSignal;
}

const REACH_WITHIN_MS = 60_000;
const REACH_RETRY = { firstMs: 500, maxMs: 5_000 };
/** Reviews asked at once. */
const REVIEWS_AT_ONCE = 8;

const DEFINITIONS: ResourceType = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
};

/**
 * Makes sure that an operator can work on this cluster, in an order in which each check can rely on those before it: the API server
 * answers and accepts the credentials, the account has its permissions, the custom resources are installed, the namespace is
 * there or can be made.
 *
 * Rejects with a `LockkeeperError` whose message says what to do: UNAVAILABLE (`details.reason`: `unreachable`,
 * `customResources`, `namespaceMissing`), UNAUTHENTICATED, or PERMISSION_DENIED with every missing permission.
 */
export async function checkCluster(options: ClusterCheckOptions): Promise<void> {
  const version = await reach(options);
  options.log.info({ server: options.cluster.server, version }, 'the API server answers');
  await checkPermissions(options);
  await checkDefinitions(options);
  await checkNamespace(options);
}

async function reach(options: ClusterCheckOptions): Promise<string> {
  const { cluster, clock, timers, random, log, signal, reachWithinMs = REACH_WITHIN_MS } = options;
  const deadlineMs = clock.monotonicMs() + reachWithinMs;
  for (let failures = 1; ; failures++) {
    try {
      return await cluster.version();
    } catch (error) {
      if (signal.aborted) throw error;
      if (error instanceof StoreError && error.httpStatus === 401) throw notAccepted(cluster, error);
      // Whoever may not read the version is answered all the same.
      if (error instanceof StoreError && error.httpStatus === 403) return 'unknown';
      if (!(error instanceof StoreError) || clock.monotonicMs() >= deadlineMs) throw unreachable(options, error);
      log.warn({ server: cluster.server, error }, 'the API server does not answer; trying again');
      await sleep(timers, backoffMs(failures, REACH_RETRY, random), signal);
    }
  }
}

function notAccepted({ server }: Cluster, cause: StoreError): LockkeeperError {
  return new LockkeeperError(
    'UNAUTHENTICATED',
    `The API server ${server} does not accept the credentials of the kubeconfig. Log in again, or name another kubeconfig or --context.`,
    { server },
    { cause },
  );
}

function unreachable(
  { cluster: { server }, reachWithinMs = REACH_WITHIN_MS }: ClusterCheckOptions,
  cause: unknown,
): LockkeeperError {
  const why = cause instanceof Error ? ` (${cause.message.replace(/\.$/, '')})` : '';
  return new LockkeeperError(
    'UNAVAILABLE',
    `The API server ${server} gave no usable answer for ${Math.round(reachWithinMs / 1_000)} s${why}. Check that it runs, that this machine reaches it, and the kubeconfig.`,
    { reason: 'unreachable', server },
    { cause },
  );
}

async function checkPermissions({ cluster, rules }: ClusterCheckOptions): Promise<void> {
  const requests = accessRequestsOf(rules);
  const allowed: boolean[] = [];
  for (let first = 0; first < requests.length; first += REVIEWS_AT_ONCE) {
    const group = requests.slice(first, first + REVIEWS_AT_ONCE);
    allowed.push(...(await Promise.all(group.map((request) => cluster.isAllowed(request)))));
  }
  const missing = requests.filter((_, index) => allowed[index] === false);
  if (missing.length === 0) return;
  throw new LockkeeperError(
    'PERMISSION_DENIED',
    `The account of the kubeconfig lacks permissions. Run kubectl apply -f deploy/rbac.yaml and use its ServiceAccount, or add to a ClusterRole that is bound to the account:\n${rulesFor(missing)}`,
    { missing },
  );
}

async function checkDefinitions({ cluster, log }: ClusterCheckOptions): Promise<void> {
  const problems: string[] = [];
  for (const expected of customResourceDefinitions()) {
    const { name } = expected.metadata;
    const found = await cluster.objects.get(DEFINITIONS, undefined, name);
    const problem = definitionProblem(found);
    if (problem !== undefined) problems.push(`${name} ${problem}`);
    else if (!isSameSchema(found, expected.spec.versions[0].schema))
      log.warn({ name }, 'the custom resource has the schema of another version of Lockkeeper: kubectl apply -f crds/');
  }
  if (problems.length === 0) return;
  throw new LockkeeperError(
    'UNAVAILABLE',
    `The custom resources of Lockkeeper are not installed as this version needs them: ${problems.join('; ')}. Run kubectl apply -f crds/ and start again.`,
    { reason: 'customResources', problems },
  );
}

/** What of a CustomResourceDefinition is read here. */
interface DefinitionSpec {
  readonly versions?: readonly { readonly name: string; readonly served: boolean; readonly schema?: unknown }[];
}

function servedVersion(found: KubeObject | undefined): { readonly schema?: unknown } | undefined {
  const { versions = [] } = (found?.['spec'] ?? {}) as DefinitionSpec;
  return versions.find(({ name, served }) => name === VERSION && served);
}

function definitionProblem(found: KubeObject | undefined): string | undefined {
  if (found === undefined) return 'is missing';
  if (found.metadata.deletionTimestamp !== undefined) return 'is being deleted';
  return servedVersion(found) === undefined ? `does not serve the version ${VERSION}` : undefined;
}

function isSameSchema(found: KubeObject | undefined, schema: unknown): boolean {
  return canonical(servedVersion(found)?.schema) === canonical(schema);
}

/** As text, whatever the order of the fields. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}

async function checkNamespace({ cluster, namespace, log }: ClusterCheckOptions): Promise<void> {
  const look: AccessRequest = { verb: 'get', group: '', resource: 'namespaces', namespace, name: namespace };
  // Whoever may not look finds out with the first Lease.
  if (!(await cluster.isAllowed(look))) return;
  if ((await cluster.objects.get(NAMESPACES, undefined, namespace)) !== undefined) return;
  try {
    await cluster.objects.create(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
    log.info({ namespace }, 'made the namespace');
  } catch (error) {
    if (error instanceof StoreError && error.outcome === 'conflict') return;
    if (error instanceof StoreError && error.httpStatus === 403) throw namespaceMissing(namespace, error);
    throw error;
  }
}

/** The namespace for the operator's Leases is not there, and this account cannot make it. */
export function namespaceMissing(namespace: string, cause: unknown): LockkeeperError {
  return new LockkeeperError(
    'UNAVAILABLE',
    `The namespace ${namespace}, for the operator's own Leases, does not exist, and this account may not create it. Run kubectl create namespace ${namespace}, or name another one with --namespace.`,
    { reason: 'namespaceMissing', namespace },
    { cause },
  );
}
