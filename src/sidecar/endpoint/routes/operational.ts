import type { FastifyInstance } from 'fastify';
import { LockkeeperError } from '../../../api/codes.ts';
import { messageOf } from '../../../api/messages.ts';
import type { LockCalls } from '../../calls.ts';
import type { Connections } from '../connections.ts';
import { openApiDocument } from '../open-api.ts';
import { parseQuery } from '../query.ts';

/** A page of metrics in the text format that its content type names. */
export interface MetricsPage {
  readonly contentType: string;
  readonly body: string;
}

export interface OperationalOptions {
  readonly calls: LockCalls;
  readonly connections: Connections;
  readonly metrics: () => Promise<MetricsPage>;
  readonly version: string;
}

/** `/healthz`, `/readyz`, `/metrics` and `/openapi.json`. */
export function addOperational(
  app: FastifyInstance,
  { calls, connections, metrics, version }: OperationalOptions,
): void {
  const openApi = JSON.stringify(openApiDocument(version), null, 2);

  // That it answers is the whole check: the event loop turns.
  app.get('/healthz', ({ call }) => {
    parseQuery(call.target.query, []);
    return Promise.resolve({ status: 'ok' });
  });

  app.get('/readyz', async ({ call }) => {
    parseQuery(call.target.query, []);
    const reason = connections.closing ? 'shuttingDown' : calls.notReadyReason();
    if (reason !== undefined) throw notReady(reason);
    return { status: 'ready' };
  });

  app.get('/metrics', async ({ call }, reply) => {
    parseQuery(call.target.query, []);
    const page = await metrics();
    reply.type(page.contentType);
    return page.body;
  });

  app.get('/openapi', async ({ call }, reply) => {
    parseQuery(call.target.query, []);
    reply.type('application/json; charset=utf-8');
    return openApi;
  });
}

/** The reason of the calls is a text for people, or one of the names that have a sentence. */
function notReady(reason: string): LockkeeperError {
  const details = { reason };
  return new LockkeeperError('UNAVAILABLE', messageOf('UNAVAILABLE', details), details);
}
