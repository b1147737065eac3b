import type { FastifyInstance } from 'fastify';
import { type ForceReleaseRequest, forceReleaseRequestSchema } from '../../../api/requests.ts';
import { forceReleasedSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { answerSchemaOf, bodySchemaOf } from '../body-schema.ts';

/** `POST /v1/locks/{id}:forceRelease` */
export function addForceRelease(app: FastifyInstance, calls: LockCalls): void {
  const schema = {
    body: bodySchemaOf(forceReleaseRequestSchema),
    response: { 200: answerSchemaOf(forceReleasedSchema) },
  };
  app.post<{ Body: ForceReleaseRequest }>('/forceRelease', { schema }, ({ body, call }) =>
    calls.forceRelease(call.lockId, body, call),
  );
}
