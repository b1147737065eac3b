import type { IncomingHttpHeaders } from 'node:http';
import { ApiError } from '../api-error.ts';

/**
 * Lets in programs of this machine and no web page: a name that resolves to 127.0.0.1 for a moment is how a page reaches a
 * local server, so only our own names are answered, and nothing that a browser sends for a page. Throws `ApiError` (403).
 */
export function assertLocalCaller(headers: IncomingHttpHeaders, hosts: ReadonlySet<string>): void {
  const { host, origin } = headers;
  if (host === undefined || !hosts.has(host.toLowerCase())) {
    const allowed = [...hosts].join(' or ');
    throw forbidden(`The Host header must be ${allowed}, so that no foreign name can point here.`);
  }
  if (origin !== undefined)
    throw forbidden('A request with an Origin header comes from a web page, and web pages may not use this API.');
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'none' && site !== 'same-origin')
    throw forbidden('A web page of another site may not use this API (Sec-Fetch-Site).');
}

function forbidden(message: string): ApiError {
  return new ApiError(403, 'Forbidden', message);
}
