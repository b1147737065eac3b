import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { LockkeeperError } from '../../api/codes.ts';
import { assertLockId } from '../../api/lock-id.ts';
import { hostsOfPort } from '../../system/loopback.ts';
import { OPERATIONS, type Operation, ROUTES_SERVED, methodsOf } from './operations.ts';
import type { Target } from './target.ts';

/**
 * What every request must pass before anything is done for it, in this order: it comes from a program on this machine and
 * not from a web page (Host, Origin, Sec-Fetch-Site), it names something that is served by a method that is served there,
 * its lock id is one, and its body is declared as JSON, which a web page cannot do without asking first.
 */
export function assertAdmitted(
  request: IncomingMessage,
  target: Target,
  hosts: ReadonlySet<string> | undefined,
): Operation {
  assertLocalCaller(request.headers, hosts);
  const operation = assertServed(request.method ?? '', target);
  if (OPERATIONS[operation].method === 'POST') assertJson(request.headers, target);
  else assertNoBody(request.headers);
  if (OPERATIONS[operation].path.includes('{id}')) assertId(target);
  return operation;
}

/** The Host of a request passed in memory, which has no port of its own. */
const HOSTS_IN_MEMORY = hostsOfPort(80);

/** The hosts to check a request against that came without a connection. */
export function hostsInMemory(): ReadonlySet<string> {
  return HOSTS_IN_MEMORY;
}

/** A name that resolves to 127.0.0.1 for a moment is how a web page reaches us, so only our own names are answered. */
function assertLocalCaller(headers: IncomingHttpHeaders, hosts: ReadonlySet<string> | undefined): void {
  const { host, origin } = headers;
  if (hosts !== undefined && (host === undefined || !(hosts.has(host) || hosts.has(host.toLowerCase())))) {
    const allowed = [...hosts];
    throw new LockkeeperError(
      'PERMISSION_DENIED',
      `The Host header must be ${allowed.join(' or ')}, so that no foreign name can point here. Use one of these as the host of the URL; with curl through another port add -H 'Host: ${allowed[0]}'.`,
      { header: 'host', value: shown(host), allowed },
    );
  }
  if (origin !== undefined) {
    throw new LockkeeperError(
      'PERMISSION_DENIED',
      'A request with an Origin header comes from a web page, and web pages may not use locks. Call from a program, without that header.',
      { header: 'origin', value: shown(origin) },
    );
  }
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'none' && site !== 'same-origin') {
    throw new LockkeeperError(
      'PERMISSION_DENIED',
      'A web page of another site may not use locks (Sec-Fetch-Site). Call from a program, without that header.',
      { header: 'sec-fetch-site', value: shown(site), allowed: ['none', 'same-origin'] },
    );
  }
}

function assertServed(method: string, target: Target): Operation {
  const { operation } = target;
  if (operation === undefined) throw notServed(method, target);
  const allowed = methodsOf(operation);
  if (allowed.includes(method)) return operation;
  const hint =
    operation === 'inspect'
      ? ' To act on a lock, POST to its path followed by a colon and a verb: :acquire, :renew, :release, :hold, :forceRelease. A colon written as %3A does not start a verb.'
      : '';
  throw new LockkeeperError(
    'METHOD_NOT_ALLOWED',
    `${shown(method)} is not served at ${OPERATIONS[operation].path}; use ${allowed[0]}.${hint}`,
    { method: shown(method), allowed },
  );
}

function notServed(method: string, target: Target): LockkeeperError {
  if (!target.path.startsWith('/')) {
    const message =
      'The request target must be a path that begins with a slash. Is a proxy configured? Set NO_PROXY=localhost,127.0.0.1,::1.';
    return new LockkeeperError('INVALID_ARGUMENT', message, { field: 'path', value: shown(target.path) });
  }
  const message = `Nothing is served at ${shown(method)} ${shown(target.path)}. Served are, with or without /v1: ${ROUTES_SERVED.join(', ')}.`;
  return new LockkeeperError('ROUTE_NOT_FOUND', message, {
    method: shown(method),
    path: shown(target.path),
    routes: ROUTES_SERVED,
  });
}

function assertId(target: Target): void {
  if (target.lockId === undefined) {
    const message =
      'This is no lock id: its percent-encoding is broken. Write each byte as % and two hexadecimal digits, encoded once; a slash may also stay plain.';
    throw new LockkeeperError('INVALID_ARGUMENT', message, { field: 'lockId', value: shown(target.path) });
  }
  assertLockId(target.lockId);
}

const JSON_TYPE = 'application/json';

function assertJson(headers: IncomingHttpHeaders, target: Target): void {
  const type = headers['content-type'];
  if (type !== JSON_TYPE && !isJsonType(type)) {
    const found = type === undefined ? 'has none' : `has ${shown(type)}`;
    throw new LockkeeperError(
      'UNSUPPORTED_MEDIA_TYPE',
      `A POST needs the header content-type: application/json, also without a body; this one ${found}. With curl add -H 'content-type: application/json', or send the body with --json '{}'.`,
      { header: 'content-type', value: shown(type), allowed: [JSON_TYPE] },
    );
  }
  if (target.query !== '') {
    const message = 'A POST takes no query parameters. Put its fields into the JSON body.';
    throw new LockkeeperError('INVALID_ARGUMENT', message, { field: 'query', value: shown(target.query) });
  }
}

/** With parameters such as a charset, in any case. */
function isJsonType(type: string | undefined): boolean {
  return type !== undefined && (type.split(';', 1)[0] ?? '').trim().toLowerCase() === JSON_TYPE;
}

/** A body on a GET would be ignored, and whoever sends one believes that it counts. */
function assertNoBody(headers: IncomingHttpHeaders): void {
  const length = headers['content-length'];
  if (headers['transfer-encoding'] === undefined && (length === undefined || Number(length) === 0)) return;
  const message = 'A GET takes no body. Put its parameters into the query string, for example ?namespace=shop.';
  throw new LockkeeperError('INVALID_ARGUMENT', message, { field: 'body' });
}

/** Values of a caller as they go into details and messages: short. */
const shownLengthMax = 80;

function shown(value: string | undefined): string | null {
  return value === undefined ? null : value.slice(0, shownLengthMax);
}
