import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { LockkeeperError, httpStatusOf } from '../../api/codes.ts';
import { LIMITS } from '../../api/limits.ts';
import { messageOf } from '../../api/messages.ts';
import type { Timers } from '../../system/timers.ts';
import { connectionOf } from './connection.ts';
import { bodyTooLarge, headersOf } from './errors.ts';
import { answerRaw } from './raw-answer.ts';

/**
 * Answers what Node would answer by itself, or not at all, before a request reaches the router: bytes that are no HTTP,
 * headers that are too large or too slow, CONNECT, and expectations.
 */
export function answerProtocolErrors(server: Server, timers: Timers, lingerMs: number): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    const connection = connectionOf(socket as Socket);
    if (connection?.finished === true) return;
    if (connection !== undefined) connection.finished = true;
    // A second answer inside a first one would corrupt it.
    if (error.code === 'ECONNRESET' || connection?.isMidAnswer === true) {
      socket.destroy();
      return;
    }
    const { coded, status } = protocolErrorOf(error.code);
    answerRaw(socket, coded, timers, lingerMs, status);
  });

  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    const details = { method: 'CONNECT', allowed: ['GET', 'HEAD', 'POST'] };
    answerRaw(
      socket,
      new LockkeeperError(
        'METHOD_NOT_ALLOWED',
        'This is no proxy, so CONNECT is not served. Set NO_PROXY=localhost,127.0.0.1,::1.',
        details,
      ),
      timers,
      lingerMs,
    );
  });

  // A body known to be too large is refused before the caller sends it.
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    if (Number(request.headers['content-length']) > LIMITS.bodyBytesMax) answerWith(response, bodyTooLarge());
    else {
      response.writeContinue();
      server.emit('request', request, response);
    }
  });

  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    answerWith(
      response,
      new LockkeeperError(
        'INVALID_ARGUMENT',
        'The only expectation served is 100-continue. Remove the Expect header.',
        { header: 'expect' },
      ),
    );
  });
}

/** Two answers have a status of their own, beside the table of codes, because HTTP clients act on it. */
function protocolErrorOf(code: string | undefined): { coded: LockkeeperError; status: number } {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const details = { reason: 'requestTimeout' };
    return { coded: new LockkeeperError('UNAVAILABLE', messageOf('UNAVAILABLE', details), details), status: 408 };
  }
  if (code === 'HPE_HEADER_OVERFLOW' || code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    const details = { field: 'headers', limit: headerBytesMax };
    return {
      coded: new LockkeeperError(
        'PAYLOAD_TOO_LARGE',
        `The request line and headers are larger than ${headerBytesMax} bytes. Send fewer or shorter headers.`,
        details,
      ),
      status: 431,
    };
  }
  const coded = new LockkeeperError(
    'INVALID_ARGUMENT',
    'These bytes are not a valid HTTP/1.1 request. Is the caller speaking TLS or another protocol? Use http://.',
    {
      field: 'request',
      ...(code === undefined ? {} : { parser: code }),
    },
  );
  return { coded, status: httpStatusOf(coded.code) };
}

/** Bytes of request line and headers: the longest lock id percent-encoded is 792 bytes, the rest is for headers. */
export const headerBytesMax = 16_384;

function answerWith(response: ServerResponse, error: LockkeeperError): void {
  const body = JSON.stringify(error.toBody());
  response.writeHead(httpStatusOf(error.code), {
    ...headersOf(error),
    connection: 'close',
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
