import type { ResourceType, StoredObject } from '../kube-object.ts';
import { StoreError } from '../lease-store.ts';
import type { ObjectQuery } from '../object-store.ts';
import type { Timers } from '../../system/timers.ts';
import { unreadable } from './outcome.ts';
import { AnswerTooLarge, type Requester } from './requester.ts';
import { collectionPath, queryString } from './resource-path.ts';

/** As far as pages may grow: what `kubectl` asks for. */
const PAGE_ITEMS_MAX = 500;
/** The first page: how large the objects are is not known yet. */
const FIRST_PAGE_ITEMS = 100;
/** A page is read in one go, which holds everything else up: this much takes some 5 ms. */
const PAGE_BYTES = 256 * 1024;
/** A page of a list is given this long, with all its attempts: a server has to read many objects for it. */
const PAGE_TIMEOUT_MS = 30_000;

/** A list as the server sends it. */
interface RawList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly StoredObject[] | null;
}

export interface ListedItems<Item> {
  readonly items: readonly Item[];
  readonly resourceVersion: string;
}

/** What to list, and what to make of each item. */
export interface ListRequest<Item> {
  readonly type: ResourceType;
  readonly query: ObjectQuery;
  readonly itemOf: (raw: StoredObject) => Item;
  readonly signal?: AbortSignal | undefined;
}

/**
 * All items of one consistent state, read in pages, with a turn of the event loop between them. When the server has forgotten
 * the state in the middle (410), it begins again, once.
 */
export async function listPages<Item>(
  requester: Requester,
  timers: Timers,
  request: ListRequest<Item>,
): Promise<ListedItems<Item>> {
  try {
    return await readPages(requester, timers, request);
  } catch (error) {
    if (!(error instanceof StoreError) || error.httpStatus !== 410) throw error;
  }
  try {
    return await readPages(requester, timers, request);
  } catch (error) {
    if (!(error instanceof StoreError) || error.httpStatus !== 410) throw error;
    throw new StoreError('rejected', error.message, { retryable: true, httpStatus: 410, cause: error });
  }
}

async function readPages<Item>(
  requester: Requester,
  timers: Timers,
  { type, query, itemOf, signal }: ListRequest<Item>,
): Promise<ListedItems<Item>> {
  const { namespace, labelSelector, fieldSelector } = query;
  const items: Item[] = [];
  const call = { write: false, what: `list ${type.plural}${namespace === undefined ? '' : ` of ${namespace}`}` };
  let limit = FIRST_PAGE_ITEMS;
  let token: string | undefined;
  for (;;) {
    // No `resourceVersion`: the newest state, which every page after the first belongs to as well.
    const path =
      collectionPath(type, namespace) +
      queryString({ labelSelector, fieldSelector, limit: String(limit), continue: token });
    let list: RawList;
    let bytes: number;
    try {
      const answer = await requester.read({
        ...call,
        request: { method: 'GET', path },
        signal,
        timeoutMs: PAGE_TIMEOUT_MS,
      });
      bytes = answer.bytes;
      list = answer.value as RawList;
    } catch (error) {
      if (!(error instanceof AnswerTooLarge) || limit === 1) throw error;
      limit = Math.ceil(limit / 10);
      continue;
    }
    if (typeof list?.metadata?.resourceVersion !== 'string') throw unreadable(call, 200, undefined);
    const page = list.items ?? [];
    for (const item of page) items.push(itemOf(item));
    token = list.metadata.continue || undefined;
    if (token === undefined) return { items, resourceVersion: list.metadata.resourceVersion };
    if (page.length > 0) limit = Math.min(PAGE_ITEMS_MAX, Math.max(1, Math.floor((PAGE_BYTES * page.length) / bytes)));
    await new Promise<void>((resolve) => timers.soon(resolve));
  }
}
