import type { FastifyInstance } from 'fastify';
import { lockListSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { answerSchemaOf } from '../body-schema.ts';
import { continueOf, limitOf, namespaceOf, parseQuery, prefixOf } from '../query.ts';

/** `GET /v1/locks` */
export function addList(app: FastifyInstance, calls: LockCalls): void {
  const schema = { response: { 200: answerSchemaOf(lockListSchema) } };
  app.get('/list', { schema }, ({ call }) => {
    const query = parseQuery(call.target.query, ['prefix', 'limit', 'continue', 'namespace']);
    const page = {
      prefix: prefixOf(query),
      limit: limitOf(query),
      continue: continueOf(query),
      namespace: namespaceOf(query),
    };
    return calls.list(page, call);
  });
}
