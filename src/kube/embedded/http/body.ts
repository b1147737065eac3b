import type { IncomingMessage } from 'node:http';
import { parse as parseYaml } from 'yaml';
import { ApiError, badRequest } from '../api-error.ts';
import type { ApiResource } from '../api-resource.ts';
import { PROTOBUF, namespaceOf } from './namespace-protobuf.ts';

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
  return decodedBody(await readBytes(request), contentTypeOf(request), moreTypes);
}

/** The object that a creation sends: JSON, YAML, or a Namespace in protobuf. */
export async function readObject(request: IncomingMessage, resource: ApiResource): Promise<unknown> {
  const bytes = await readBytes(request);
  const type = contentTypeOf(request);
  return type === PROTOBUF ? namespaceOf(bytes, resource) : decodedBody(bytes, type, []);
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // A request that is destroyed takes the connection along, and with it the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      const message = `Request entity too large: limit is ${BODY_BYTES_MAX}`;
      throw new ApiError(413, 'RequestEntityTooLarge', message);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function decodedBody(bytes: Buffer, type: string, moreTypes: readonly string[]): unknown {
  const isYaml = YAML_TYPES.includes(type);
  if (bytes.length === 0) return undefined;
  if (!isYaml && !JSON_TYPES.includes(type) && !moreTypes.includes(type))
    throw unsupportedType([...JSON_TYPES, ...YAML_TYPES]);
  const text = bytes.toString();
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
