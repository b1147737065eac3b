import type { ResourceType } from '../kube-object.ts';
import { StoreError } from '../lease-store.ts';

/** The path of a collection: of one namespace, or, if that is undefined, of all. */
export function collectionPath({ group, version, plural, namespaced }: ResourceType, namespace?: string): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespaced && namespace !== undefined
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${root}/${plural}`;
}

/**
 * The path of one object. Throws `StoreError` (`rejected`) without a name, or without a namespace for a namespaced kind: the path
 * would be the one of all objects.
 */
export function objectPath(type: ResourceType, namespace: string | undefined, name: string): string {
  if (!name || name === '.' || name === '..' || (type.namespaced && !namespace)) {
    throw new StoreError(
      'rejected',
      `A ${type.kind} is named by its name${type.namespaced ? ' and its namespace' : ''}.`,
      {
        httpStatus: 400,
      },
    );
  }
  return `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`;
}

/** `Lease shop/lock-a`, for messages. */
export function nameOf(type: ResourceType, namespace: string | undefined, name: string): string {
  return `${type.kind} ${namespace === undefined || !type.namespaced ? '' : `${namespace}/`}${name}`;
}

/** A query string of what is there, with its question mark; empty if nothing is. */
export function queryString(parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined && value !== '') query.set(name, value);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
