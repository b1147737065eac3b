import type { ServerResponse } from 'node:http';
import type { Timers } from '../../../system/timers.ts';
import type { StoredObject } from '../../kube-object.ts';
import type { ObjectEvent } from '../../object-store.ts';
import { expired } from '../api-error.ts';
import { objectOf } from '../json.ts';
import { withDefaults } from '../schema-shape.ts';
import { acceptedShape } from './accept.ts';
import { watchOptions } from './query.ts';
import { type ReadRequest, apiVersionOf, tableOptions } from './reads.ts';
import { failureAnswer } from './status.ts';
import { tableOf } from './table.ts';

/** A watch whose client did not say how long. */
const WATCH_SECONDS_DEFAULT = 1_800;
const BOOKMARK_EVERY_MS = 60_000;
/** A client that reads slower than things happen is cut when this much waits for it. */
const BUFFERED_BYTES_MAX = 8 * 1024 * 1024;

/** Tells changes as JSON lines until the time is over, the client leaves or the version is too old. Resolves when it ends. */
export async function streamWatch(read: ReadRequest, response: ServerResponse, timers: Timers): Promise<void> {
  const { store, target, query } = read;
  const { resource, namespace } = target;
  const asTable = acceptedShape(read.accept, ['table']) === 'table';
  const selection = {
    namespace,
    labelSelector: query.get('labelSelector') ?? undefined,
    fieldSelector: query.get('fieldSelector') ?? undefined,
  };
  const { fromNow, resourceVersion: asked } = watchOptions(query);
  const state = fromNow ? await store.page(resource.type, selection) : undefined;
  const wantsBookmarks = query.get('allowWatchBookmarks') === 'true';
  let columnsTold = false;

  const shaped = (object: StoredObject) => {
    if (!asTable) return object;
    const { resourceVersion } = object.metadata;
    const options = { ...tableOptions(read), metadata: { resourceVersion }, withColumns: !columnsTold };
    columnsTold = true;
    return tableOf(resource, [object], options);
  };
  const write = (type: string, object: unknown) => {
    if (response.destroyed || response.writableEnded) return;
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > BUFFERED_BYTES_MAX) response.destroy();
  };
  const bookmark = (resourceVersion: string, annotations?: Readonly<Record<string, string>>) => {
    const metadata = { resourceVersion, ...(annotations === undefined ? {} : { annotations }) };
    const nothing = resource.builtIn ? objectOf(withDefaults({}, resource.schema)) : {};
    const plain = { ...nothing, kind: resource.type.kind, apiVersion: apiVersionOf(resource), metadata };
    const table = () => tableOf(resource, [], { ...tableOptions(read), metadata, withColumns: false });
    write('BOOKMARK', asTable ? table() : plain);
  };
  const tell = (event: ObjectEvent) => {
    if ('object' in event) write(event.type, shaped(event.object));
    else if (event.type === 'ERROR') {
      if (event.code === 'expired') write('ERROR', failureAnswer(expired(event.message)).body);
      response.end();
    } else if (wantsBookmarks) bookmark(event.resourceVersion);
  };

  const resourceVersion = state?.resourceVersion ?? asked;
  using _watch = store.watch(resource.type, { ...selection, resourceVersion }, tell);
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' });
  response.flushHeaders();
  for (const object of state?.items ?? []) write('ADDED', shaped(object));
  if (fromNow && wantsBookmarks) bookmark(resourceVersion, { 'k8s.io/initial-events-end': 'true' });

  const timeoutSeconds = Number(query.get('timeoutSeconds')) || WATCH_SECONDS_DEFAULT;
  using _timeout = timers.after(timeoutSeconds * 1000, () => response.end());
  let pulse: Disposable | undefined;
  const beat = () => {
    bookmark(store.resourceVersion);
    pulse = timers.after(BOOKMARK_EVERY_MS, beat);
  };
  if (wantsBookmarks) pulse = timers.after(BOOKMARK_EVERY_MS, beat);
  await new Promise<void>((done) => response.once('close', done));
  pulse?.[Symbol.dispose]();
}
