import { z } from 'zod';
import { CODES, type ErrorCode } from '../../api/codes.ts';
import { type HoldEvent, holdSchema } from '../../api/responses.ts';

/** Answers that only the HTTP API has. */
export const releasedAllSchema = z.object({
  holds: z
    .array(z.object({ lockId: z.string(), released: z.boolean() }))
    .meta({ description: 'In the order of the request.' }),
});

const codes = Object.keys(CODES) as [ErrorCode, ...ErrorCode[]];

/** Code of an error as the HTTP API documents it. */
export const errorCodeSchema = z.enum(codes).meta({ description: 'Stable; docs/errors.md explains each.' });

/** One line of a `:hold` stream. */
export const holdEventSchema: z.ZodType<HoldEvent> = z.discriminatedUnion('event', [
  z.object({ event: z.literal('queued'), position: z.int().meta({ description: '1 is granted next.' }) }),
  z.object({ event: z.literal('granted'), hold: holdSchema }),
  z.object({ event: z.literal('ping'), validForMs: z.int() }),
  z.object({
    event: z.literal('jeopardy'),
    validForMs: z.int().meta({ description: 'Renewals go unanswered; stop after this.' }),
  }),
  z.object({
    event: z.literal('lost'),
    code: errorCodeSchema,
    message: z.string(),
    details: z.record(z.string(), z.unknown()),
  }),
]);
