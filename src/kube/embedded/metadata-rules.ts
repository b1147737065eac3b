import { DNS_LABEL, DNS_SUBDOMAIN, isQualifiedName, isLabelValue } from './names.ts';
import { ANNOTATION_BYTES_MAX } from '../lease.ts';
import type { Cause } from './api-error.ts';
import { isObject } from './json.ts';
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
        required: ['apiVersion', 'kind', 'name', 'uid'],
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

/** What is wrong with labels, annotations and finalizers whose types are right. */
export function metadataCauses(metadata: Readonly<Record<string, unknown>>): readonly Cause[] {
  const causes: Cause[] = [];
  const invalid = (field: string, value: unknown, why: string) =>
    causes.push({ reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${why}` });
  for (const [key, value] of Object.entries(isObject(metadata['labels']) ? metadata['labels'] : {})) {
    if (!isQualifiedName(key)) invalid('metadata.labels', key, QUALIFIED_NAME_RULE);
    if (typeof value === 'string' && !isLabelValue(value)) invalid('metadata.labels', value, LABEL_VALUE_RULE);
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(isObject(metadata['annotations']) ? metadata['annotations'] : {})) {
    if (!isQualifiedName(key.toLowerCase())) invalid('metadata.annotations', key, QUALIFIED_NAME_RULE);
    bytes += Buffer.byteLength(key) + Buffer.byteLength(String(value));
  }
  if (bytes > ANNOTATION_BYTES_MAX) {
    const message = `Too long: may not be more than ${ANNOTATION_BYTES_MAX} bytes`;
    causes.push({ reason: 'FieldValueTooLong', field: 'metadata.annotations', message });
  }
  const finalizers = Array.isArray(metadata['finalizers']) ? (metadata['finalizers'] as unknown[]) : [];
  for (const [index, finalizer] of finalizers.entries())
    if (!isQualifiedName(String(finalizer))) invalid(`metadata.finalizers[${index}]`, finalizer, QUALIFIED_NAME_RULE);
  return causes;
}

const QUALIFIED_NAME_RULE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, at most 63 of them, with an optional DNS subdomain prefix and '/'";
const LABEL_VALUE_RULE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, at most 63 of them";

export function subdomainProblem(name: string): string | undefined {
  if (name.length <= 253 && DNS_SUBDOMAIN.test(name)) return undefined;
  return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character, at most 253 of them";
}

export function labelProblem(name: string): string | undefined {
  if (name.length <= 63 && DNS_LABEL.test(name)) return undefined;
  return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character, at most 63 of them";
}
