import { createHash } from 'node:crypto';
import type { ResourceType } from '../../kube-object.ts';
import type { ApiResource } from '../api-resource.ts';

/** In the order in which an API server says them of built-in kinds, and of custom ones. */
const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const CUSTOM_VERBS = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];
const STATUS_VERBS = ['get', 'patch', 'update'];

/** The kinds of one group and version. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
  readonly resources: readonly ApiResource[];
}

export function groupVersionsOf(resources: readonly ApiResource[]): readonly GroupVersion[] {
  const names = new Set(resources.map(({ type }) => `${type.group}/${type.version}`));
  return [...names].map((name) => {
    const [group = '', version = ''] = name.split('/');
    return {
      group,
      version,
      resources: resources.filter(({ type }) => type.group === group && type.version === version),
    };
  });
}

/** `/api` or `/apis` in one piece, as clients of today ask for it. */
export function aggregatedDiscovery(groups: readonly GroupVersion[]): unknown {
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: 'apidiscovery.k8s.io/v2',
    metadata: {},
    items: groups.map(({ group, version, resources }) => ({
      metadata: group === '' ? {} : { name: group },
      versions: [{ version, freshness: 'Current', resources: resources.map(discoveredResource) }],
    })),
  };
}

function verbsOf({ type, builtIn }: ApiResource): readonly string[] {
  if (!builtIn) return CUSTOM_VERBS;
  return type.namespaced ? VERBS : VERBS.filter((verb) => verb !== 'deletecollection');
}

function discoveredResource(resource: ApiResource): unknown {
  const { type, singular, shortNames, categories, hasStatus } = resource;
  const responseKind = { group: type.group, version: type.version, kind: type.kind };
  return {
    resource: type.plural,
    responseKind,
    scope: type.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: verbsOf(resource),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(hasStatus ? { subresources: [{ subresource: 'status', responseKind, verbs: STATUS_VERBS }] } : {}),
  };
}

/** `/api` for clients of old. */
export function coreVersions(address: string): unknown {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: address }],
  };
}

/** `/apis` for clients of old. */
export function groupList(groups: readonly GroupVersion[]): unknown {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(plainGroup) };
}

/** `/apis/GROUP`. */
export function groupOf(group: GroupVersion): unknown {
  return { kind: 'APIGroup', apiVersion: 'v1', ...plainGroup(group) };
}

function plainGroup({ group, version }: GroupVersion) {
  const named = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [named], preferredVersion: named };
}

/** `/api/v1` and `/apis/GROUP/VERSION`. */
export function resourceList({ group, version, resources }: GroupVersion): unknown {
  return {
    kind: 'APIResourceList',
    // The core group is older than this field.
    ...(group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: resources.flatMap((resource) => {
      const { type, singular, shortNames, categories, hasStatus } = resource;
      const { plural, kind, namespaced } = type;
      const whole = {
        name: plural,
        singularName: singular,
        namespaced,
        kind,
        verbs: verbsOf(resource),
        ...(shortNames.length === 0 ? {} : { shortNames }),
        ...(categories.length === 0 ? {} : { categories }),
        storageVersionHash: storageVersionHash(type),
      };
      const status = { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: STATUS_VERBS };
      return hasStatus ? [whole, status] : [whole];
    }),
  };
}

/** How clients see that a kind is stored in another version now: the first eight bytes of a SHA-256, in base64. */
function storageVersionHash({ group, version, kind }: ResourceType): string {
  return createHash('sha256').update(`${group}/${version}/${kind}`).digest().subarray(0, 8).toString('base64');
}
