import type { ResourceType, StoredObject } from '../kube-object.ts';
import { ApiError } from './api-error.ts';
import type { DeleteOptions } from './store-options.ts';

/** Throws `ApiError` (409) if the object to be deleted is another life or another version than the caller means. */
export function assertPreconditions(type: ResourceType, { metadata }: StoredObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options;
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`;
    throw unmet(type, metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`;
    throw unmet(type, metadata.name, why);
  }
}

/** Unlike other conflicts this one names the kind. */
function unmet({ group, kind }: ResourceType, name: string, why: string): ApiError {
  const subject = group === '' ? kind : `${kind}.${group}`;
  const message = `Operation cannot be fulfilled on ${subject} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, { name, group, kind });
}
