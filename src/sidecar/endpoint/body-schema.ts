import { z } from 'zod';

/**
 * JSON schemas for fastify's compiled validator and serialiser, made once from the zod schemas of `src/api`: the hot
 * routes pay for neither zod nor a generic JSON.stringify.
 */
export function bodySchemaOf(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { target: 'draft-7', io: 'input' });
}

/** For answers: fields that the schema does not name are left out. */
export function answerSchemaOf(schema: z.ZodType): object {
  return z.toJSONSchema(schema, { target: 'draft-7', io: 'output' });
}
