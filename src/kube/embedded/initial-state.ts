import { type KubeObject, NAMESPACES, type StoredObject } from '../kube-object.ts';
import type { ApiResource } from './api-resource.ts';
import { numberOf } from './object-key.ts';
import type { ObjectLogOptions } from './object-log.ts';
import { storedObject } from './object-rules.ts';
import type { EmbeddedStoreOptions } from './store-options.ts';

/** Namespaces that every cluster has, and the operator's own. */
const FIRST_NAMESPACES = ['default', 'kube-system', 'lockkeeper-system'];

/**
 * Versions that are left free at a start on what an earlier process kept: its Events had versions too, which nobody
 * recorded, and a version must not mean two things.
 */
const VERSIONS_SKIPPED = 1_000_000;

/** What a store begins with: what an earlier process kept of the kinds served, and the namespaces that are always there. */
export function initialState(
  initial: EmbeddedStoreOptions['initial'],
  resources: readonly ApiResource[],
  makeNamespace: (name: string, resourceVersion: string) => StoredObject,
): ObjectLogOptions['initial'] {
  const kept = (initial?.objects ?? []).flatMap((object) => {
    const resource = resources.find((each) => isOfKind(object, each));
    return resource === undefined ? [] : [[resource.type, storedObject(object, {})] as const];
  });
  const known = new Set(kept.flatMap(([type, { metadata }]) => (type === NAMESPACES ? [metadata.name] : [])));
  let version = initial === undefined ? 0 : numberOf(initial.resourceVersion) + VERSIONS_SKIPPED;
  const made = FIRST_NAMESPACES.filter((name) => !known.has(name)).map((name) => {
    version += 1;
    return [NAMESPACES, makeNamespace(name, String(version))] as const;
  });
  return { objects: [...kept, ...made], resourceVersion: String(version) };
}

function isOfKind({ apiVersion, kind }: KubeObject, { type }: ApiResource): boolean {
  return type.kind === kind && apiVersion.startsWith(type.group === '' ? type.version : `${type.group}/`);
}
