import { z } from 'zod';
import { LIMITS, TOKEN_MAX } from '../../api/limits.ts';
import { modeSchema } from '../../api/vocabulary.ts';

/**
 * A hold as it is written down for the next process of this session. It carries no deadline: a deadline of a dead process
 * means nothing, so nothing of this is held before an owner has answered to it.
 */
export const savedHoldSchema = z.object({
  key: z.string().min(1),
  token: z.int().min(1).max(TOKEN_MAX),
  ownerId: z.string().min(1).max(LIMITS.ownerIdLengthMax),
  mode: modeSchema,
  depth: z.int().min(1).max(LIMITS.depthMax),
  ttlMs: z.int().min(1).max(LIMITS.ttlMsMax),
  metadata: z.record(z.string(), z.string()).optional(),
  /** How much longer it was to be renewed for its owner. */
  renewForMs: z.int().min(1).max(LIMITS.maxHoldMsMax).optional(),
});
export type SavedHold = z.output<typeof savedHoldSchema>;
