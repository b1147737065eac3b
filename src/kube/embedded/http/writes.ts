import type { IncomingMessage } from 'node:http';
import { NAMESPACES, type KubeObject, type StoredObject } from '../../kube-object.ts';
import { ApiError, badRequest, generic, qualifiedPlural } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import type { WriteOptions } from '../store-options.ts';
import { isObject, objectOf } from '../json.ts';
import { jsonPatch } from '../json-patch.ts';
import { mergePatch } from '../merge-patch.ts';
import { strategicMerge } from '../strategic-merge.ts';
import { contentTypeOf, readBody, readObject, unsupportedType } from './body.ts';
import { assertFieldManager, deletionOptions, writeQuery } from './query.ts';
import { listOf } from './reads.ts';
import type { Answer } from './status.ts';
import type { Target } from './target.ts';

/** One request that may change something. */
export interface WriteRequest {
  readonly store: EmbeddedStore;
  readonly request: IncomingMessage;
  readonly target: Target;
  readonly query: URLSearchParams;
}

export async function post(write: WriteRequest): Promise<Answer> {
  const { store, target } = write;
  if (target.name !== undefined) throw methodNotAllowed(target, 'create');
  const object = objectBody(await readObject(write.request, target.resource), target.resource);
  const warnings: string[] = [];
  const created = await store.create(target.resource.type, object, writeOptions(write, 'CreateOptions', warnings));
  return { code: 201, body: created, warnings };
}

export async function put(write: WriteRequest): Promise<Answer> {
  const { store, target } = write;
  const { resource, namespace, name } = target;
  if (name === undefined) throw nameMissing(target, 'update');
  const object = objectBody(await readBody(write.request), resource);
  const warnings: string[] = [];
  const options = writeOptions(write, 'UpdateOptions', warnings);
  if (resource.createdByPut) {
    assertVersionToReplace(resource, object, await store.get(resource.type, namespace, name));
    const named = { ...object, metadata: { ...object.metadata, name: object.metadata.name || name } };
    const replaced = await store.replace(resource.type, named, options);
    return { code: replaced.created ? 201 : 200, body: replaced.object, warnings };
  }
  const replace = (current: StoredObject) => {
    assertVersionToReplace(resource, object, current);
    return object;
  };
  const updated = await store.modify(resource.type, namespace, name, replace, options);
  return { code: 200, body: updated, warnings };
}

/** Another life of the name is a conflict first. Throws `ApiError` (422). */
function assertVersionToReplace(
  resource: ApiResource,
  { metadata }: KubeObject,
  current: StoredObject | undefined,
): void {
  const { uid, resourceVersion } = metadata;
  if (current === undefined || resource.unconditionalUpdate || (resourceVersion ?? '') !== '') return;
  if ((uid ?? '') !== '' && uid !== current.metadata.uid) return;
  const { group, plural: kind } = resource.type;
  const { name } = current.metadata;
  const message = 'Invalid value: 0: must be specified for an update';
  const cause = { reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message };
  throw new ApiError(
    422,
    'Invalid',
    `${qualifiedPlural(resource.type)} "${name}" is invalid: ${cause.field}: ${message}`,
    {
      name,
      group,
      kind,
      causes: [cause],
    },
  );
}

const PATCHES: Readonly<Record<string, (current: unknown, patch: unknown) => unknown>> = {
  'application/json-patch+json': jsonPatch,
  'application/merge-patch+json': mergePatch,
  'application/strategic-merge-patch+json': (current, change) => strategicMerge(current, change),
};
const APPLY = 'application/apply-patch+yaml';

export async function patch(write: WriteRequest): Promise<Answer> {
  const { store, target, request } = write;
  const { resource, namespace, name } = target;
  if (name === undefined) throw nameMissing(target, 'patch');
  const type = contentTypeOf(request);
  const accepted = [...Object.keys(PATCHES), APPLY].filter(
    (each) => resource.builtIn || each !== 'application/strategic-merge-patch+json',
  );
  if (!accepted.includes(type)) throw unsupportedType(accepted);
  const body = await readBody(request, accepted);
  const warnings: string[] = [];
  const options = writeOptions(write, 'PatchOptions', warnings);
  const change = PATCHES[type];
  if (change === undefined) {
    assertFieldManager(write.query);
    const object = objectBody(body, resource);
    const own: string | undefined = object.metadata.name;
    if (own !== undefined && own !== name)
      throw badRequest(`the name of the object (${own}) does not match the name on the URL (${name})`);
    const named = { ...object, metadata: { ...object.metadata, name } };
    const applied = await store.apply(resource.type, named, options);
    return { code: applied.created ? 201 : 200, body: applied.object, warnings };
  }
  if (type !== 'application/json-patch+json' && !isObject(body)) throw badRequest('a merge patch is a JSON object');
  const patched = await store.modify(resource.type, namespace, name, (current) => change(current, body), options);
  return { code: 200, body: patched, warnings };
}

export async function remove(write: WriteRequest): Promise<Answer> {
  const { store, target, query } = write;
  const { resource, namespace, name, subresource } = target;
  if (subresource !== undefined) throw methodNotAllowed(target, 'delete');
  const body = objectOf(await readBody(write.request));
  const options = deletionOptions(query, body);
  const { dryRun } = options;
  if (name !== undefined) {
    const { object, gone } = await store.remove(resource.type, namespace, name, options);
    return { code: 200, body: gone && resource.type !== NAMESPACES ? deletedStatus(target, object) : object };
  }
  const selection = {
    namespace,
    labelSelector: query.get('labelSelector') ?? undefined,
    fieldSelector: query.get('fieldSelector') ?? undefined,
  };
  const { items, resourceVersion } = await store.page(resource.type, selection);
  for (const { metadata } of items) await store.remove(resource.type, metadata.namespace, metadata.name, { dryRun });
  const metadata = { ...(resource.builtIn ? {} : { continue: '' }), resourceVersion };
  return { code: 200, body: listOf(resource, items, metadata) };
}

function deletedStatus({ resource }: Target, { metadata }: StoredObject): unknown {
  const { group, plural } = resource.type;
  const details = { name: metadata.name, ...(group === '' ? {} : { group }), kind: plural, uid: metadata.uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

function writeOptions({ target, query }: WriteRequest, kindOfOptions: string, warnings: string[]): WriteOptions {
  const { resource, namespace, subresource } = target;
  const { version, kind } = resource.type;
  const { dryRun, fieldValidation: mode } = writeQuery(query, kindOfOptions);
  return {
    dryRun,
    subresource,
    namespace,
    onUnknownFields: (fields) => {
      const told = fields.map((field) => `unknown field "${field}"`);
      if (mode === 'Strict') {
        throw badRequest(
          `${kind} in version "${version}" cannot be handled as a ${kind}: strict decoding error: ${told.join(', ')}`,
        );
      }
      if (mode !== 'Ignore') warnings.push(...told);
    },
  };
}

function objectBody(body: unknown, { builtIn, type }: ApiResource): KubeObject {
  if (!isObject(body) || (body['metadata'] !== undefined && !isObject(body['metadata'])))
    throw badRequest('the body of the request must be an object with metadata');
  if (!builtIn && typeof body['kind'] !== 'string')
    throw badRequest(`the object provided is unrecognized (must be of type ${type.kind}): Object 'Kind' is missing`);
  return { metadata: {}, ...body } as unknown as KubeObject;
}

/** `verb` is what the request asks for in the words of Kubernetes, and empty for what is none. */
export function methodNotAllowed({ resource }: Target, verb: string): ApiError {
  const { type, builtIn } = resource;
  if (builtIn)
    return generic(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
  const message = `${verb} is not supported on resources of kind "${qualifiedPlural(type)}"`;
  return new ApiError(405, 'MethodNotAllowed', message, { group: type.group, kind: type.plural });
}

/** A PUT or a PATCH of a collection. */
function nameMissing(target: Target, verb: string): ApiError {
  return target.resource.builtIn ? methodNotAllowed(target, verb) : badRequest('name must be provided');
}
