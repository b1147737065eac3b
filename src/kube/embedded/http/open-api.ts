import type { ApiResource } from '../api-resource.ts';
import type { GroupVersion } from './discovery.ts';

/** Where the OpenAPI documents of the groups are: `/openapi/v3`. */
export function openApiIndex(groups: readonly GroupVersion[]): unknown {
  return {
    paths: Object.fromEntries(
      groups.map((group) => [pathOf(group), { serverRelativeURL: `/openapi/v3/${pathOf(group)}` }]),
    ),
  };
}

export function pathOf({ group, version }: Pick<GroupVersion, 'group' | 'version'>): string {
  return group === '' ? `api/${version}` : `apis/${group}/${version}`;
}

/**
 * The OpenAPI document of one group: enough for `kubectl explain`, and for clients to see that the server itself finds
 * unknown fields.
 */
export function openApiDocument(group: GroupVersion): unknown {
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.32.0' },
    paths: Object.fromEntries(group.resources.flatMap((resource) => pathsOf(resource, `/${pathOf(group)}`))),
    components: {
      schemas: Object.fromEntries(
        group.resources.map((resource) => [
          schemaName(resource),
          { ...resource.schema, 'x-kubernetes-group-version-kind': [kindOf(resource)] },
        ]),
      ),
    },
  };
}

function kindOf({ type }: ApiResource) {
  return { group: type.group, version: type.version, kind: type.kind };
}

function schemaName({ type }: ApiResource): string {
  const prefix = type.group === '' ? 'io.k8s.api.core' : type.group.split('.').toReversed().join('.');
  return `${prefix}.${type.version}.${type.kind}`;
}

const QUERY_OF_WRITES = ['dryRun', 'fieldManager', 'fieldValidation'].map((name) => ({
  name,
  in: 'query',
  schema: { type: 'string', uniqueItems: true },
}));
const QUERY_OF_DELETIONS = QUERY_OF_WRITES.filter(({ name }) => name === 'dryRun');
const QUERY_OF_LISTS = ['labelSelector', 'fieldSelector', 'limit', 'continue', 'resourceVersion', 'watch'].map(
  (name) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } }),
);

function pathsOf(resource: ApiResource, root: string): readonly (readonly [string, unknown])[] {
  const { plural, namespaced } = resource.type;
  const collection = namespaced ? `${root}/namespaces/{namespace}/${plural}` : `${root}/${plural}`;
  const schema = { $ref: `#/components/schemas/${schemaName(resource)}` };
  const content = { 'application/json': { schema } };
  const operation = (action: string, parameters: readonly unknown[], hasBody: boolean) => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kindOf(resource),
    parameters,
    ...(hasBody ? { requestBody: { content } } : {}),
    responses: { 200: { description: 'OK', content } },
  });
  const list = { get: operation('list', QUERY_OF_LISTS, false) };
  const paths: (readonly [string, unknown])[] = [
    [
      collection,
      {
        ...list,
        post: operation('post', QUERY_OF_WRITES, true),
        ...(namespaced ? { delete: operation('deletecollection', QUERY_OF_LISTS, false) } : {}),
      },
    ],
    [
      `${collection}/{name}`,
      {
        get: operation('get', [], false),
        put: operation('put', QUERY_OF_WRITES, true),
        patch: operation('patch', QUERY_OF_WRITES, true),
        delete: operation('delete', QUERY_OF_DELETIONS, false),
      },
    ],
  ];
  return namespaced ? [...paths, [`${root}/${plural}`, list]] : paths;
}
