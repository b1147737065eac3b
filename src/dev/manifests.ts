import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { lockIdProblem } from '../api/lock-id.ts';
import {
  distributedLockSpecSchema,
  type LockPolicy,
  lockPoolSpecSchema,
  policyOfLock,
  policyOfPool,
} from '../api/policies.ts';

export const API_VERSION = 'lockkeeper.dev/v1alpha1';

const nameSchema = z.string().refine((name) => !name.includes('/') && lockIdProblem(name) === undefined, {
  message: 'must be lower-case letters, digits and inner hyphens, at most 63 (a DNS-1123 label)',
});
const metadataSchema = z.looseObject({ name: nameSchema, namespace: nameSchema.default('default') });
const manifestSchema = z.discriminatedUnion('kind', [
  z.looseObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal('DistributedLock'),
    metadata: metadataSchema,
    spec: distributedLockSpecSchema.prefault({}),
  }),
  z.looseObject({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal('LockPool'),
    metadata: metadataSchema,
    spec: lockPoolSpecSchema.prefault({}),
  }),
]);

/** The rules that one manifest declares. */
export interface DeclaredRules {
  readonly resource: 'lock' | 'pool';
  /** `namespace/name`. */
  readonly name: string;
  readonly policy: LockPolicy;
}

/**
 * Reads a file of DistributedLock and LockPool manifests, one or several YAML documents. Either all are good, or every problem
 * is named with its document and field.
 */
export function readManifests(text: string): {
  readonly rules: readonly DeclaredRules[];
  readonly problems: readonly string[];
} {
  const rules: DeclaredRules[] = [];
  const problems: string[] = [];
  for (const [index, document] of parseAllDocuments(text).entries()) {
    const where = `document ${index + 1}`;
    for (const error of document.errors) problems.push(`${where}: ${error.message}`);
    if (document.errors.length > 0 || document.contents === null) continue;
    const parsed = manifestSchema.safeParse(document.toJS());
    if (!parsed.success) {
      for (const issue of parsed.error.issues)
        problems.push(`${where}: ${issue.path.join('.') || 'the document'}: ${issue.message}`);
      continue;
    }
    const { kind, metadata, spec } = parsed.data;
    const name = `${metadata.namespace}/${metadata.name}`;
    if (kind === 'DistributedLock')
      rules.push({ resource: 'lock', name, policy: policyOfLock(distributedLockSpecSchema.parse(spec)) });
    else rules.push({ resource: 'pool', name, policy: policyOfPool(lockPoolSpecSchema.parse(spec)) });
  }
  return { rules, problems };
}
