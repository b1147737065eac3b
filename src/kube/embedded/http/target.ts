import { ApiError } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';

/** What a path of the API stands for. */
export interface Target {
  readonly resource: ApiResource;
  readonly namespace: string | undefined;
  /** Absent for the collection. */
  readonly name: string | undefined;
  readonly subresource: 'status' | undefined;
}

/** Reads `/api/v1/...` and `/apis/GROUP/VERSION/...`. Throws `ApiError` (404) for what is not served. */
export function targetOf(path: string, resources: readonly ApiResource[]): Target {
  const [root, ...segments] = path.split('/').slice(1).map(decoded);
  const [group, version, ...rest] = root === 'api' ? ['', ...segments] : segments;
  const namesOnly = rest[0] === 'namespaces' && (rest.length < 3 || rest[2] === 'status' || rest[2] === 'finalize');
  const [namespace, plural, name, subresource, ...more] =
    rest[0] === 'namespaces' && !namesOnly ? rest.slice(1) : [undefined, ...rest];
  const resource = resources.find(
    ({ type }) => type.group === group && type.version === version && type.plural === plural,
  );
  const isServed =
    (root === 'api' || root === 'apis') &&
    resource !== undefined &&
    more.length === 0 &&
    (namespace === undefined || (resource.type.namespaced && namespace !== '')) &&
    (namespace !== undefined || name === undefined || !resource.type.namespaced) &&
    (subresource === undefined || (subresource === 'status' && resource.hasStatus));
  if (!isServed) throw notServed();
  return { resource, namespace, name, subresource: subresource === 'status' ? 'status' : undefined };
}

export function notServed(): ApiError {
  return new ApiError(404, 'NotFound', 'the server could not find the requested resource');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw notServed();
  }
}
