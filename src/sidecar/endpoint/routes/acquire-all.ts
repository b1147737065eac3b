import type { FastifyInstance } from 'fastify';
import {
  type AcquireAllRequest,
  type ReleaseAllRequest,
  acquireAllRequestSchema,
  releaseAllRequestSchema,
} from '../../../api/requests.ts';
import { holdsSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { assertLockIds, assertMetadata, assertToken } from '../body-rules.ts';
import { answerSchemaOf, bodySchemaOf } from '../body-schema.ts';
import { releasedAllSchema } from '../more-schemas.ts';

/** `POST /v1/locks:acquireAll` */
export function addAcquireAll(app: FastifyInstance, calls: LockCalls): void {
  const schema = { body: bodySchemaOf(acquireAllRequestSchema), response: { 200: answerSchemaOf(holdsSchema) } };
  app.post<{ Body: AcquireAllRequest }>('/acquireAll', { schema }, ({ body, call }) => {
    assertLockIds(body.ids, (index) => `ids.${index}`);
    assertMetadata(body.metadata);
    return calls.acquireAll(body, call);
  });
}

/** `POST /v1/locks:releaseAll` */
export function addReleaseAll(app: FastifyInstance, calls: LockCalls): void {
  const schema = { body: bodySchemaOf(releaseAllRequestSchema), response: { 200: answerSchemaOf(releasedAllSchema) } };
  app.post<{ Body: ReleaseAllRequest }>('/releaseAll', { schema }, ({ body, call }) => {
    assertLockIds(
      body.holds.map(({ lockId }) => lockId),
      (index) => `holds.${index}.lockId`,
    );
    for (const [index, { fencingToken }] of body.holds.entries())
      assertToken(fencingToken, `holds.${index}.fencingToken`);
    return calls.releaseAll(body, call);
  });
}
