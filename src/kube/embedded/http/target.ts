import { ApiError, generic, notFound } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';
import { PAGE_NOT_FOUND } from './status.ts';

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
  if ((root !== 'api' && root !== 'apis') || resource === undefined) throw notServed(root, group, resources);
  const isThere =
    (namespace === undefined || (resource.type.namespaced && namespace !== '')) &&
    (namespace !== undefined || name === undefined || !resource.type.namespaced);
  if (!isThere) throw notServed(root, group, resources);
  if (more.length > 0 || (subresource !== undefined && (subresource !== 'status' || !resource.hasStatus)))
    throw resource.builtIn ? notServed(root, group, resources) : notFound(resource.type, name ?? '');
  return { resource, namespace, name, subresource: subresource === 'status' ? 'status' : undefined };
}

/** Built-in groups say in a Status that they have no such thing; elsewhere there is nobody to say it. */
function notServed(root: string | undefined, group: string | undefined, resources: readonly ApiResource[]): ApiError {
  const isBuiltIn = resources.some(({ type, builtIn }) => builtIn && type.group === group);
  if (root === 'api' || (root === 'apis' && isBuiltIn))
    return generic(404, 'NotFound', 'the server could not find the requested resource');
  return pageNotFound();
}

export function pageNotFound(): ApiError {
  return new ApiError(404, PAGE_NOT_FOUND, '404 page not found');
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw pageNotFound();
  }
}
