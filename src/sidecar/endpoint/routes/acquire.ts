import type { FastifyInstance } from 'fastify';
import { type AcquireRequest, acquireRequestSchema } from '../../../api/requests.ts';
import { holdSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { assertAutoRenewEnds, assertMetadata } from '../body-rules.ts';
import { answerSchemaOf, bodySchemaOf } from '../body-schema.ts';

/** `POST /v1/locks/{id}:acquire` */
export function addAcquire(app: FastifyInstance, calls: LockCalls): void {
  const schema = { body: bodySchemaOf(acquireRequestSchema), response: { 200: answerSchemaOf(holdSchema) } };
  app.post<{ Body: AcquireRequest }>('/acquire', { schema }, ({ body, call }) => {
    assertMetadata(body.metadata);
    assertAutoRenewEnds(body.autoRenew, body.maxHoldMs);
    return calls.acquire(call.lockId, body, call);
  });
}
