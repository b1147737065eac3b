/**
 * Goal: what users read about error codes is what the product answers: `docs/errors.md` and the table in `src/api` hold
 * the same codes with the same numbers, and a script can tell codes apart by the exit code.
 * Method: read the page as text, its overview and each section, and compare both with the table.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { CODES, type CodeProjection, type ErrorBody, type ErrorCode } from '../../src/api/codes.ts';
import { messageOf } from '../../src/api/messages.ts';

const page = await readFile(fileURLToPath(new URL('../../docs/errors.md', import.meta.url)), 'utf8');
const [overview = '', ...sections] = page.split(/^## /m);
const codes = Object.entries(CODES) as [ErrorCode, CodeProjection][];

/** Names of the gRPC statuses, as every gRPC library has them. */
const GRPC_NAMES: Readonly<Record<number, string>> = {
  3: 'INVALID_ARGUMENT',
  4: 'DEADLINE_EXCEEDED',
  5: 'NOT_FOUND',
  7: 'PERMISSION_DENIED',
  8: 'RESOURCE_EXHAUSTED',
  9: 'FAILED_PRECONDITION',
  10: 'ABORTED',
  12: 'UNIMPLEMENTED',
  13: 'INTERNAL',
  14: 'UNAVAILABLE',
  16: 'UNAUTHENTICATED',
};

/** Codes whose sentence is made where the request is read, with more to say than the details have. */
const saidByTheEndpoint: readonly ErrorCode[] = [
  'INVALID_ARGUMENT',
  'ROUTE_NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'UNSUPPORTED_MEDIA_TYPE',
];

/** The four cells of a code: `423 | 9 FAILED_PRECONDITION | 75 | yes`. */
function cellsOf({ httpStatus, grpcStatus, exitCode, retryable }: CodeProjection): string {
  return `${httpStatus} | ${grpcStatus} ${GRPC_NAMES[grpcStatus]} | ${exitCode} | ${retryable ? 'yes' : 'no'}`;
}

function sectionOf(code: ErrorCode): string {
  return sections.find((text) => text.startsWith(`${code}\n`)) ?? '';
}

function bodyShownFor(code: ErrorCode): ErrorBody {
  return JSON.parse(/```json\n([^]*?)```/.exec(sectionOf(code))?.[1] ?? '') as ErrorBody;
}

test('the overview lists exactly the codes of the table, in its order, with its numbers', () => {
  const rows = [...overview.matchAll(/^\| \[(\w+)\]\(#(\w+)\) \| (.*) \|$/gm)].map(([, code, anchor, cells]) => [
    code,
    anchor,
    cells,
  ]);
  expect(rows).toEqual(codes.map(([code, projection]) => [code, code.toLowerCase(), cellsOf(projection)]));
});

test('there is one section for each code, in the same order', () => {
  expect(sections.map((section) => section.slice(0, section.indexOf('\n')))).toEqual(codes.map(([code]) => code));
});

describe.each(codes)('%s', (code, projection) => {
  const section = sectionOf(code);

  test('has the numbers of the table', () => {
    expect(section).toContain(`| ${cellsOf(projection)} |`);
  });

  test('says what it means, when it happens and what to do', () => {
    expect(section).toMatch(/^\w+\n\n[A-Z].*\.\n/);
    expect(section).toMatch(/\*\*When\*\*\n\n- /);
    expect(section).toMatch(/\*\*What to do\*\*: [A-Z].*\./);
  });

  test('shows a body as it is sent', () => {
    const body = bodyShownFor(code);
    expect(body).toEqual({
      code,
      message: expect.stringMatching(/[^.]\.*$/),
      details: expect.any(Object),
      retryable: projection.retryable,
    });
    expect(Object.keys(body)).toEqual(['code', 'message', 'details', 'retryable']);
  });
});

test('the sentences are those that are made from the details', () => {
  const made = codes.filter(([code]) => !saidByTheEndpoint.includes(code)).map(([code]) => code);
  for (const code of made) {
    const body = bodyShownFor(code);
    expect(body.message).toBe(messageOf(code, body.details));
  }
});

test('exit codes are unique, not 0 or 1, and below those that a shell gives to signals', () => {
  const exitCodes = codes.map(([, { exitCode }]) => exitCode);
  expect(new Set(exitCodes).size).toBe(exitCodes.length);
  for (const exitCode of exitCodes) {
    expect(exitCode).toBeGreaterThan(1);
    expect(exitCode).toBeLessThan(126);
  }
});

test('statuses are of the right kind', () => {
  for (const [, { httpStatus, grpcStatus }] of codes) {
    expect(httpStatus).toBeGreaterThanOrEqual(400);
    expect(httpStatus).toBeLessThan(600);
    expect(GRPC_NAMES).toHaveProperty(String(grpcStatus));
  }
});
