import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { distributedLockManifestSchema } from '../api/custom-resources/distributed-lock.ts';
import { lockPoolManifestSchema } from '../api/custom-resources/lock-pool.ts';
import type { KubeObject } from '../kube/kube-object.ts';

const NAMESPACE_DEFAULT = 'default';
const manifestSchema = z.discriminatedUnion('kind', [distributedLockManifestSchema, lockPoolManifestSchema]);

/**
 * Reads a file of DistributedLock and LockPool manifests, one or several YAML documents. Either all are good, or every problem
 * is named with its document and field.
 */
export function readManifests(text: string): {
  readonly objects: readonly KubeObject[];
  readonly problems: readonly string[];
} {
  const objects: KubeObject[] = [];
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
    // As written: what the file leaves out gets its default where it is stored.
    const written = document.toJS() as KubeObject;
    objects.push({ ...written, metadata: { namespace: NAMESPACE_DEFAULT, ...written.metadata } });
  }
  return { objects, problems };
}
