import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type LockkeeperError, httpStatusOf } from '../../api/codes.ts';
import type { Timers } from '../../system/timers.ts';
import { headersOf } from './errors.ts';

/**
 * Writes a coded answer straight to a socket, for what fails before there is a request, and closes the connection. It
 * closes in two steps: our half at once, the whole when the caller has closed its half or `lingerMs` have passed. Closing
 * at once would reset the connection while bytes are unread, and the reset would overtake the answer.
 */
export function answerRaw(
  socket: Duplex,
  error: LockkeeperError,
  timers: Timers,
  lingerMs: number,
  status = httpStatusOf(error.code),
): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const linger = timers.after(lingerMs, () => socket.destroy());
  socket.once('close', () => linger[Symbol.dispose]());
  socket.end(rawAnswer(error, status));
}

function rawAnswer(error: LockkeeperError, status: number): string {
  const body = JSON.stringify(error.toBody());
  const headers = {
    ...headersOf(error),
    connection: 'close',
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`;
}
