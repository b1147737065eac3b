import type { Clock } from '../../../system/clock.ts';
import type { StoredObject } from '../../kube-object.ts';
import { badRequest, notFound } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import { acceptedShape } from './accept.ts';
import type { Page } from '../pages.ts';
import { listOptions } from './query.ts';
import type { Answer } from './status.ts';
import { type IncludeObject, partialOf, tableOf } from './table.ts';
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
  const shape = acceptedShape(read.accept, ['table', 'partial']);
  if (shape === 'plain') return { code: 200, body: object };
  if (shape === 'partial') return { code: 200, body: partialOf(object) };
  const { resourceVersion } = object.metadata;
  return { code: 200, body: tableOf(resource, [object], { ...tableOptions(read), metadata: { resourceVersion } }) };
}

export async function list(read: ReadRequest): Promise<Answer> {
  const { target, query, store } = read;
  const { resource, namespace } = target;
  const shape = acceptedShape(read.accept, ['table', 'partialList']);
  const page = await store.page(resource.type, { namespace, ...listOptions(query) });
  const metadata = listMetadata(page);
  if (shape === 'table') return { code: 200, body: tableOf(resource, page.items, { ...tableOptions(read), metadata }) };
  if (shape === 'partialList') {
    const items = page.items.map(partialOf);
    return { code: 200, body: { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items } };
  }
  // Of built-in kinds nothing is told where nothing follows, of custom ones a text without content.
  const nothing = resource.builtIn ? {} : { continue: '' };
  return { code: 200, body: listOf(resource, page.items, { ...nothing, ...metadata }) };
}

/** A list of a kind. Items of built-in kinds do not say again what they are. */
export function listOf(resource: ApiResource, items: readonly StoredObject[], metadata: object): unknown {
  const { builtIn, type } = resource;
  const told = builtIn ? items.map(({ apiVersion: _version, kind: _kind, ...item }) => item) : items;
  return { kind: `${type.kind}List`, apiVersion: apiVersionOf(resource), metadata, items: told };
}

function listMetadata(page: Page): Readonly<Record<string, unknown>> {
  const { resourceVersion, continueToken, remainingItemCount } = page;
  return {
    ...(continueToken === undefined ? {} : { continue: continueToken }),
    ...(remainingItemCount === undefined ? {} : { remainingItemCount }),
    resourceVersion,
  };
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
  const told = `includeObject: Invalid value: ${JSON.stringify(wanted)}: must be 'Metadata', 'Object', 'None', or empty`;
  throw badRequest(`Unable to convert to Table as requested: ${told}`);
}
