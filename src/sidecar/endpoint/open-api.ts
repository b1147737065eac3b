import { z } from 'zod';
import { type ErrorCode, httpStatusOf } from '../../api/codes.ts';
import { COMPONENTS, type ComponentName } from './open-api-components.ts';
import { DESCRIPTIONS, type OperationDescription, type QueryParameter } from './open-api-operations.ts';
import { OPERATIONS, type Operation } from './operations.ts';

/** A node of the document; it is only ever written as JSON. */
type Json = Readonly<Record<string, unknown>>;

/**
 * The OpenAPI 3.1 document of the localhost API: paths from the table of operations, schemas from the same zod schemas that
 * validate, statuses from the table of codes.
 */
export function openApiDocument(version: string): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Lockkeeper',
      version,
      description:
        'Distributed locks for pods, served on localhost by the sidecar. Every path is also served without the prefix /v1. ' +
        'Unknown paths answer ROUTE_NOT_FOUND, known ones METHOD_NOT_ALLOWED to other methods; unknown fields and query parameters are refused.',
      license: { name: 'Apache 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://localhost:5625', description: 'The sidecar, or dev mode.' }],
    paths: pathsOf(),
    components: { schemas: schemasOf(), parameters: { LockId: LOCK_ID } },
  };
}

const LOCK_ID: Json = {
  name: 'id',
  in: 'path',
  required: true,
  description:
    'Lock id: `name` of a DistributedLock (at most 63 bytes) or `pool/key` (key of 1 to 200 of A-Z a-z 0-9 . _ ~ @ + = , - and inner slashes). Slashes may be plain or %2F; it is decoded once.',
  schema: { type: 'string', minLength: 1, maxLength: 264 },
  examples: { lock: { value: 'migrations' }, pool: { value: 'payments/order-42' } },
};

function pathsOf(): Json {
  const paths: Record<string, Json> = {};
  for (const [operation, { method, path }] of Object.entries(OPERATIONS)) {
    paths[path] = { [method.toLowerCase()]: operationOf(operation as Operation, DESCRIPTIONS[operation as Operation]) };
  }
  return paths;
}

function operationOf(operation: Operation, description: OperationDescription): Json {
  const { method, path } = OPERATIONS[operation];
  const parameters = [
    ...(path.includes('{id}') ? [ref('parameters', 'LockId')] : []),
    ...(description.query ?? []).map(parameterOf),
  ];
  const { summary, details, tag, request, answer, codes } = description;
  return {
    operationId: operation,
    tags: [tag],
    summary,
    ...(details === undefined ? {} : { description: details }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(request === undefined
      ? {}
      : { requestBody: { required: method === 'POST', content: { 'application/json': contentOf(request) } } }),
    responses: {
      200: {
        description: answer.description,
        content: { [answer.contentType ?? 'application/json']: contentOf(answer) },
      },
      ...errorsOf(codes),
    },
  };
}

function parameterOf({ name, required, description, schema }: QueryParameter): Json {
  return { name, in: 'query', required, description, schema };
}

function contentOf({ component, example }: { component?: ComponentName; example: unknown }): Json {
  return { schema: component === undefined ? { type: 'string' } : ref('schemas', component), example };
}

/** One answer for each status: several codes may share one. */
function errorsOf(codes: readonly ErrorCode[]): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) byStatus.set(httpStatusOf(code), [...(byStatus.get(httpStatusOf(code)) ?? []), code]);
  const answers = [...byStatus].map(([status, sharing]) => [status, errorOf(sharing)] as const);
  return Object.fromEntries(answers);
}

function errorOf(codes: readonly ErrorCode[]): Json {
  const hasRetryAfter = codes.includes('QUEUE_FULL') || codes.includes('UNAVAILABLE');
  const retryAfter = {
    'Retry-After': { description: 'Whole seconds to wait, at least 1.', schema: { type: 'integer', minimum: 1 } },
  };
  return {
    description: codes.join(' or '),
    ...(hasRetryAfter ? { headers: retryAfter } : {}),
    content: { 'application/json': { schema: ref('schemas', 'Error') } },
  };
}

function ref(kind: 'schemas' | 'parameters', name: string): Json {
  return { $ref: `#/components/${kind}/${name}` };
}

function schemasOf(): Json {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(COMPONENTS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    target: 'draft-2020-12',
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, tidied(schema)]));
}

/** Without the marks of a document of its own, and without the bounds that every integer in JavaScript has. */
function tidied(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(tidied);
  if (typeof node !== 'object' || node === null) return node;
  const kept = Object.entries(node).filter(([name, value]) => !dropped(name, value));
  return Object.fromEntries(kept.map(([name, value]) => [name, tidied(value)]));
}

function dropped(name: string, value: unknown): boolean {
  if (name === 'minimum') return value === Number.MIN_SAFE_INTEGER;
  if (name === 'maximum') return value === Number.MAX_SAFE_INTEGER;
  return name === '$schema' || name === '$id';
}
