import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { type DistributedLockSpec, distributedLockSpecSchema } from '../policies.ts';
import { modeSchema } from '../vocabulary.ts';
import { conditionsSchema } from './conditions.ts';
import { API_VERSION, metadataSchema, type Named, nameRule, type ResourceRules } from './resource.ts';
import { maxHoldRule } from './spec-rules.ts';
import { celRuleOf, checkRules, type ValidationRule } from './validation-rule.ts';

const time = z.iso.datetime({ offset: true }).max(64);
const token = z
  .string()
  .max(16)
  .regex(/^[1-9][0-9]*$/);

/** Longest text of `status.holder`: a principal, a slash, an ownerId. A longer one is cut by its writer. */
export const HOLDER_TEXT_LENGTH_MAX = 512;

export const holderStatusSchema = z
  .object({
    ownerId: z.string().min(1).max(LIMITS.ownerIdLengthMax).meta({ description: 'Who holds, within the principal.' }),
    principal: z.string().min(1).max(256).meta({ description: 'The authenticated client: a pod.' }),
    mode: modeSchema,
    fencingToken: token.meta({ description: 'Fencing token of the hold: information, not a key to it.' }),
    depth: z
      .int()
      .min(1)
      .max(LIMITS.depthMax)
      .optional()
      .meta({ description: 'How many times the owner has acquired it; absent means once.' }),
    heldSince: time.meta({ description: 'When the hold was granted.' }),
  })
  .meta({ description: 'One hold of the lock.' });
export type HolderStatus = z.output<typeof holderStatusSchema>;

export const distributedLockStatusSchema = z
  .object({
    holder: z.string().max(HOLDER_TEXT_LENGTH_MAX).optional().meta({
      description: 'The first holder as text, with the number of further ones; absent while the lock is free.',
    }),
    holders: z
      .array(holderStatusSchema)
      .max(LIMITS.holdersShownMax)
      .optional()
      .meta({
        description: `The holds, oldest first, at most ${LIMITS.holdersShownMax}.`,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['fencingToken'],
      }),
    mode: modeSchema.optional().meta({ description: 'Mode of the holds; absent while the lock is free.' }),
    heldSince: time
      .optional()
      .meta({ description: 'When the oldest hold was granted; absent while the lock is free.' }),
    fencingToken: token.optional().meta({
      description: 'The largest fencing token granted so far, as a decimal number. It never becomes smaller.',
    }),
    waiters: z.int().min(0).max(LIMITS.waitersPerLockMax).optional().meta({ description: 'How many acquires wait.' }),
    shard: z.int().min(0).max(1_023).optional().meta({ description: 'The shard that the lock lies in.' }),
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'metadata.generation of the spec that is in force.' }),
    conditions: conditionsSchema,
  })
  .meta({
    description: 'The state of the lock as last reported: written on transitions, at most once a second.',
  });
export type DistributedLockStatus = z.output<typeof distributedLockStatusSchema>;

/** What the rules about a whole lock look at. */
export interface LockFacts extends Named {
  readonly status?: { readonly fencingToken?: string | undefined } | undefined;
}

/** The record of the largest token: it keeps tokens growing when the lock's Lease is gone, so nobody may lower it. */
const tokenGrows: ValidationRule<LockFacts> = {
  rule:
    '!has(oldSelf.status) || !has(oldSelf.status.fencingToken) || (has(self.status) && has(self.status.fencingToken) && ' +
    'int(self.status.fencingToken) >= int(oldSelf.status.fencingToken))',
  isMet: ({ status }, old) =>
    old?.status?.fencingToken === undefined || Number(status?.fencingToken ?? 0) >= Number(old.status.fencingToken),
  message:
    '`status.fencingToken` must not become smaller or be removed, or a token could be granted twice; to begin anew, delete the lock and create it again',
  reason: 'FieldValueInvalid',
  fieldPath: '.status.fencingToken',
};

export const DISTRIBUTED_LOCK_RULES: ResourceRules<LockFacts, DistributedLockSpec> = {
  root: [nameRule, tokenGrows],
  spec: [maxHoldRule],
};

const specMeta = {
  description: 'The rules of the lock. Edits apply to grants after them; holds keep what they were promised.',
  'x-kubernetes-validations': DISTRIBUTED_LOCK_RULES.spec.map(celRuleOf),
};
const parts = {
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('DistributedLock'),
  metadata: metadataSchema,
  status: distributedLockStatusSchema.optional(),
};
const checkSpec = checkRules(DISTRIBUTED_LOCK_RULES.spec);
const checkRoot = checkRules(DISTRIBUTED_LOCK_RULES.root);

/** A DistributedLock as the API server stores it. Fields that this version does not know are dropped. */
export const distributedLockSchema = z
  .object({
    ...parts,
    spec: z.object(distributedLockSpecSchema.shape).superRefine(checkSpec).prefault({}).meta(specMeta),
  })
  .superRefine(checkRoot)
  .meta({
    description:
      'DistributedLock is one lock: whoever holds it has a fencing token, which only grows, and a time to live, which it renews.',
    'x-kubernetes-validations': DISTRIBUTED_LOCK_RULES.root.map(celRuleOf),
  });
export type DistributedLock = z.output<typeof distributedLockSchema>;

/** A DistributedLock as a person writes it: a field of the spec that nobody knows is a mistake. */
export const distributedLockManifestSchema = z
  .object({ ...parts, spec: distributedLockSpecSchema.superRefine(checkSpec).prefault({}) })
  .superRefine(checkRoot);
