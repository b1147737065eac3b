import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { ApiError, badRequest } from '../api-error.ts';

/** As much as an API server takes. */
const BODY_BYTES_MAX = 3 * 1024 * 1024;

const JSON_TYPES = ['application/json', ''];
const YAML_TYPES = ['application/yaml', 'application/apply-patch+yaml'];

/** The media type of the body, in lower case, without parameters. */
export function contentTypeOf({ headers }: IncomingMessage): string {
  return (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

/** Reads a body of JSON or YAML; `undefined` if there is none. Throws `ApiError`. */
export async function readBody(request: IncomingMessage, moreTypes: readonly string[] = []): Promise<unknown> {
  const type = contentTypeOf(request);
  const isYaml = YAML_TYPES.includes(type);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      const message = `Request entity too large: limit is ${BODY_BYTES_MAX}`;
      throw new ApiError(413, 'RequestEntityTooLarge', message);
    }
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  if (!isYaml && !JSON_TYPES.includes(type) && !moreTypes.includes(type))
    throw unsupportedType([...JSON_TYPES, ...YAML_TYPES]);
  const text = Buffer.concat(chunks).toString();
  try {
    return isYaml && !text.startsWith('{') ? (parseYaml(text) as unknown) : (JSON.parse(text) as unknown);
  } catch (error) {
    throw badRequest(
      `the body of the request cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

export function unsupportedType(accepted: readonly string[]): ApiError {
  const types = accepted.filter((type) => type !== '').join(', ');
  const message = `the body of the request was in an unknown format - accepted media types include: ${types}`;
  return new ApiError(415, 'UnsupportedMediaType', message);
}
