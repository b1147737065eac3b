import type { FastifyInstance } from 'fastify';
import { LockkeeperError } from '../../../api/codes.ts';
import { messageOf } from '../../../api/messages.ts';
import { type HoldRequest, holdRequestSchema } from '../../../api/requests.ts';
import type { LockCalls } from '../../calls.ts';
import { assertMetadata } from '../body-rules.ts';
import { bodySchemaOf } from '../body-schema.ts';
import { writeEvents } from '../event-stream.ts';

/** `POST /v1/locks/{id}:hold`: a stream of lines that lasts as long as the hold and the caller do. */
export function addHold(app: FastifyInstance, calls: LockCalls): void {
  const schema = { body: bodySchemaOf(holdRequestSchema) };
  app.post<{ Body: HoldRequest }>('/hold', { schema }, async ({ body, call }, reply) => {
    assertMetadata(body.metadata);
    const events = calls.hold(call.lockId, body, call)[Symbol.asyncIterator]();
    // Until the first event nothing is written, so what fails before it is an ordinary error answer.
    const first = await events.next();
    if (first.done === true) throw new LockkeeperError('INTERNAL', messageOf('INTERNAL', {}));
    reply.hijack();
    await writeEvents(reply.raw, events, first.value);
  });
}
