import { GROUP } from '../api/custom-resources/resource.ts';

/** Set by a person: end every hold of the lock now. The value is the reason. Removed when it is done. */
export const FORCE_RELEASE_ANNOTATION = `${GROUP}/force-release`;
/** Set by the controller before it acts: `TOKEN REASON`. Only holds up to the token are meant. Removed when it is done. */
export const FORCE_RELEASING_ANNOTATION = `${GROUP}/force-releasing`;
/** Set by the controller: when the last force release asked for by annotation was done, and its reason. */
export const FORCE_RELEASED_ANNOTATION = `${GROUP}/force-released`;
/** On a lock's Lease whose DistributedLock is gone: since when, in RFC 3339. The lock's next grant removes it. */
export const TOMBSTONE_ANNOTATION = `${GROUP}/tombstone-since`;
