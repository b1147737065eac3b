import { EVENTS, LEASES, NAMESPACES, type StoredObject } from '../kube-object.ts';
import { type Lease, isMicroTime } from '../lease.ts';
import { type Cause, badRequest, invalidCause } from './api-error.ts';
import { type ApiResource, type Column, NAME_COLUMN } from './api-resource.ts';
import { objectOf, textOf } from './json.ts';
import { METADATA_SCHEMA } from './metadata-rules.ts';
import { labelProblems, subdomainProblems } from './names.ts';
import type { Schema } from './schema.ts';

const text = (description: string): Schema => ({ type: 'string', description });
const objectSchema = (description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  description,
  properties: { apiVersion: { type: 'string' }, kind: { type: 'string' }, metadata: METADATA_SCHEMA, ...properties },
});
const column = (name: string, description: string, cellOf: Column['cellOf'], more: Partial<Column> = {}): Column => ({
  name,
  type: 'string',
  description,
  priority: 0,
  cellOf,
  ...more,
});
/** Built-in kinds show times as texts, custom ones as dates. */
const AGE = column('Age', 'The time since the object was created.', ({ metadata }) => metadata.creationTimestamp, {
  isAge: true,
});
const plain = {
  categories: [],
  builtIn: true,
  hasStatus: false,
  hasGeneration: false,
  unconditionalUpdate: false,
  selectableFields: [],
  fieldValues: () => ({}),
  nameProblems: subdomainProblems,
  createdByPut: false,
  moreCauses: () => [],
} as const;

const leases: ApiResource = {
  ...plain,
  type: LEASES,
  singular: 'lease',
  shortNames: [],
  createdByPut: true,
  schema: objectSchema('Lease defines a lease concept.', {
    spec: {
      type: 'object',
      description: 'Who holds, since when, for how long.',
      default: {},
      properties: {
        holderIdentity: text('Who holds the lease.'),
        leaseDurationSeconds: {
          type: 'integer',
          format: 'int32',
          description: 'Seconds that others must wait after renewTime before they take it.',
        },
        acquireTime: text('When the current holder took it.'),
        renewTime: text('When the holder wrote it last.'),
        leaseTransitions: { type: 'integer', format: 'int32', description: 'How often the holder changed.' },
        strategy: text('Strategy of a coordinated leader election.'),
        preferredHolder: text('Who should get it next.'),
      },
    },
  }),
  columns: [
    NAME_COLUMN,
    column('Holder', 'Who holds the lease.', (object) => objectOf(object['spec'])['holderIdentity'] ?? ''),
    AGE,
  ],
  moreCauses: ({ spec }) => leaseCauses(objectOf(spec)),
};

function leaseCauses(spec: Lease['spec']): readonly Cause[] {
  const causes: Cause[] = [];
  const invalid = (field: string, value: unknown, why: string) =>
    causes.push(invalidCause(`spec.${field}`, value, why));
  const { leaseDurationSeconds, leaseTransitions } = spec;
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0)
    invalid('leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0');
  if (leaseTransitions !== undefined && leaseTransitions < 0)
    invalid('leaseTransitions', leaseTransitions, 'must be greater than or equal to 0');
  for (const field of ['acquireTime', 'renewTime'] as const) {
    const time = spec[field];
    if (time !== undefined && !isMicroTime(time)) {
      const problem = `spec.${field}: ${JSON.stringify(time)} must be RFC 3339 with six digits of a second`;
      throw badRequest(`Lease in version "v1" cannot be handled as a Lease: ${problem}`);
    }
  }
  return causes;
}

const namespaces: ApiResource = {
  ...plain,
  type: NAMESPACES,
  singular: 'namespace',
  shortNames: ['ns'],
  hasStatus: true,
  unconditionalUpdate: true,
  nameProblems: labelProblems,
  schema: objectSchema('Namespace provides a scope for Names.', {
    spec: { type: 'object', properties: { finalizers: { type: 'array', items: { type: 'string' } } } },
    status: {
      type: 'object',
      properties: {
        phase: text('Active or Terminating.'),
        conditions: { type: 'array', items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    },
  }),
  columns: [
    NAME_COLUMN,
    column('Status', 'Active or Terminating.', (object) => objectOf(object['status'])['phase']),
    AGE,
  ],
  selectableFields: ['status.phase'],
  fieldValues: (object) => ({ 'status.phase': textOf(objectOf(object['status'])['phase']) ?? '' }),
};

const reference: Schema = {
  type: 'object',
  properties: Object.fromEntries(
    ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((name) => [
      name,
      { type: 'string' },
    ]),
  ),
};

const INVOLVED = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'] as const;
const involved = (object: StoredObject) => objectOf(object['involvedObject']);
const lastSeen = (object: StoredObject) =>
  object['lastTimestamp'] ?? object['eventTime'] ?? object['firstTimestamp'] ?? object.metadata.creationTimestamp;

const events: ApiResource = {
  ...plain,
  type: EVENTS,
  singular: 'event',
  createdByPut: true,
  shortNames: ['ev'],
  unconditionalUpdate: true,
  moreCauses: (object) => {
    const namespace = textOf(objectOf(object['involvedObject'])['namespace']) ?? '';
    if (namespace === '' || namespace === object.metadata.namespace) return [];
    return [invalidCause('involvedObject.namespace', namespace, 'does not match event.namespace')];
  },
  schema: objectSchema('Event is a report of an event somewhere in the cluster.', {
    involvedObject: { ...reference, default: {} },
    reason: text('Why, in one word.'),
    message: text('What happened.'),
    source: { type: 'object', default: {}, properties: { component: { type: 'string' }, host: { type: 'string' } } },
    firstTimestamp: { type: 'string', nullable: true, default: null },
    lastTimestamp: { type: 'string', nullable: true, default: null },
    count: { type: 'integer', format: 'int32' },
    type: text('Normal or Warning.'),
    eventTime: { type: 'string', nullable: true, default: null },
    series: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    action: { type: 'string' },
    related: reference,
    reportingComponent: { type: 'string', default: '' },
    reportingInstance: { type: 'string', default: '' },
  }),
  columns: [
    column('Last Seen', 'When it happened last.', lastSeen, { isAge: true }),
    column('Type', 'Normal or Warning.', (object) => object['type']),
    column('Reason', 'Why, in one word.', (object) => object['reason']),
    column('Object', 'What it is about.', (object) => {
      const { kind, name } = involved(object);
      return `${(textOf(kind) ?? '').toLowerCase()}/${textOf(name) ?? ''}`;
    }),
    column('Subobject', 'Which part of it.', (object) => textOf(involved(object)['fieldPath']) ?? '', { priority: 1 }),
    column(
      'Source',
      'Who reported it.',
      (object) => {
        const component = objectOf(object['source'])['component'];
        return component ?? object['reportingComponent'];
      },
      { priority: 1 },
    ),
    column('Message', 'What happened.', (object) => (textOf(object['message']) ?? '').trim()),
    column('First Seen', 'When it happened first.', (object) => object['firstTimestamp'] ?? lastSeen(object), {
      isAge: true,
      priority: 1,
    }),
    column('Count', 'How often it happened.', (object) => object['count'] ?? 1, { priority: 1 }),
    { ...NAME_COLUMN, priority: 1 },
  ],
  selectableFields: [
    ...INVOLVED.map((name) => `involvedObject.${name}`),
    'reason',
    'type',
    'source',
    'reportingComponent',
  ],
  fieldValues: (object) => ({
    ...Object.fromEntries(INVOLVED.map((name) => [`involvedObject.${name}`, textOf(involved(object)[name]) ?? ''])),
    reason: textOf(object['reason']) ?? '',
    type: textOf(object['type']) ?? '',
    source: textOf(objectOf(object['source'])['component']) ?? '',
    reportingComponent: textOf(object['reportingComponent']) ?? '',
  }),
};

/** The built-in kinds that the embedded API serves. */
export const BUILT_IN_RESOURCES: readonly ApiResource[] = [namespaces, events, leases];
