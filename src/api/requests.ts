import { z } from 'zod';
import { LIMITS, TOKEN_MAX } from './limits.ts';
import { modeSchema } from './vocabulary.ts';

/** Bodies of the HTTP API. Objects are strict: an unknown field is refused, so that a typing error is never ignored. */
const identifier = (lengthMax: number, description: string) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(/^[\x21-\x7e]+$/)
    .meta({ description: `${description} 1 to ${lengthMax} printable ASCII characters, no space.` });

const ownerId = identifier(
  LIMITS.ownerIdLengthMax,
  'Who asks, below the authenticated pod. Omitted: a fresh random owner, returned in the hold. Send the same one on purpose to re-enter.',
);
const requestId = identifier(
  LIMITS.requestIdLengthMax,
  'Names this request across retries; a retry with the same id never makes a second hold.',
);
const ttlMs = z
  .int()
  .min(LIMITS.ttlMsMin)
  .max(LIMITS.ttlMsMax)
  .meta({ description: 'Time to live in milliseconds; the policy of the lock if omitted.' });
const timeoutMs = z
  .int()
  .min(-1)
  .max(LIMITS.timeoutMsMax)
  .meta({ description: '0: try-lock (default). Above 0: wait at most this long. -1: wait until granted.' });
const maxHoldMs = z
  .int()
  .min(LIMITS.ttlMsMin)
  .max(LIMITS.maxHoldMsMax)
  .meta({ description: 'Longest life of the hold over all renewals, in milliseconds.' });
const namespace = z
  .string()
  .min(1)
  .max(LIMITS.namespaceLengthMax)
  .regex(/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/)
  .meta({ description: 'Kubernetes namespace of the lock; the own one if omitted.' });
/** Fencing token as a decimal string of 1 to 16 digits, no sign, no leading zero. Its range is checked by `parseToken`. */
const fencingToken = z
  .string()
  .regex(/^[1-9][0-9]{0,15}$/)
  .meta({ description: 'Fencing token of the hold, a decimal string as the grant gave it.' });

const metadata = z.record(z.string().min(1).max(128), z.string().max(LIMITS.metadataBytesMax)).meta({
  description: `Notes for people, shown by inspection: at most ${LIMITS.metadataEntriesMax} entries and ${LIMITS.metadataBytesMax} bytes as JSON.`,
});

const acquireFields = {
  ownerId: ownerId.optional(),
  mode: modeSchema.optional(),
  ttlMs: ttlMs.optional(),
  timeoutMs: timeoutMs.optional(),
  priority: z
    .int()
    .min(0)
    .max(LIMITS.priorityMax)
    .optional()
    .meta({ description: 'Under Priority fairness, higher first; ignored under Fifo.' }),
  metadata: metadata.optional(),
  maxHoldMs: maxHoldMs.optional(),
  requestId: requestId.optional(),
  namespace: namespace.optional(),
};

export const acquireRequestSchema = z.strictObject({
  ...acquireFields,
  autoRenew: z
    .boolean()
    .optional()
    .meta({ description: 'Renew for the caller until release or maxHoldMs, which it needs.' }),
});
export type AcquireRequest = z.output<typeof acquireRequestSchema>;

export const holdRequestSchema = z.strictObject(acquireFields);
export type HoldRequest = z.output<typeof holdRequestSchema>;

export const renewRequestSchema = z.strictObject({
  fencingToken,
  ownerId: ownerId.optional(),
  ttlMs: ttlMs.optional(),
  namespace: namespace.optional(),
});
export type RenewRequest = z.output<typeof renewRequestSchema>;

export const releaseRequestSchema = z.strictObject({
  fencingToken,
  ownerId: ownerId.optional(),
  namespace: namespace.optional(),
});
export type ReleaseRequest = z.output<typeof releaseRequestSchema>;

export const forceReleaseRequestSchema = z.strictObject({
  reason: z
    .string()
    .min(1)
    .max(LIMITS.reasonLengthMax)
    .meta({ description: 'Why, for the holder that loses and for the audit.' }),
  namespace: namespace.optional(),
});
export type ForceReleaseRequest = z.output<typeof forceReleaseRequestSchema>;

const ids = z
  .array(z.string())
  .min(1)
  .max(LIMITS.acquireAllMax)
  .meta({ description: 'Lock ids, all in one namespace, none twice.' });

export const acquireAllRequestSchema = z.strictObject({
  ids,
  ownerId: ownerId.optional(),
  mode: modeSchema.optional(),
  ttlMs: ttlMs.optional(),
  timeoutMs: timeoutMs
    .optional()
    .meta({ description: 'For all together; 0 (default) takes them only if every one is free.' }),
  metadata: metadata.optional(),
  namespace: namespace.optional(),
});
export type AcquireAllRequest = z.output<typeof acquireAllRequestSchema>;

export const releaseAllRequestSchema = z.strictObject({
  holds: z
    .array(z.strictObject({ lockId: z.string(), fencingToken }))
    .min(1)
    .max(LIMITS.acquireAllMax),
  ownerId: ownerId.optional(),
  namespace: namespace.optional(),
});
export type ReleaseAllRequest = z.output<typeof releaseAllRequestSchema>;

/** The integer of a validated token string, or `undefined` if it is above 2^53 - 1. */
export function parseToken(text: string): number | undefined {
  const token = Number(text);
  return token <= TOKEN_MAX ? token : undefined;
}
