/** Opens the localhost endpoint for a test, and talks to it: in memory, over HTTP, or with raw bytes. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { type Socket, connect } from 'node:net';
import type { InjectOptions } from 'fastify';
import type { ErrorBody } from '../../src/api/codes.ts';
import type { LockCalls } from '../../src/sidecar/calls.ts';
import { type AppOptions, buildApp } from '../../src/sidecar/endpoint/app.ts';
import { Connections } from '../../src/sidecar/endpoint/connections.ts';
import { type Endpoint, type EndpointOptions, openEndpoint } from '../../src/sidecar/endpoint/endpoint.ts';
import { DEFAULT_SETTINGS } from '../../src/sidecar/endpoint/settings.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLog } from '../../src/system/logger.ts';
import { systemTimers } from '../../src/system/timers.ts';
import { scriptedCalls } from './scripted-calls.ts';

export const metricsPage = { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'lockkeeper_up 1\n' };

/** On a free port, with the clocks and timers of the machine, unless the options say otherwise. */
export function openForTest(options: Partial<EndpointOptions> = {}): Promise<Endpoint> {
  return openEndpoint({
    calls: scriptedCalls(),
    clock: systemClock(),
    timers: systemTimers(),
    log: silentLog,
    metrics: async () => metricsPage,
    version: '0.0.0',
    port: 0,
    ...options,
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** The body as JSON; throws if it is not. */
  json<Body = unknown>(): Body;
}

/** The routes without a socket. */
export async function inMemory(calls: LockCalls, options: Partial<AppOptions> = {}) {
  const app = await buildApp({
    calls,
    clock: systemClock(),
    log: silentLog,
    connections: new Connections(DEFAULT_SETTINGS),
    metrics: async () => metricsPage,
    version: '0.0.0',
    ...options,
  });
  return async (given: InjectOptions): Promise<Answer> => {
    const { statusCode, headers, payload } = await app.inject(given);
    return { status: statusCode, headers, text: payload, json: <Body>() => JSON.parse(payload) as Body };
  };
}

/** The options of a POST with this body as JSON. */
export function post(url: string, body: unknown = {}): InjectOptions {
  return { method: 'POST', url, headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) };
}

/** Sends bytes on a connection of their own and settles with all that comes back once the endpoint closes it. */
export function exchange(where: { port?: number | undefined; path?: string }, bytes: string | Buffer): Promise<string> {
  const socket = openSocket(where);
  socket.write(bytes);
  return textUntilClosed(socket);
}

export function openSocket(where: { port?: number | undefined; path?: string; host?: string }): Socket {
  return where.path === undefined
    ? connect({ host: '127.0.0.1', ...where } as { port: number })
    : connect({ path: where.path });
}

/** A reset counts as closed: what came before it is what the caller got. */
export function textUntilClosed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
}

/** Reads a socket piece by piece. */
export interface TextReader {
  /** Settles with everything up to and including `part`, which is then consumed; rejects if the socket closes first. */
  until(part: string): Promise<string>;
}

export function readerOf(socket: Socket): TextReader {
  let text = '';
  let closed = false;
  let look = () => {};
  socket.on('data', (chunk) => {
    text += chunk.toString('utf8');
    look();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
    look();
  });
  return {
    until: (part) =>
      new Promise((resolve, reject) => {
        look = () => {
          const end = text.indexOf(part) + part.length;
          if (end >= part.length) {
            look = () => {};
            resolve(text.slice(0, end));
            text = text.slice(end);
          } else if (closed) reject(new Error(`closed before ${JSON.stringify(part)}: ${text.slice(0, 500)}`));
        };
        look();
      }),
  };
}

/** Head and body of the first answer in a text; its content-length says where it ends. */
export function firstAnswer(text: string): Answer & { readonly rest: string } {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) throw new Error(`no answer in ${JSON.stringify(text)}`);
  const [statusLine = '', ...lines] = text.slice(0, headEnd).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const bytes = Buffer.from(text.slice(headEnd + 4), 'utf8');
  const length = Number(headers['content-length'] ?? bytes.length);
  const body = bytes.subarray(0, length).toString('utf8');
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    text: body,
    json: <Body>() => JSON.parse(body) as Body,
    rest: bytes.subarray(length).toString('utf8'),
  };
}

/** A request line with headers, ready for bytes on a wire. `headers` are whole lines. */
export function head(line: string, port: number | undefined, headers: readonly string[] = []): string {
  return [`${line} HTTP/1.1`, `host: localhost:${port}`, ...headers, '', ''].join('\r\n');
}

/** A POST of JSON in raw bytes. */
export function rawPost(path: string, port: number | undefined, body = '{}', headers: readonly string[] = []): string {
  return (
    head(`POST ${path}`, port, [
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(body)}`,
      ...headers,
    ]) + body
  );
}

/** Sends one request over a connection of its own. The answer's stream is the caller's to read. */
export function send(
  where: { port?: number | undefined; socketPath?: string; host?: string },
  options: { method?: string; path: string; headers?: Record<string, string>; body?: string },
): { request: ClientRequest; response: Promise<IncomingMessage> } {
  const {
    method = 'POST',
    path,
    body,
    headers = method === 'POST' ? { 'content-type': 'application/json' } : {},
  } = options;
  const outgoing = request({ host: '127.0.0.1', ...where, method, path, headers, agent: false });
  const response = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('error', reject);
  });
  outgoing.end(body);
  return { request: outgoing, response };
}

/** The whole of an answer. */
export async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** Whether a value is the body of one of our errors, whole and with its constant parts. */
export function isErrorBody(value: unknown): value is ErrorBody {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message, details, retryable } = value as Record<string, unknown>;
  const hasTexts = typeof code === 'string' && typeof message === 'string' && message !== '';
  return hasTexts && typeof details === 'object' && details !== null && typeof retryable === 'boolean';
}
