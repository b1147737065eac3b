import type { FastifyInstance } from 'fastify';
import { heldSchema } from '../../../api/responses.ts';
import type { LockCalls } from '../../calls.ts';
import { answerSchemaOf } from '../body-schema.ts';
import { namespaceOf, parseQuery, tokenOf } from '../query.ts';

/** `GET /v1/locks/{id}:held`: 200 while the hold of this token is alive, 409 when it is not. For probes. */
export function addHeld(app: FastifyInstance, calls: LockCalls): void {
  const schema = { response: { 200: answerSchemaOf(heldSchema) } };
  app.get('/held', { schema }, ({ call }) => {
    const query = parseQuery(call.target.query, ['fencingToken', 'namespace']);
    return calls.held(call.lockId, tokenOf(query), namespaceOf(query), call);
  });
}
