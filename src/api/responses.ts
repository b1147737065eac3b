import { z } from 'zod';
import { modeSchema } from './vocabulary.ts';
import type { ErrorCode } from './codes.ts';

/** Answers of the HTTP API. Tokens are decimal strings; `expiresAt` is an RFC 3339 time for people and is never compared. */
const stringMap = z.record(z.string(), z.string());
const token = z
  .string()
  .meta({ description: 'Fencing token, a decimal string below 2^53; it only grows for one lock.' });

export const holdSchema = z.object({
  lockId: z.string(),
  namespace: z.string(),
  ownerId: z.string(),
  mode: modeSchema,
  fencingToken: token,
  depth: z.int().meta({ description: 'Re-entrant acquires of this hold.' }),
  ttlMs: z.int(),
  validForMs: z
    .int()
    .meta({ description: 'Stop using the lock this long after you sent the request, unless renewed.' }),
  expiresAt: z.string().meta({ description: 'For people: about when the hold ends if nobody renews it.' }),
  renewAfterMs: z.int().meta({ description: 'When to renew, counted from when you sent the request.' }),
  metadata: stringMap,
});
export type Hold = z.output<typeof holdSchema>;

export const releasedSchema = z.object({
  released: z.boolean(),
  depth: z.int().meta({ description: 'Depth left; the lock is free at 0.' }),
});
export type Released = z.output<typeof releasedSchema>;

export const holderSchema = z.object({
  ownerId: z.string(),
  principal: z.string(),
  mode: modeSchema,
  fencingToken: token,
  depth: z.int(),
  heldSince: z.string(),
  expiresAt: z.string(),
  overdue: z.boolean().meta({ description: 'The time to live ran out and expiryPolicy is Alert.' }),
  unclaimed: z
    .boolean()
    .meta({ description: 'Read from the record after a takeover; its session has not spoken yet.' }),
  metadata: stringMap,
});
export type Holder = z.output<typeof holderSchema>;

export const waiterSchema = z.object({
  ownerId: z.string(),
  principal: z.string(),
  mode: modeSchema,
  priority: z.int(),
  waitingSince: z.string(),
});

export const lockRecordSchema = z.object({
  lockId: z.string(),
  namespace: z.string(),
  held: z.boolean(),
  ownerId: z.string().nullable().meta({ description: 'First holder, or null.' }),
  fencingToken: token.nullable().meta({ description: 'Information only: a token read here opens nothing.' }),
  expiresAt: z.string().nullable(),
  metadata: stringMap,
  holders: z.array(holderSchema).meta({ description: 'First 100.' }),
  holderCount: z.int(),
  waiters: z.array(waiterSchema).meta({ description: 'First 100, in order of grant.' }),
  waiterCount: z.int(),
  lockDelayRemainingMs: z.int(),
});
export type LockRecord = z.output<typeof lockRecordSchema>;

export const lockListSchema = z.object({ items: z.array(lockRecordSchema), continue: z.string().optional() });
export type LockList = z.output<typeof lockListSchema>;

export const forceReleasedSchema = z.object({ released: z.int().meta({ description: 'Holds that were ended.' }) });
export type ForceReleased = z.output<typeof forceReleasedSchema>;

export const holdsSchema = z.object({
  holds: z.array(holdSchema),
  validForMs: z.int().meta({ description: 'The smallest of the holds.' }),
});
export type Holds = z.output<typeof holdsSchema>;

export const heldSchema = z.object({ held: z.boolean(), validForMs: z.int() });
export type Held = z.output<typeof heldSchema>;

export const errorBodySchema = z.object({
  code: z.string(),
  message: z.string().meta({ description: 'Says what to do next.' }),
  details: z.record(z.string(), z.unknown()),
  retryable: z.boolean(),
});

/**
 * Events of a `:hold` stream, one JSON object a line. `queued` at most once, then `granted` once or an error as `lost`; then
 * `ping` while held; `jeopardy` when renewals go unanswered and under half the time is left; `lost` ends the stream.
 */
export type HoldEvent =
  | { readonly event: 'queued'; readonly position: number }
  | { readonly event: 'granted'; readonly hold: Hold }
  /** `validForMs` counts from the receipt of this line's answer by the local endpoint. */
  | { readonly event: 'ping'; readonly validForMs: number }
  | { readonly event: 'jeopardy'; readonly validForMs: number }
  | {
      readonly event: 'lost';
      readonly code: ErrorCode;
      readonly message: string;
      readonly details: Readonly<Record<string, unknown>>;
    };
