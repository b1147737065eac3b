import type { FastifyBodyParser, FastifyInstance } from 'fastify';
import { LockkeeperError } from '../../api/codes.ts';

/**
 * Makes application/json the only body that is read. An empty one means `{}`. Names that could reach a prototype
 * (`__proto__`, `constructor.prototype`) are refused wherever they stand.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error') as FastifyBodyParser<string>;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) return done(null, {});
    return parse(request, body, (error: Error | null, value?: unknown) => {
      if (error === null) done(null, value);
      else done(malformed(body), undefined);
    });
  });
}

/** Parses once more, only to learn why it failed. */
function malformed(body: string): LockkeeperError {
  try {
    JSON.parse(body.replace(/^\uFEFF/, ''));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const position = /at position (\d+)/.exec(reason)?.[1];
    return new LockkeeperError(
      'INVALID_ARGUMENT',
      `The body is not valid JSON: ${reason}. Correct it there; strings and names stand in double quotes.`,
      {
        field: 'body',
        ...(position === undefined ? {} : { position: Number(position) }),
      },
    );
  }
  return new LockkeeperError(
    'INVALID_ARGUMENT',
    'The body has a name that is never allowed (__proto__, or constructor with prototype). Remove it.',
    { field: 'body' },
  );
}
