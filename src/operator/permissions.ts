import { GROUP } from '../api/custom-resources/resource.ts';
import type { AccessRequest } from '../kube/cluster/access-review.ts';

/** One rule of a ClusterRole, in the words of RBAC. */
export interface PermissionRule {
  readonly apiGroups: readonly [string];
  readonly resources: readonly [string];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/**
 * Everything that an operator asks of the API server, and nothing else: `deploy/rbac.yaml` grants exactly this, and at the start
 * each verb is asked for. All in all namespaces, since locks live in any.
 */
export const OPERATOR_RULES: readonly PermissionRule[] = [
  // Locks, shards, members; deleted are the Leases of locks that are long gone, and those of members that have left.
  rule('coordination.k8s.io', 'leases', ['get', 'list', 'watch', 'create', 'update', 'delete']),
  // Patched to take the annotation that asks for a force release away.
  rule(GROUP, 'distributedlocks', ['get', 'list', 'watch', 'patch']),
  rule(GROUP, 'distributedlocks/status', ['patch']),
  rule(GROUP, 'lockpools', ['list', 'watch']),
  rule(GROUP, 'lockpools/status', ['patch']),
  rule('', 'events', ['create', 'patch']),
  {
    ...rule('apiextensions.k8s.io', 'customresourcedefinitions', ['get']),
    resourceNames: [`distributedlocks.${GROUP}`, `lockpools.${GROUP}`],
  },
];

/** What `npm start` does on a cluster besides: it creates a lock or a pool with its first acquire, and declares a file of them. */
export const DEV_RULES: readonly PermissionRule[] = [
  ...OPERATOR_RULES,
  rule(GROUP, 'distributedlocks', ['create', 'update']),
  rule(GROUP, 'lockpools', ['get', 'create', 'update']),
];

/** Every single thing that the rules allow, as it is asked for. */
export function accessRequestsOf(rules: readonly PermissionRule[]): AccessRequest[] {
  return rules.flatMap(({ apiGroups: [group], resources: [path], resourceNames = [undefined], verbs }) => {
    const [resource = '', subresource] = path.split('/');
    return resourceNames.flatMap((name) =>
      verbs.map((verb) => ({
        verb,
        group,
        resource,
        ...(subresource === undefined ? {} : { subresource }),
        ...(name === undefined ? {} : { name }),
      })),
    );
  });
}

/** The rules to add so that all of these are allowed, as YAML for a ClusterRole. */
export function rulesFor(missing: readonly AccessRequest[]): string {
  const rules = new Map<string, string[]>();
  for (const { group, resource, subresource, name, verb } of missing) {
    const path = subresource === undefined ? resource : `${resource}/${subresource}`;
    const names = name === undefined ? '' : `\n  resourceNames: ["${name}"]`;
    const target = `- apiGroups: ["${group}"]\n  resources: ["${path}"]${names}`;
    rules.set(target, [...(rules.get(target) ?? []), `"${verb}"`]);
  }
  return [...rules].map(([target, verbs]) => `${target}\n  verbs: [${verbs.join(', ')}]`).join('\n');
}

function rule(group: string, resource: string, verbs: readonly string[]): PermissionRule {
  return { apiGroups: [group], resources: [resource], verbs };
}
