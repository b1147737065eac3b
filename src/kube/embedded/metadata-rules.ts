import { labelKeyProblems, labelValueProblems, qualifiedNameProblems } from './names.ts';
import { ANNOTATION_BYTES_MAX } from '../lease.ts';
import { type Cause, invalidCause } from './api-error.ts';
import { objectOf } from './json.ts';
import type { Schema } from './schema.ts';

const texts: Schema = { type: 'object', additionalProperties: { type: 'string' } };

/** What `metadata` may hold, also for `kubectl explain`. */
export const METADATA_SCHEMA: Schema = {
  type: 'object',
  description: 'Standard object metadata.',
  properties: {
    name: { type: 'string', description: 'Name of the object; unique in its namespace.' },
    generateName: { type: 'string', description: 'Prefix of a name to be made up.' },
    namespace: { type: 'string', description: 'Namespace of the object.' },
    selfLink: { type: 'string' },
    uid: { type: 'string', description: 'One life of this name; set by the server.' },
    resourceVersion: { type: 'string', description: 'Version of the object; set by the server.' },
    generation: { type: 'integer', format: 'int64', description: 'Grows with every change of the spec.' },
    creationTimestamp: { type: 'string', nullable: true, description: 'When it was created; set by the server.' },
    deletionTimestamp: { type: 'string', nullable: true, description: 'When its deletion was asked for.' },
    deletionGracePeriodSeconds: { type: 'integer', format: 'int64', nullable: true },
    labels: { ...texts, nullable: true, description: 'Texts to select objects by.' },
    annotations: { ...texts, nullable: true, description: 'Texts that tools keep on the object.' },
    finalizers: {
      type: 'array',
      items: { type: 'string' },
      nullable: true,
      'x-kubernetes-list-type': 'set',
      description: 'Who must agree before the object is gone.',
    },
    ownerReferences: {
      type: 'array',
      nullable: true,
      description: 'Objects that this one belongs to.',
      items: {
        type: 'object',
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          name: { type: 'string' },
          uid: { type: 'string' },
          controller: { type: 'boolean' },
          blockOwnerDeletion: { type: 'boolean' },
        },
      },
    },
    managedFields: {
      type: 'array',
      nullable: true,
      items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
  },
};

/** What is wrong with labels, annotations, finalizers and owners whose types are right. */
export function metadataCauses(metadata: Readonly<Record<string, unknown>>): readonly Cause[] {
  const causes: Cause[] = [];
  const told = (field: string, value: unknown, problems: readonly string[]) =>
    causes.push(...problems.map((why) => invalidCause(field, value, why)));
  for (const [key, value] of Object.entries(objectOf(metadata['labels']))) {
    told('metadata.labels', key, labelKeyProblems(key));
    told('metadata.labels', value, labelValueProblems(String(value)));
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(objectOf(metadata['annotations']))) {
    told('metadata.annotations', key, qualifiedNameProblems(key.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  if (bytes > ANNOTATION_BYTES_MAX) {
    const message = `Too long: may not be more than ${ANNOTATION_BYTES_MAX} bytes`;
    causes.push({ reason: 'FieldValueTooLong', field: 'metadata.annotations', message });
  }
  for (const owner of listOf(metadata['ownerReferences']).map(objectOf))
    for (const [field, why] of OWNER_FIELDS)
      told(`metadata.ownerReferences.${field}`, '', (owner[field] ?? '') === '' ? [why] : []);
  for (const finalizer of listOf(metadata['finalizers']))
    told('metadata.finalizers', finalizer, qualifiedNameProblems(String(finalizer)));
  return causes;
}

const OWNER_FIELDS = [
  ['apiVersion', 'version must not be empty'],
  ['kind', 'must not be empty'],
  ['name', 'must not be empty'],
  ['uid', 'must not be empty'],
] as const;

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
