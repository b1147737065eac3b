import type { FastifyInstance } from 'fastify';
import { type ReleaseRequest, releaseRequestSchema } from '../../../api/requests.ts';
import { releasedSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { assertToken } from '../body-rules.ts';
import { answerSchemaOf, bodySchemaOf } from '../body-schema.ts';

/** `POST /v1/locks/{id}:release` */
export function addRelease(app: FastifyInstance, calls: LockCalls): void {
  const schema = { body: bodySchemaOf(releaseRequestSchema), response: { 200: answerSchemaOf(releasedSchema) } };
  app.post<{ Body: ReleaseRequest }>('/release', { schema }, ({ body, call }) => {
    assertToken(body.fencingToken);
    return calls.release(call.lockId, body, call);
  });
}
