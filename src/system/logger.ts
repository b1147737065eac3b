/**
 * Logs for people and for machines: one JSON line each, a constant message, the facts as fields. A line costs
 * microseconds, so there is never one per lock operation.
 */
import { type DestinationStream, type Logger, destination, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** The facts of a line. An Error goes under the name `error`. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** The same log with `fields` added to every line. */
  with(fields: LogFields): Log;
}

/**
 * Names of fields that never appear in a log, at the top of a line or up to two levels down: credentials, and the metadata
 * of holders, which belongs to them. A fencing token is no secret: it proves order, not identity.
 */
export const redactedNames = [
  'authorization',
  'cookie',
  'token',
  'password',
  'secret',
  'privateKey',
  'metadata',
] as const;

export interface LoggerOptions {
  /** Lines below this level cost nothing. Default `info`. */
  readonly level?: LogLevel;
  /** Fields of every line, such as the name of the process. */
  readonly fields?: LogFields;
  /** Takes each line. Default: standard output, written in the background and flushed when the process ends. */
  readonly sink?: DestinationStream;
}

export function createLog(options: LoggerOptions = {}): Log {
  const { level = 'info', fields = {}, sink = destination({ dest: 1, sync: false }) } = options;
  const logger = pino(
    {
      level,
      base: fields,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
      redact: { paths: redactedNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    },
    sink,
  );
  return wrap(logger);
}

/** Takes everything and writes nothing. */
export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLog,
};

function wrap(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    with: (fields) => wrap(logger.child(fields)),
  };
}

/** Causes deeper than this are left out: a chain may be a circle. */
const causeDepthMax = 4;

/** Only what is known to be safe: libraries hang requests, with their credentials, on the errors they throw. */
function describeError(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error;
  const { name, message, stack, cause } = error;
  const code = 'code' in error && error.code !== undefined ? { code: error.code } : {};
  const below = (inner: unknown) => describeError(inner, depth + 1);
  const nested = depth < causeDepthMax && cause !== undefined ? { cause: below(cause) } : {};
  const parts = depth < causeDepthMax && error instanceof AggregateError ? { errors: error.errors.map(below) } : {};
  return { type: name, message, ...code, stack, ...nested, ...parts };
}
