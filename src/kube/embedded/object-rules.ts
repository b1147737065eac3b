import type { KubeMetadata, KubeObject, StoredObject } from '../kube-object.ts';
import { ApiError, type Cause, badRequest, conflict, invalid } from './api-error.ts';
import type { ApiResource } from './api-resource.ts';
import { type JsonObject, frozenCopy, isEqual, isObject, objectOf, textOf } from './json.ts';
import { metadataCauses } from './metadata-rules.ts';
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
  const causes = [...nameCauses(resource, created), ...causesOf(resource, created, undefined)];
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
  if (current.metadata.deletionTimestamp !== undefined) assertNoNewFinalizer(resource, current, metadata);
  const kept = Object.fromEntries(
    SERVER_FIELDS.flatMap((field) => (current.metadata[field] === undefined ? [] : [[field, current.metadata[field]]])),
  );
  const updated = { ...object, metadata: { ...withoutServerFields(metadata), ...kept } } as unknown as StoredObject;
  const causes = causesOf(resource, updated, current);
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
  const named = { apiVersion, kind: type.kind, ...proposed };
  const wrong = (field: string, value: unknown, wanted: string): Cause[] =>
    value === wanted
      ? []
      : [{ reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: must be ${wanted}` }];
  const causes = [...wrong('kind', named.kind, type.kind), ...wrong('apiVersion', named.apiVersion, apiVersion)];
  if (causes.length > 0) throw invalid(type, textOf(objectOf(proposed['metadata'])['name']) ?? '', causes);
  const dropped: string[] = [];
  const pruned = prune({ ...named, metadata: withoutEmpty(objectOf(proposed['metadata'])) }, schema, '', dropped);
  if (dropped.length > 0) onUnknownFields?.(dropped);
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

function assertNoNewFinalizer({ type }: ApiResource, current: StoredObject, proposed: KubeMetadata): void {
  const before = current.metadata.finalizers ?? [];
  const added = (proposed.finalizers ?? []).filter((each) => !before.includes(each));
  if (added.length === 0) return;
  const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
  throw invalid(type, current.metadata.name, [
    { reason: 'FieldValueForbidden', field: 'metadata.finalizers', message },
  ]);
}

function nameCauses(resource: ApiResource, { metadata }: KubeObject): readonly Cause[] {
  const problem = resource.nameProblem(metadata.name);
  if (problem === undefined) return [];
  const message = `Invalid value: ${JSON.stringify(metadata.name)}: ${problem}`;
  return [{ reason: 'FieldValueInvalid', field: 'metadata.name', message }];
}

function causesOf(resource: ApiResource, object: KubeObject, old: StoredObject | undefined): readonly Cause[] {
  const causes = schemaCauses(object, resource.schema, '', old);
  return causes.length > 0 ? causes : [...metadataCauses(object.metadata), ...resource.moreCauses(object)];
}

/** What counts in the generation. */
function countedPart(object: KubeObject): JsonObject {
  const { metadata: _metadata, status: _status, ...rest } = object;
  return rest;
}

/** The name of an object to be created, made up if only its beginning is given. Throws `ApiError`. */
export function nameToCreate(resource: ApiResource, object: unknown, suffix: () => string): string {
  const { name, generateName } = objectOf(objectOf(object)['metadata']);
  if (typeof name === 'string' && name !== '') return name;
  if (typeof generateName === 'string' && generateName !== '') return `${generateName}${suffix()}`;
  throw invalid(resource.type, '', [
    {
      reason: 'FieldValueRequired',
      field: 'metadata.name',
      message: 'Required value: name or generateName is required',
    },
  ]);
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
