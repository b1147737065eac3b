import type { KubeMetadata, KubeObject, StoredObject } from '../kube-object.ts';
import { ApiError, type Cause, badRequest, conflict, invalid, invalidCause } from './api-error.ts';
import type { ApiResource } from './api-resource.ts';
import { type JsonObject, frozenCopy, isEqual, isObject, objectOf, textOf } from './json.ts';
import { mayHaveRules, ruleCauses } from './cel-rules.ts';
import { METADATA_SCHEMA, metadataCauses } from './metadata-rules.ts';
import { prune, withDefaults } from './schema-shape.ts';
import { schemaCauses } from './schema-validate.ts';

/** Told the fields of a written object that its schema does not know and that were dropped; throws to refuse the write. */
export type OnUnknownFields = (fields: readonly string[]) => void;

/** Fields of the metadata that only the server sets. */
const SERVER_FIELDS = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
];

/** What a server adds to an object. */
export interface ServerFields {
  readonly uid: string;
  readonly creationTimestamp: string;
  readonly resourceVersion: string;
}

/** The object to be stored by a creation, without the fields that the server sets. Throws `ApiError`. */
export function createdObject(resource: ApiResource, proposed: unknown, onUnknownFields?: OnUnknownFields): KubeObject {
  const shaped = shapedObject(resource, proposed, onUnknownFields);
  if ((shaped.metadata.resourceVersion ?? '') !== '')
    throw badRequest('resourceVersion should not be set on objects to be created');
  const { status, ...rest } = shaped;
  const object = (resource.hasStatus ? rest : { ...rest, ...(status === undefined ? {} : { status }) }) as KubeObject;
  const created = { ...object, metadata: withoutServerFields(object.metadata) };
  const causes = causesOf(resource, created, undefined, nameCauses(resource, created));
  if (causes.length > 0) throw invalid(resource.type, created.metadata.name, causes);
  return created;
}

/** The object to be stored by an update, with its old version still; the old one itself if nothing changes. Throws `ApiError`. */
export function updatedObject(
  resource: ApiResource,
  current: StoredObject,
  proposed: unknown,
  subresource: 'status' | undefined,
  onUnknownFields?: OnUnknownFields,
): StoredObject {
  const { type } = resource;
  const shaped = shapedObject(resource, proposed, onUnknownFields);
  assertSameObject(resource, current, shaped);
  const object = resource.hasStatus ? withOneHalf(current, shaped, subresource) : shaped;
  const { metadata } = object;
  const kept = Object.fromEntries(
    SERVER_FIELDS.flatMap((field) => (current.metadata[field] === undefined ? [] : [[field, current.metadata[field]]])),
  );
  const { name, namespace } = current.metadata;
  const place = { name, ...(namespace === undefined ? {} : { namespace }) };
  const updated = {
    ...object,
    metadata: { ...withoutServerFields(metadata), ...place, ...kept },
  } as unknown as StoredObject;
  const finalizers = current.metadata.deletionTimestamp === undefined ? [] : newFinalizers(resource, current, metadata);
  const causes = causesOf(resource, updated, current, finalizers).map((cause) => ({
    ...cause,
    // The status is checked by itself, so its fields are named from there.
    message: subresource === 'status' ? cause.message.replace(/\bstatus\.?(\S* in body)/, '$1') : cause.message,
  }));
  if (causes.length > 0) throw invalid(type, current.metadata.name, causes);
  if (isEqual(updated, current)) return current;
  const { generation } = current.metadata;
  const grows =
    resource.hasGeneration && generation !== undefined && !isEqual(countedPart(updated), countedPart(current));
  return grows ? { ...updated, metadata: { ...updated.metadata, generation: generation + 1 } } : updated;
}

/** Deep-frozen, with its fields in the order that people know. */
export function storedObject(object: KubeObject, fields: Partial<ServerFields> & JsonObject): StoredObject {
  const { apiVersion, kind, metadata, status, ...rest } = object;
  const sorted = Object.fromEntries(
    Object.entries({ ...metadata, ...fields }).sort(([left], [right]) => (left < right ? -1 : 1)),
  );
  return frozenCopy({ apiVersion, kind, metadata: sorted, ...rest, status }) as unknown as StoredObject;
}

function shapedObject(resource: ApiResource, proposed: unknown, onUnknownFields?: OnUnknownFields): KubeObject {
  const { type, schema } = resource;
  const apiVersion = type.group === '' ? type.version : `${type.group}/${type.version}`;
  if (!isObject(proposed)) throw badRequest(`A ${type.kind} is a JSON object.`);
  const named: JsonObject = { apiVersion, kind: type.kind, ...proposed };
  if (named['apiVersion'] !== apiVersion) {
    const found = textOf(named['apiVersion']) ?? 'no text';
    throw badRequest(`the API version in the data (${found}) does not match the expected API version (${apiVersion})`);
  }
  if (named['kind'] !== type.kind) {
    const kind = textOf(named['kind']) ?? 'no text';
    if (resource.builtIn) throw badRequest(`${kind} in version "${type.version}" cannot be handled as a ${type.kind}`);
    const name = textOf(objectOf(proposed['metadata'])['name']) ?? '';
    throw invalid({ ...type, kind }, name, [invalidCause('kind', kind, `must be ${type.kind}`)]);
  }
  assertReadable(resource, proposed);
  const dropped: string[] = [];
  const pruned = prune({ ...named, metadata: withoutEmpty(objectOf(proposed['metadata'])) }, schema, '', dropped);
  if (dropped.length > 0) onUnknownFields?.(dropped.sort());
  return withDefaults(pruned, schema) as KubeObject;
}

/** As a Go server decodes: `null` and empty maps and lists are the same as nothing. */
function withoutEmpty(metadata: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(metadata).filter(
      ([, value]) => value !== null && value !== '' && !(typeof value === 'object' && Object.keys(value).length === 0),
    ),
  );
}

function withoutServerFields(metadata: KubeMetadata): KubeMetadata {
  return Object.fromEntries(
    Object.entries(metadata).filter(([field]) => !SERVER_FIELDS.includes(field)),
  ) as unknown as KubeMetadata;
}

/** Only the status of what was sent counts, or only the rest of it. */
function withOneHalf(current: StoredObject, proposed: KubeObject, subresource: 'status' | undefined): KubeObject {
  const [rest, half] = subresource === 'status' ? [current, proposed] : [proposed, current];
  const { status: _replaced, ...others } = rest;
  return { ...others, ...(half['status'] === undefined ? {} : { status: half['status'] }) };
}

function assertSameObject({ type }: ApiResource, current: StoredObject, proposed: KubeObject): void {
  const { name, namespace, uid, resourceVersion } = proposed.metadata;
  if (name !== undefined && name !== current.metadata.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${current.metadata.name})`);
  if (type.namespaced && namespace !== undefined && namespace !== current.metadata.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  if (uid !== undefined && uid !== '' && uid !== current.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`;
    throw conflict(type, current.metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== '' && resourceVersion !== current.metadata.resourceVersion)
    throw conflict(type, current.metadata.name);
}

function newFinalizers({ builtIn }: ApiResource, current: StoredObject, proposed: KubeMetadata): readonly Cause[] {
  const before = current.metadata.finalizers ?? [];
  const added = (proposed.finalizers ?? [])
    .filter((each) => !before.includes(each))
    .map((each) => JSON.stringify(each));
  if (added.length === 0) return [];
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.join(', ')}}`;
  const cause = { reason: 'FieldValueForbidden', field: 'metadata.finalizers', message };
  // An API server checks the metadata of custom resources twice.
  return builtIn ? [cause] : [cause, cause];
}

function nameCauses(resource: ApiResource, { metadata }: KubeObject): readonly Cause[] {
  return resource.nameProblems(metadata.name).map((why) => invalidCause('metadata.name', metadata.name, why));
}

/** `others` are told with the rest, and first. */
function causesOf(
  resource: ApiResource,
  object: KubeObject,
  old: StoredObject | undefined,
  others: readonly Cause[],
): readonly Cause[] {
  const causes = [
    ...others,
    ...metadataCauses(object.metadata),
    ...schemaCauses(object, resource.schema, '', old),
    ...resource.moreCauses(object),
  ];
  if (!mayHaveRules(resource.schema)) return causes;
  return causes.some(({ reason }) => BLOCKING.includes(reason))
    ? [...causes, RULES_NOT_CHECKED]
    : [...causes, ...ruleCauses(object, resource.schema, '', old)];
}

/** Problems of the structure, with which no rule can be evaluated. */
const BLOCKING = [
  'FieldValueNotSupported',
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
];
const RULES_NOT_CHECKED: Cause = {
  reason: 'FieldValueInvalid',
  field: '<nil>',
  message:
    'Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation',
};

/**
 * Throws `ApiError` (400) where the metadata, or anything in an object of a built-in kind, has another type than it must have:
 * a server cannot even read that.
 */
function assertReadable({ type, schema, builtIn }: ApiResource, proposed: JsonObject): void {
  const causes = builtIn
    ? schemaCauses(proposed, schema, '')
    : schemaCauses(proposed['metadata'] ?? {}, METADATA_SCHEMA, 'metadata');
  const mistyped = causes.find(({ reason }) => reason === 'FieldValueTypeInvalid');
  if (mistyped === undefined) return;
  const { kind, version } = type;
  throw badRequest(`${kind} in version "${version}" cannot be handled as a ${kind}: ${mistyped.message}`);
}

/** What counts in the generation. */
function countedPart(object: KubeObject): JsonObject {
  const { metadata: _metadata, status: _status, ...rest } = object;
  return rest;
}

/** The name of an object to be created, made up if only its beginning is given. Throws `ApiError`. */
export function nameToCreate(resource: ApiResource, object: unknown, suffix: () => string): string {
  const { name, generateName } = objectOf(objectOf(object)['metadata']);
  if (name !== undefined && name !== null && typeof name !== 'string') throw badRequest('metadata.name must be a text');
  if (typeof name === 'string' && name !== '') return name;
  if (typeof generateName === 'string' && generateName !== '') return `${generateName}${suffix()}`;
  const message = 'Required value: name or generateName is required';
  const cause = { reason: 'FieldValueRequired', field: 'metadata.name', message };
  throw invalid(resource.type, '', mayHaveRules(resource.schema) ? [cause, RULES_NOT_CHECKED] : [cause]);
}

/** The namespace of an object to be created. Throws `ApiError` if there are two. */
export function namespaceToCreate({ type }: ApiResource, object: unknown, requested?: string): string | undefined {
  if (!type.namespaced) return undefined;
  const { namespace } = objectOf(objectOf(object)['metadata']);
  const own = typeof namespace === 'string' && namespace !== '' ? namespace : undefined;
  if (own !== undefined && requested !== undefined && own !== requested)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  const found = own ?? requested;
  if (found === undefined) throw new ApiError(400, 'BadRequest', 'an empty namespace may not be set during creation');
  return found;
}
