import type { FastifyInstance } from 'fastify';
import { lockRecordSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { answerSchemaOf } from '../body-schema.ts';
import { namespaceOf, parseQuery } from '../query.ts';

/** `GET /v1/locks/{id}` */
export function addInspect(app: FastifyInstance, calls: LockCalls): void {
  const schema = { response: { 200: answerSchemaOf(lockRecordSchema) } };
  app.get('/inspect', { schema }, ({ call }) => {
    const query = parseQuery(call.target.query, ['namespace']);
    return calls.inspect(call.lockId, namespaceOf(query), call);
  });
}
