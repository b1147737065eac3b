import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import type { ValidationRule } from './validation-rule.ts';

/** The API group of the custom resources, and the prefix of the product's labels and annotations. */
export const GROUP = 'lockkeeper.dev';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

/** What we read of an object's metadata. The API server checks it; the definition bounds the name alone. */
export const metadataSchema = z.looseObject({
  name: z.string().min(1).max(253).meta({ description: 'Name of the object, at most 63 characters.' }),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  resourceVersion: z.string().optional(),
  generation: z.int().optional(),
  creationTimestamp: z.string().optional(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  finalizers: z.array(z.string()).optional(),
});
export type Metadata = z.output<typeof metadataSchema>;

/** What every rule about a whole object may look at. */
export interface Named {
  readonly metadata: { readonly name: string };
}

/** The rules of a kind: about the whole object, and about its spec. */
export interface ResourceRules<Resource, Spec> {
  readonly root: readonly ValidationRule<Resource>[];
  readonly spec: readonly ValidationRule<Spec>[];
}

const LABEL = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';
const label = new RegExp(LABEL);

/**
 * A name stands in lock ids (`name`, `pool/key`), label values and names of Leases, so it is a DNS-1123 label. The API server
 * by itself takes names of up to 253 characters, with dots.
 */
export const nameRule: ValidationRule<Named> = {
  rule: `self.metadata.name.size() <= ${LIMITS.nameLengthMax} && self.metadata.name.matches('${LABEL}')`,
  isMet: ({ metadata }) => metadata.name.length <= LIMITS.nameLengthMax && label.test(metadata.name),
  message: `\`metadata.name\` ({metadata.name}) must be at most ${LIMITS.nameLengthMax} lower-case letters, digits and inner hyphens (a DNS-1123 label), since it is part of lock ids`,
  reason: 'FieldValueInvalid',
  fieldPath: '.metadata.name',
};
