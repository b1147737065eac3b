import { z } from 'zod';
import { TOKEN_MAX } from '../limits.ts';
import { type LockPoolSpec, lockPoolSpecSchema } from '../policies.ts';
import { conditionsSchema } from './conditions.ts';
import { API_VERSION, metadataSchema, type Named, nameRule, type ResourceRules } from './resource.ts';
import { keyPatternRule, keyPatternSyntaxRule, maxHoldRule, poolLeaseRule } from './spec-rules.ts';
import { celRuleOf, checkRules } from './validation-rule.ts';

const count = z.int().min(0).max(TOKEN_MAX);

export const lockPoolStatusSchema = z
  .object({
    holds: count.optional().meta({ description: 'How many keys of the pool are held, counted by hold.' }),
    waiters: count.optional().meta({ description: 'How many acquires wait, over all keys.' }),
    grants: count.optional().meta({
      description: 'How many grants the present owners of the shards have made; it begins anew with a new owner.',
    }),
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'metadata.generation of the spec that is in force.' }),
    conditions: conditionsSchema,
  })
  .meta({ description: 'The state of the pool as last reported.' });
export type LockPoolStatus = z.output<typeof lockPoolStatusSchema>;

export const LOCK_POOL_RULES: ResourceRules<Named, LockPoolSpec> = {
  root: [nameRule],
  spec: [maxHoldRule, poolLeaseRule, keyPatternSyntaxRule, keyPatternRule],
};

const specMeta = {
  description: 'The rules of every key. Edits apply to grants after them; holds keep what they were promised.',
  'x-kubernetes-validations': LOCK_POOL_RULES.spec.map(celRuleOf),
};
const parts = {
  apiVersion: z.literal(API_VERSION),
  kind: z.literal('LockPool'),
  metadata: metadataSchema,
  status: lockPoolStatusSchema.optional(),
};
const checkSpec = checkRules(LOCK_POOL_RULES.spec);
const checkRoot = checkRules(LOCK_POOL_RULES.root);

/** A LockPool as the API server stores it. Fields that this version does not know are dropped. */
export const lockPoolSchema = z
  .object({
    ...parts,
    spec: z.object(lockPoolSpecSchema.shape).superRefine(checkSpec).prefault({}).meta(specMeta),
  })
  .superRefine(checkRoot)
  .meta({
    description:
      'LockPool is a keyspace of locks, pool/key, that need no object of their own. They live in the memory of the operator; every grant has a fencing token.',
    'x-kubernetes-validations': LOCK_POOL_RULES.root.map(celRuleOf),
  });
export type LockPool = z.output<typeof lockPoolSchema>;

/** A LockPool as a person writes it: a field of the spec that nobody knows is a mistake. */
export const lockPoolManifestSchema = z
  .object({ ...parts, spec: lockPoolSpecSchema.superRefine(checkSpec).prefault({}) })
  .superRefine(checkRoot);
