import type { IncomingMessage, OutgoingHttpHeaders, RequestListener, ServerResponse } from 'node:http';
import type { Clock } from '../../../system/clock.ts';
import type { Log } from '../../../system/logger.ts';
import type { Timers } from '../../../system/timers.ts';
import { ApiError } from '../api-error.ts';
import type { EmbeddedStore } from '../embedded-store.ts';
import { acceptedShape } from './accept.ts';
import {
  type GroupVersion,
  aggregatedDiscovery,
  coreVersions,
  groupList,
  groupOf,
  groupVersionsOf,
  resourceList,
} from './discovery.ts';
import { assertLocalCaller } from './guards.ts';
import { openApiDocument, openApiIndex, pathOf } from './open-api.ts';
import { type ReadRequest, getOne, list } from './reads.ts';
import { type Answer, failureAnswer } from './status.ts';
import { pageNotFound, targetOf } from './target.ts';
import { streamWatch } from './watch-stream.ts';
import { methodNotAllowed, patch, post, put, remove } from './writes.ts';

export interface KubeApiHandlerOptions {
  readonly store: EmbeddedStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** The values of Host that are answered; asked for with each request. */
  readonly hosts: () => ReadonlySet<string>;
  /** Watches at a time; one more is answered 429. Default 2,000. */
  readonly watchesMax?: number | undefined;
}

const WATCHES_DEFAULT = 2_000;
const DISCOVERY_TYPE = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Serves an embedded store as a Kubernetes API over HTTP, complete enough for a stock `kubectl`. */
export function kubeApiHandler(options: KubeApiHandlerOptions): RequestListener {
  const groups = groupVersionsOf(options.store.resources);
  let watches = 0;

  const route = async (request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> => {
    assertLocalCaller(request.headers, options.hosts());
    const [wholePath = '/', query = ''] = (request.url ?? '/').split('?', 2);
    const path = wholePath.length > 1 ? wholePath.replace(/\/$/, '') : wholePath;
    const searchParams = new URLSearchParams(query);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
    if (method === 'GET') {
      const fixed = fixedAnswer(path, request, groups);
      if (fixed !== undefined) return fixed;
    }
    const target = targetOf(path, options.store.resources);
    const write = { store: options.store, request, target, query: searchParams };
    switch (method) {
      case 'GET': {
        const read: ReadRequest = { ...options, target, query: searchParams, accept: request.headers.accept };
        if (target.name !== undefined) return getOne(read);
        if (!isTrue(searchParams.get('watch'))) return list(read);
        if (watches >= (options.watchesMax ?? WATCHES_DEFAULT))
          throw new ApiError(429, 'TooManyRequests', `${watches} watches are open already; end one or try again later`);
        watches += 1;
        try {
          await streamWatch(read, response, options.timers);
        } finally {
          watches -= 1;
        }
        return undefined;
      }
      case 'POST':
        return post(write);
      case 'PUT':
        return put(write);
      case 'PATCH':
        return patch(write);
      case 'DELETE':
        return remove(write);
      default:
        throw methodNotAllowed(target, '');
    }
  };

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      const answer = await route(request, response);
      if (answer !== undefined) send(request, response, answer);
    } catch (error) {
      const answer = failureAnswer(error);
      if (answer.code === 500) options.log.error({ error }, 'a request to the embedded Kubernetes API failed');
      send(request, response, answer);
    }
  };
  return (request, response) => void handle(request, response);
}

function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1';
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (response.headersSent) {
    response.end();
    return;
  }
  const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
  const warnings = answer.warnings ?? [];
  const headers: OutgoingHttpHeaders = {
    'content-type': answer.contentType ?? 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-cache, private',
    ...((answer.code === 429 || answer.code === 503) && { 'retry-after': '1' }),
    ...(warnings.length > 0 && { warning: warnings.map((each) => `299 - ${JSON.stringify(each)}`).join(', ') }),
    // What is left of a body that was too long is not read.
    ...(answer.code === 413 && { connection: 'close' }),
  };
  response.writeHead(answer.code, headers);
  response.end(request.method === 'HEAD' ? undefined : text);
}

const OPEN_API_V2_TYPE = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';
/**
 * `swagger: "2.0"` and nothing else. `kubectl` falls back on this document for kinds that no other one has, and says what is
 * wrong with them once it has found nothing here either.
 */
const EMPTY_OPEN_API_V2 = '\n\u00032.0';

/** What does not depend on the objects. */
function fixedAnswer(path: string, { headers }: IncomingMessage, groups: readonly GroupVersion[]): Answer | undefined {
  const core = groups.filter(({ group }) => group === '');
  const named = groups.filter(({ group }) => group !== '');
  const discovery = (those: readonly GroupVersion[], old: () => unknown): Answer =>
    acceptedShape(headers.accept, ['discovery']) === 'discovery'
      ? { code: 200, body: aggregatedDiscovery(those), contentType: DISCOVERY_TYPE }
      : { code: 200, body: old() };
  switch (path) {
    case '/version':
      return { code: 200, body: VERSION };
    case '/healthz':
    case '/livez':
    case '/readyz':
      return { code: 200, body: 'ok', contentType: 'text/plain' };
    case '/':
      return { code: 200, body: { paths: ['/api', '/apis', '/healthz', '/openapi/v3', '/version'] } };
    case '/api':
      return discovery(core, () => coreVersions(headers.host ?? ''));
    case '/apis':
      return discovery(named, () => groupList(named));
    case '/openapi/v2':
      return { code: 200, body: EMPTY_OPEN_API_V2, contentType: OPEN_API_V2_TYPE };
    case '/openapi/v3':
      return { code: 200, body: openApiIndex(groups), contentType: 'text/plain; charset=utf-8' };
  }
  for (const group of groups) {
    if (path === `/${pathOf(group)}`) return { code: 200, body: resourceList(group) };
    if (path === `/openapi/v3/${pathOf(group)}`) return { code: 200, body: openApiDocument(group) };
    if (group.group !== '' && path === `/apis/${group.group}`) return { code: 200, body: groupOf(group) };
  }
  if (path.startsWith('/openapi/')) throw pageNotFound();
  return undefined;
}

/** The version of Kubernetes whose behaviour this API has. */
const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0+lockkeeper',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: 'none',
  compiler: 'none',
  platform: 'embedded',
};
