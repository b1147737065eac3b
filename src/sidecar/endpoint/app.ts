import { type FastifyInstance, fastify } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { LockkeeperError } from '../../api/codes.ts';
import { LIMITS } from '../../api/limits.ts';
import { messageOf } from '../../api/messages.ts';
import type { Clock } from '../../system/clock.ts';
import type { Log } from '../../system/logger.ts';
import type { LockCalls } from '../calls.ts';
import { bodyProblemOf } from './body-problem.ts';
import { connectionOf } from './connection.ts';
import type { Connections } from './connections.ts';
import { errorAnswers } from './errors.ts';
import { assertAdmitted, hostsInMemory } from './guards.ts';
import { acceptJsonOnly } from './json-body.ts';
import { LiveCall } from './live-call.ts';
import { type Target, targetOf } from './target.ts';
import { addAcquire } from './routes/acquire.ts';
import { addAcquireAll, addReleaseAll } from './routes/acquire-all.ts';
import { addForceRelease } from './routes/force-release.ts';
import { addHeld } from './routes/held.ts';
import { addHold } from './routes/hold.ts';
import { addInspect } from './routes/inspect.ts';
import { addList } from './routes/list.ts';
import { type MetricsPage, addOperational } from './routes/operational.ts';
import { addRelease } from './routes/release.ts';
import { addRenew } from './routes/renew.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any route runs. */
    call: LiveCall;
  }
}

export interface AppOptions {
  readonly calls: LockCalls;
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: Connections;
  readonly metrics: () => Promise<MetricsPage>;
  /** Version of the product, for the OpenAPI document. */
  readonly version: string;
}

const TARGET = Symbol('lockkeeper.target');
type TargetedMessage = IncomingMessage & { [TARGET]?: Target };

/**
 * The routes of the localhost API, without a socket: `app.routing` serves any HTTP server, `app.inject` a test.
 *
 * Fastify's own router sees internal paths only, `/acquire` and so on: the target of the request line is read by
 * `targetOf`, byte for byte, once. So ids with plain slashes work, nothing is normalised on the way, and each operation has
 * its own compiled schemas.
 */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { calls, connections } = options;
  const app = fastify({
    logger: false,
    return503OnClosing: false,
    // 16 KiB at most when written plainly: 32 holds of a releaseAll (id of 264 bytes, token, JSON around them: 10 KiB), or 32
    // ids and 4 KiB of metadata of an acquireAll (13 KiB). The limit is twice that, which leaves room for JSON escapes.
    bodyLimit: LIMITS.bodyBytesMax,
    // Nothing is changed on the way in: no coercion, no defaults, and unknown fields are refused, not removed.
    ajv: {
      customOptions: {
        coerceTypes: false,
        useDefaults: false,
        removeAdditional: false,
        allErrors: false,
        verbose: true,
      },
    },
    rewriteUrl: (request) => {
      const target = targetOf(request.url ?? '');
      (request as TargetedMessage)[TARGET] = target;
      return target.operation === undefined ? '/' : `/${target.operation}`;
    },
  });

  app.decorateRequest('call');
  app.setSchemaErrorFormatter(bodyProblemOf);
  app.setErrorHandler(errorAnswers(options.log, options.clock));
  acceptJsonOnly(app);
  addLifecycle(app, options);

  addAcquire(app, calls);
  addRenew(app, calls);
  addRelease(app, calls);
  addHold(app, calls);
  addForceRelease(app, calls);
  addHeld(app, calls);
  addInspect(app, calls);
  addList(app, calls);
  addAcquireAll(app, calls);
  addReleaseAll(app, calls);
  addOperational(app, { calls, connections, metrics: options.metrics, version: options.version });
  await app.ready();
  return app;
}

/** From the receipt of the headers to the last byte of the answer. */
function addLifecycle(app: FastifyInstance, { clock, connections }: AppOptions): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request;
    const target = (raw as TargetedMessage)[TARGET] ?? targetOf(raw.url ?? '');
    const connection = connectionOf(raw.socket);
    request.call = new LiveCall(target, reply.raw, clock.monotonicMs());
    if (connection !== undefined && !connections.begin(connection, request.call)) throw tooManyRequests();
    const operation = assertAdmitted(raw, target, connection === undefined ? hostsInMemory() : connection.hosts);
    if (connections.closing && operation !== 'healthz' && operation !== 'readyz') throw shuttingDown();
    done();
  });

  app.addHook('onSend', (request, reply, payload, done) => {
    if (connections.closing) reply.header('connection', 'close');
    request.call.markAnswered();
    done(null, payload);
  });

  app.addHook('onResponse', (request, _reply, done) => {
    const connection = connectionOf(request.raw.socket);
    if (connection !== undefined) connections.end(connection, request.call);
    done();
  });
}

/** Nobody reads it: its connection is cut. */
function tooManyRequests(): LockkeeperError {
  const details = { what: 'requests of one connection' };
  return new LockkeeperError('QUEUE_FULL', messageOf('QUEUE_FULL', details), details);
}

/** The reason with which calls under way abort when the endpoint closes, and the answer to requests that still come. */
export function shuttingDown(): LockkeeperError {
  const details = { reason: 'shuttingDown', retryAfterMs: 1_000 };
  return new LockkeeperError('UNAVAILABLE', messageOf('UNAVAILABLE', details), details);
}
