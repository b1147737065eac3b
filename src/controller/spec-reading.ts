import type { z } from 'zod';
import { lockIdProblem } from '../api/lock-id.ts';
import type { StoredObject } from '../kube/kube-object.ts';

export type SpecReading<Spec> =
  | { readonly kind: 'valid'; readonly spec: Spec }
  | { readonly kind: 'invalid'; readonly problem: string };

const PROBLEMS_SHOWN = 5;

/**
 * The spec of an object as it is stored. It may have been stored under an older definition, or by a server that does not
 * check, so that it breaks a rule of today; the problem then names every wrong field.
 */
export function readSpec<Schema extends z.ZodType>(
  schema: Schema,
  object: StoredObject,
): SpecReading<z.output<Schema>> {
  const name = lockIdProblem(object.metadata.name);
  if (name !== undefined || object.metadata.name.includes('/'))
    return { kind: 'invalid', problem: `metadata.name: ${name ?? 'a slash'}` };
  const parsed = schema.safeParse(object['spec'] ?? {});
  if (parsed.success) return { kind: 'valid', spec: parsed.data };
  const { issues } = parsed.error;
  const shown = issues
    .slice(0, PROBLEMS_SHOWN)
    .map(({ path, message }) => `${['spec', ...path].map(String).join('.')}: ${message}`);
  const rest = issues.length > PROBLEMS_SHOWN ? `; ${issues.length - PROBLEMS_SHOWN} more` : '';
  return { kind: 'invalid', problem: shown.join('; ') + rest };
}
