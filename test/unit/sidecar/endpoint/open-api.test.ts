/**
 * Goal: the OpenAPI document is whole, resolves, and tells the truth about what the endpoint serves.
 * Method: structural rules of OpenAPI 3.1 applied to the served document; its examples held against the schemas that
 * validate; its error answers held against the table of codes.
 */
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { z } from 'zod';
import { CODES, type ErrorCode } from '../../../../src/api/codes.ts';
import { COMPONENTS } from '../../../../src/sidecar/endpoint/open-api-components.ts';
import { DESCRIPTIONS } from '../../../../src/sidecar/endpoint/open-api-operations.ts';
import { OPERATIONS, type Operation } from '../../../../src/sidecar/endpoint/operations.ts';
import { inMemory } from '../../../support/local-endpoint.ts';
import { scriptedCalls } from '../../../support/scripted-calls.ts';

interface Operations {
  readonly operationId: string;
  readonly summary: string;
  readonly parameters?: readonly Record<string, unknown>[];
  readonly requestBody?: { content: Record<string, { schema: { $ref?: string }; example: unknown }> };
  readonly responses: Record<
    string,
    { description: string; headers?: object; content: Record<string, { schema: { $ref?: string }; example?: unknown }> }
  >;
}

interface Document {
  readonly openapi: string;
  readonly info: { title: string; version: string };
  readonly paths: Record<string, Record<string, Operations>>;
  readonly components: { schemas: Record<string, unknown>; parameters: Record<string, unknown> };
}

let document: Document;
beforeAll(async () => {
  const send = await inMemory(scriptedCalls(), { version: '1.2.3' });
  const answer = await send({ url: '/openapi.json' });
  document = answer.json<Document>();
});

const operations = Object.entries(OPERATIONS) as [Operation, (typeof OPERATIONS)[Operation]][];

function operationOf(operation: Operation): Operations {
  const { method, path } = OPERATIONS[operation];
  const found = document.paths[path]?.[method.toLowerCase()];
  if (found === undefined) throw new Error(`${method} ${path} is not in the document`);
  return found;
}

function nodesOf(node: unknown): object[] {
  if (typeof node !== 'object' || node === null) return [];
  return [node, ...Object.values(node).flatMap(nodesOf)];
}

test('head', () => {
  expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Lockkeeper', version: '1.2.3' } });
});

test('exactly the operations that are served, each with an id of its own', () => {
  const ids = Object.values(document.paths).flatMap((path) =>
    Object.values(path).map(({ operationId }) => operationId),
  );
  expect(ids.toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
  for (const [operation] of operations)
    expect(operationOf(operation)).toMatchObject({ operationId: operation, summary: expect.stringMatching(/./) });
});

test('every reference resolves, and every component is referred to', () => {
  const references = nodesOf(document).flatMap((node) => ('$ref' in node ? [String(node.$ref)] : []));
  const resolved = (reference: string) =>
    reference
      .slice(2)
      .split('/')
      .reduce<unknown>((node, name) => (node as Record<string, unknown>)?.[name], document);
  expect(references.length).toBeGreaterThan(50);
  for (const reference of new Set(references)) {
    expect(reference).toMatch(/^#\/components\//);
    expect({ reference, node: resolved(reference) }).toEqual({ reference, node: expect.any(Object) });
  }
  for (const name of Object.keys(document.components.schemas))
    expect(references).toContain(`#/components/schemas/${name}`);
});

test('nothing is left of the documents that the schemas were', () => {
  for (const node of nodesOf(document)) {
    expect(Object.keys(node)).not.toContain('$schema');
    expect(Object.keys(node)).not.toContain('$id');
  }
});

describe.each(operations)('%s', (operation, { method, path }) => {
  test('names every path parameter, required', () => {
    const { parameters = [] } = operationOf(operation);
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    expect(parameters.filter((parameter) => parameter['$ref'] === '#/components/parameters/LockId').length).toBe(
      inPath.length,
    );
    expect(document.components.parameters['LockId']).toMatchObject({ name: 'id', in: 'path', required: true });
  });

  test('has a body where it is a POST, and a success', () => {
    const { requestBody, responses } = operationOf(operation);
    expect(requestBody !== undefined).toBe(method === 'POST');
    expect(responses).toHaveProperty('200.description');
  });

  test('documents each of its codes under its status, Retry-After among them', () => {
    const { responses } = operationOf(operation);
    const { codes } = DESCRIPTIONS[operation];
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) {
      const answer = responses[String(CODES[code].httpStatus)];
      expect(answer?.description).toContain(code);
      expect(answer?.content).toEqual({ 'application/json': { schema: { $ref: '#/components/schemas/Error' } } });
    }
    for (const code of ['UNAVAILABLE', 'QUEUE_FULL'] as const) {
      const isDocumented = codes.includes(code);
      expect('headers' in (responses[String(CODES[code].httpStatus)] ?? {})).toBe(isDocumented);
    }
    const statuses = new Set(codes.map((code: ErrorCode) => String(CODES[code].httpStatus)));
    expect(new Set(Object.keys(responses))).toEqual(new Set(['200', ...statuses]));
  });

  test('has examples that its own schemas accept', () => {
    const { request, answer } = DESCRIPTIONS[operation];
    for (const part of [request, answer]) {
      if (part?.component === undefined) continue;
      const schema: z.ZodType = COMPONENTS[part.component];
      expect(schema.safeParse(part.example)).toMatchObject({ success: true });
    }
  });
});

test('the codes of an error are the table', () => {
  expect(document.components.schemas['Error']).toMatchObject({ properties: { code: { enum: Object.keys(CODES) } } });
});
