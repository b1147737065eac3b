import { type ContractCase, get } from '../contract-case.ts';

const AGGREGATED = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';
const OUR_GROUPS = ['lockkeeper.dev', 'coordination.k8s.io'];
const CORE_RESOURCES = ['namespaces', 'namespaces/status', 'events'];

type Json = Readonly<Record<string, unknown>>;
const listIn = (body: unknown, field: string) => ((body as Json)[field] ?? []) as readonly Json[];
const objectIn = (body: unknown, field: string) => ((body as Json)[field] ?? {}) as Json;
/** By name: a real API server lists kinds that are defined as objects in no order. */
const byName = (items: readonly Json[], field: string) =>
  items.toSorted((left, right) => (String(left[field]) < String(right[field]) ? -1 : 1));

/** Of all groups those that the embedded API serves, in their stable version. */
const ourGroups = (field: 'items' | 'groups') => (body: unknown) =>
  byName(
    listIn(body, field)
      .map((group) => {
        const { name = '' } = field === 'items' ? objectIn(group, 'metadata') : group;
        const versions = listIn(group, 'versions')
          .filter(({ version }) => version === 'v1' || version === 'v1alpha1')
          .map((version) => ({
            ...version,
            resources: byName(listIn(version, 'resources'), 'resource')
              .filter(({ resource }) => name !== '' || CORE_RESOURCES.includes(String(resource)))
              .map(kindAndVerbs),
          }));
        return { ...group, name, versions };
      })
      .filter(({ name }) => OUR_GROUPS.includes(String(name)) || (name === '' && field === 'items')),
    'name',
  );

/** Of built-in kinds a real API server says no group, and it has subresources that nobody asks for here. */
function kindAndVerbs(resource: Json): Json {
  const kind = (of: Json) => ({ ...of, responseKind: objectIn(of, 'responseKind')['kind'] });
  const subresources = listIn(resource, 'subresources').filter(({ subresource }) => subresource === 'status');
  return { ...kind(resource), subresources: subresources.map(kind) };
}

const resources = (names?: readonly string[]) => (body: unknown) => ({
  ...(body as Json),
  resources: byName(listIn(body, 'resources'), 'name').filter(({ name }) => names?.includes(String(name)) ?? true),
});

/** What `kubectl` reads of an OpenAPI document: spec and status of each kind, and what can be asked of its paths. */
function readByKubectl(body: unknown): unknown {
  const schemas = objectIn(objectIn(body, 'components'), 'schemas');
  const kinds = ['DistributedLock', 'LockPool'].map((kind) => {
    const schema = schemas[`dev.lockkeeper.v1alpha1.${kind}`] as Json;
    const { spec, status } = objectIn(schema, 'properties');
    const { description, type, 'x-kubernetes-group-version-kind': names, 'x-kubernetes-validations': rules } = schema;
    return { description, type, names, rules, spec, status };
  });
  const paths = Object.entries(objectIn(body, 'paths'))
    .filter(([path]) => /\/(distributedlocks|lockpools)(\/\{name\})?$/.test(path))
    .map(([path, item]) => [path, actionsOf(item as Json)] as const);
  return { kinds, paths: Object.fromEntries(paths) };
}

function actionsOf(item: Json): unknown {
  const methods = ['get', 'put', 'post', 'patch', 'delete'].filter((method) => method in item);
  return methods.map((method) => {
    const { 'x-kubernetes-action': action, 'x-kubernetes-group-version-kind': kind } = objectIn(item, method);
    const names = listIn(item[method], 'parameters').map(({ name }) => name);
    return {
      method,
      action,
      kind,
      hasFieldValidation: names.includes('fieldValidation'),
      hasDryRun: names.includes('dryRun'),
    };
  });
}

/** What a client learns about our kinds before it asks for one. */
export const discoveryCases: readonly ContractCase[] = [
  {
    name: 'our group and its resources',
    steps: [
      get('/apis/lockkeeper.dev', { says: { kind: 'APIGroup', preferredVersion: { version: 'v1alpha1' } } }),
      get('/apis/lockkeeper.dev/v1alpha1', { says: { kind: 'APIResourceList' }, pick: resources() }),
    ],
  },
  {
    name: 'the group of Leases and its resources',
    steps: [get('/apis/coordination.k8s.io'), get('/apis/coordination.k8s.io/v1')],
  },
  {
    name: 'Namespaces and Events',
    steps: [get('/api/v1', { pick: resources(CORE_RESOURCES) })],
  },
  {
    name: 'discovery in one piece',
    steps: [
      get('/apis', { headers: { accept: AGGREGATED }, pick: ourGroups('items') }),
      get('/api', { headers: { accept: AGGREGATED }, pick: ourGroups('items') }),
    ],
  },
  {
    name: 'discovery for clients of old',
    steps: [
      get('/apis', { pick: ourGroups('groups') }),
      get('/api', { pick: (body) => ({ ...(body as Json), serverAddressByClientCIDRs: undefined }) }),
    ],
  },
  {
    name: 'health',
    steps: [get('/healthz'), get('/livez'), get('/readyz')],
  },
  {
    name: 'the version',
    steps: [get('/version', { pick: (body) => ({ major: (body as Json)['major'], minor: (body as Json)['minor'] }) })],
  },
  {
    name: 'the OpenAPI document of our group',
    steps: [
      get('/openapi/v3', { pick: (body) => 'apis/lockkeeper.dev/v1alpha1' in objectIn(body, 'paths') }),
      get('/openapi/v3/apis/lockkeeper.dev/v1alpha1', { pick: readByKubectl }),
    ],
  },
];
