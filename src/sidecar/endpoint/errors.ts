import type { FastifyReply, FastifyRequest } from 'fastify';
import { LockkeeperError, httpStatusOf } from '../../api/codes.ts';
import { LIMITS } from '../../api/limits.ts';
import { messageOf } from '../../api/messages.ts';
import type { Clock } from '../../system/clock.ts';
import type { Log } from '../../system/logger.ts';

/** Turns whatever a request ended with into one of our coded answers. */
export type AnswerError = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

/** Between two log lines about internal errors: a fault that hits every request must not write a line for each. */
const logIntervalMs = 1_000;

/** The error handler of the endpoint. What is not one of our errors is answered INTERNAL and goes to the log. */
export function errorAnswers(log: Log, clock: Clock): AnswerError {
  let nextLineAtMs = -Infinity;
  let unlogged = 0;

  function report(error: LockkeeperError, request: FastifyRequest): void {
    const nowMs = clock.monotonicMs();
    if (nowMs < nextLineAtMs) {
      unlogged += 1;
      return;
    }
    log.error(
      { error: error.cause ?? error, operation: request.call?.target.operation, unlogged },
      'a request failed inside',
    );
    nextLineAtMs = nowMs + logIntervalMs;
    unlogged = 0;
  }

  return (thrown, request, reply) => {
    const error = codedErrorOf(thrown);
    if (error.code === 'INTERNAL') report(error, request);
    for (const [name, value] of Object.entries(headersOf(error))) reply.header(name, value);
    // After a body that was not read to its end the framework would close, and the reset could overtake this answer.
    // Without that the rest is read and thrown away; `requestTimeoutMs` bounds it.
    if (reply.hasHeader('connection')) reply.removeHeader('connection');
    reply.code(httpStatusOf(error.code)).send(error.toBody());
  };
}

/** Headers that an error answer carries besides the usual ones. */
export function headersOf(error: LockkeeperError): Readonly<Record<string, string>> {
  if (error.code === 'QUEUE_FULL' || error.code === 'UNAVAILABLE')
    return { 'retry-after': String(retryAfterSeconds(error.details['retryAfterMs'])) };
  const { allowed } = error.details;
  if (error.code === 'METHOD_NOT_ALLOWED' && Array.isArray(allowed)) return { allow: allowed.join(', ') };
  return {};
}

/** Whole seconds, at least 1, rounded up. */
function retryAfterSeconds(retryAfterMs: unknown): number {
  if (typeof retryAfterMs !== 'number' || !Number.isFinite(retryAfterMs)) return 1;
  return Math.max(1, Math.ceil(retryAfterMs / 1_000));
}

function codedErrorOf(thrown: unknown): LockkeeperError {
  if (thrown instanceof LockkeeperError) return thrown;
  switch (nativeCodeOf(thrown)) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return bodyTooLarge();
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_EMPTY_TYPE':
      return new LockkeeperError('UNSUPPORTED_MEDIA_TYPE', messageOf('UNSUPPORTED_MEDIA_TYPE', {}), {
        header: 'content-type',
      });
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
    case 'ECONNRESET':
      // The connection ended inside the body; most likely nobody reads this.
      return new LockkeeperError(
        'INVALID_ARGUMENT',
        'The body is not as long as its content-length says. Send it whole.',
        { field: 'body' },
      );
    default:
      return LockkeeperError.from(thrown);
  }
}

export function bodyTooLarge(): LockkeeperError {
  const details = { field: 'body', limit: LIMITS.bodyBytesMax };
  return new LockkeeperError('PAYLOAD_TOO_LARGE', messageOf('PAYLOAD_TOO_LARGE', details), details);
}

/** The `code` that Node and its libraries put on their errors. */
export function nativeCodeOf(thrown: unknown): unknown {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
}
