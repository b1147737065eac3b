import type { FastifyInstance } from 'fastify';
import { type RenewRequest, renewRequestSchema } from '../../../api/requests.ts';
import { holdSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { assertToken } from '../body-rules.ts';
import { answerSchemaOf, bodySchemaOf } from '../body-schema.ts';

/** `POST /v1/locks/{id}:renew` */
export function addRenew(app: FastifyInstance, calls: LockCalls): void {
  const schema = { body: bodySchemaOf(renewRequestSchema), response: { 200: answerSchemaOf(holdSchema) } };
  app.post<{ Body: RenewRequest }>('/renew', { schema }, ({ body, call }) => {
    assertToken(body.fencingToken);
    return calls.renew(call.lockId, body, call);
  });
}
