import type { ResourceType, StoredObject } from '../kube-object.ts';
import { conflict } from './api-error.ts';
import type { DeleteOptions } from './store-options.ts';

/** Throws `ApiError` (409) if the object to be deleted is another life or another version than the caller means. */
export function assertPreconditions(type: ResourceType, { metadata }: StoredObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options;
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
    throw conflict(type, metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`;
    throw conflict(type, metadata.name, why);
  }
}
