import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { distributedLockManifestSchema } from '../api/custom-resources/distributed-lock.ts';
import { lockPoolManifestSchema } from '../api/custom-resources/lock-pool.ts';
import { type LockPolicy, policyOfLock, policyOfPool } from '../api/policies.ts';

const NAMESPACE_DEFAULT = 'default';
const manifestSchema = z.discriminatedUnion('kind', [distributedLockManifestSchema, lockPoolManifestSchema]);

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
    const manifest = parsed.data;
    const name = `${manifest.metadata.namespace ?? NAMESPACE_DEFAULT}/${manifest.metadata.name}`;
    if (manifest.kind === 'DistributedLock')
      rules.push({ resource: 'lock', name, policy: policyOfLock(manifest.spec) });
    else rules.push({ resource: 'pool', name, policy: policyOfPool(manifest.spec) });
  }
  return { rules, problems };
}
