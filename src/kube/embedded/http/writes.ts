import type { IncomingMessage } from 'node:http';
import { NAMESPACES, type KubeObject, type StoredObject } from '../../kube-object.ts';
import { ApiError, badRequest, invalid } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import type { DeleteOptions, WriteOptions } from '../store-options.ts';
import { isObject, objectOf, textOf } from '../json.ts';
import { jsonPatch } from '../json-patch.ts';
import { mergePatch } from '../merge-patch.ts';
import { strategicMerge } from '../strategic-merge.ts';
import { contentTypeOf, readBody, readObject, unsupportedType } from './body.ts';
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
  if (target.name !== undefined) throw methodNotAllowed('create');
  const object = objectBody(await readObject(write.request, target.resource), target.resource);
  const warnings: string[] = [];
  const created = await store.create(target.resource.type, object, writeOptions(write, warnings));
  return { code: 201, body: created, warnings };
}

export async function put(write: WriteRequest): Promise<Answer> {
  const { store, target } = write;
  const { resource, namespace, name } = target;
  if (name === undefined) throw methodNotAllowed('update');
  const object = objectBody(await readBody(write.request), resource);
  if (!resource.unconditionalUpdate && (object.metadata.resourceVersion ?? '') === '')
    throw invalid(resource.type, name, [
      {
        reason: 'FieldValueInvalid',
        field: 'metadata.resourceVersion',
        message: 'Invalid value: 0x0: must be specified for an update',
      },
    ]);
  const warnings: string[] = [];
  const updated = await store.modify(resource.type, namespace, name, () => object, writeOptions(write, warnings));
  return { code: 200, body: updated, warnings };
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
  if (name === undefined) throw methodNotAllowed('patch');
  const type = contentTypeOf(request);
  const accepted = [...Object.keys(PATCHES), APPLY].filter(
    (each) => resource.builtIn || each !== 'application/strategic-merge-patch+json',
  );
  if (!accepted.includes(type)) throw unsupportedType(accepted);
  const body = await readBody(request, accepted);
  const warnings: string[] = [];
  const options = writeOptions(write, warnings);
  const change = PATCHES[type];
  if (change === undefined) {
    const object = objectBody(body, resource);
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
  if (subresource !== undefined) throw methodNotAllowed('delete');
  const body = objectOf(await readBody(write.request));
  const preconditions = objectOf(body['preconditions']);
  const dryRun = isDryRun(query) || (Array.isArray(body['dryRun']) && body['dryRun'].includes('All'));
  const options: DeleteOptions = {
    dryRun,
    uid: textOf(preconditions['uid']),
    resourceVersion: textOf(preconditions['resourceVersion']),
  };
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
  const { group, version, kind } = resource.type;
  const apiVersion = group === '' ? version : `${group}/${version}`;
  return { code: 200, body: { kind: `${kind}List`, apiVersion, metadata: { resourceVersion }, items } };
}

function deletedStatus({ resource }: Target, { metadata }: StoredObject): unknown {
  const { group, plural } = resource.type;
  const details = { name: metadata.name, ...(group === '' ? {} : { group }), kind: plural, uid: metadata.uid };
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
}

function writeOptions({ target, query }: WriteRequest, warnings: string[]): WriteOptions {
  const { resource, namespace, subresource } = target;
  const { version, kind } = resource.type;
  const mode = query.get('fieldValidation') ?? 'Warn';
  return {
    dryRun: isDryRun(query),
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

function isDryRun(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  if (values.some((value) => value !== 'All'))
    throw new ApiError(422, 'Invalid', 'dryRun: Unsupported value: only "All" is supported');
  return values.length > 0;
}

function objectBody(body: unknown, { builtIn, type }: ApiResource): KubeObject {
  if (!isObject(body) || (body['metadata'] !== undefined && !isObject(body['metadata'])))
    throw badRequest('the body of the request must be an object with metadata');
  if (!builtIn && typeof body['kind'] !== 'string')
    throw badRequest(`the object provided is unrecognized (must be of type ${type.kind}): Object 'Kind' is missing`);
  return { metadata: {}, ...body } as unknown as KubeObject;
}

export function methodNotAllowed(verb: string): ApiError {
  const message = `the server does not allow this method on the requested resource: ${verb}`;
  return new ApiError(405, 'MethodNotAllowed', message);
}
