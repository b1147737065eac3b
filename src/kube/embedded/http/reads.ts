import type { Clock } from '../../../system/clock.ts';
import { badRequest, notFound } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import { acceptedShape } from './accept.ts';
import type { Answer } from './status.ts';
import { type IncludeObject, tableOf } from './table.ts';
import type { Target } from './target.ts';

export interface ReadRequest {
  readonly store: EmbeddedStore;
  readonly clock: Clock;
  readonly target: Target;
  readonly query: URLSearchParams;
  readonly accept: string | undefined;
}

export async function getOne(read: ReadRequest): Promise<Answer> {
  const { resource, namespace, name = '' } = read.target;
  const object = await read.store.get(resource.type, namespace, name);
  if (object === undefined) throw notFound(resource.type, name);
  if (acceptedShape(read.accept, ['table']) === 'plain') return { code: 200, body: object };
  const { resourceVersion } = object.metadata;
  return { code: 200, body: tableOf(resource, [object], { ...tableOptions(read), metadata: { resourceVersion } }) };
}

export async function list(read: ReadRequest): Promise<Answer> {
  const { target, query, store } = read;
  const { resource, namespace } = target;
  const shape = acceptedShape(read.accept, ['table']);
  const exact = query.get('resourceVersionMatch') === 'Exact' ? query.get('resourceVersion') : null;
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit)) throw badRequest('limit must be a whole number');
  const page = await store.page(resource.type, {
    namespace,
    labelSelector: query.get('labelSelector') ?? undefined,
    fieldSelector: query.get('fieldSelector') ?? undefined,
    limit,
    continueToken: query.get('continue') || undefined,
    exactVersion: exact ?? undefined,
  });
  const metadata = {
    resourceVersion: page.resourceVersion,
    ...(page.continueToken === undefined ? {} : { continue: page.continueToken }),
    ...(page.remainingItemCount === undefined ? {} : { remainingItemCount: page.remainingItemCount }),
  };
  if (shape === 'table') return { code: 200, body: tableOf(resource, page.items, { ...tableOptions(read), metadata }) };
  const kind = `${resource.type.kind}List`;
  return { code: 200, body: { kind, apiVersion: apiVersionOf(resource), metadata, items: page.items } };
}

export function apiVersionOf({ type }: ApiResource): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

export function tableOptions({ clock, query }: Pick<ReadRequest, 'clock' | 'query'>) {
  return { includeObject: includeObjectOf(query), nowMs: clock.wallMs(), withColumns: true };
}

function includeObjectOf(query: URLSearchParams): IncludeObject {
  const wanted = query.get('includeObject') ?? 'Metadata';
  if (wanted === 'None' || wanted === 'Metadata' || wanted === 'Object') return wanted;
  throw badRequest('includeObject must be None, Metadata or Object');
}
