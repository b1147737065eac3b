/**
 * Goal: what `docs/http-api.md` shows works as shown.
 * Method: every curl of the page is sent, its answers are held against the schemas, and every operation must be there.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { InjectOptions } from 'fastify';
import { expect, test } from '@jest/globals';
import { LIMITS } from '../../../../src/api/limits.ts';
import { acquireRequestSchema } from '../../../../src/api/requests.ts';
import { COMPONENTS, type ComponentName } from '../../../../src/sidecar/endpoint/open-api-components.ts';
import { DESCRIPTIONS } from '../../../../src/sidecar/endpoint/open-api-operations.ts';
import { OPERATIONS, type Operation } from '../../../../src/sidecar/endpoint/operations.ts';
import { headerBytesMax } from '../../../../src/sidecar/endpoint/protocol-errors.ts';
import { DEFAULT_SETTINGS } from '../../../../src/sidecar/endpoint/settings.ts';
import { inMemory, post } from '../../../support/local-endpoint.ts';
import { scriptedCalls } from '../../../support/scripted-calls.ts';

const page = await readFile(fileURLToPath(new URL('../../../../docs/http-api.md', import.meta.url)), 'utf8');

/** The request of a curl command of the page. */
function requestOf(command: string): InjectOptions {
  const url = /http:\/\/localhost:5625(\S+?)'?$/.exec(command)?.[1] ?? '';
  const body = /--json '([^']*)'/.exec(command)?.[1];
  return body === undefined ? { method: 'GET', url } : post(url, JSON.parse(body));
}

const commands = [...page.matchAll(/```sh\n([^]*?)\n```/g)].map(([, command = '']) =>
  command.replace(/\s*\\\n\s*/g, ' '),
);
const answers = [...page.matchAll(/<!-- answer( lines)?: (\w+) -->\n```json\n([^]*?)\n```/g)].map(
  ([, lines, component, text = '']) => ({
    component: component as ComponentName,
    values: (lines === undefined ? [text] : text.split('\n')).map((each) => JSON.parse(each) as unknown),
  }),
);

test('every command is accepted, and each calls an operation of its own', async () => {
  const calls = scriptedCalls();
  const send = await inMemory(calls);
  for (const command of commands)
    expect({ command, status: (await send(requestOf(command))).status }).toEqual({ command, status: 200 });
  const withLocks = (Object.keys(OPERATIONS) as Operation[]).filter(
    (operation) => DESCRIPTIONS[operation].tag === 'locks',
  );
  expect(calls.seen.map(({ operation }) => operation as string).toSorted()).toEqual(withLocks.toSorted());
});

test('every answer fits its schema, and each answer of an operation is shown', () => {
  for (const { component, values } of answers) {
    for (const value of values)
      expect({ component, ...COMPONENTS[component].safeParse(value) }).toMatchObject({ component, success: true });
  }
  const shown = new Set(answers.map(({ component }) => component));
  const answered = Object.values(DESCRIPTIONS)
    .filter(({ tag }) => tag === 'locks')
    .map(({ answer }) => answer.component);
  for (const component of answered) expect(shown).toContain(component);
});

test('every path is named', () => {
  for (const { method, path } of Object.values(OPERATIONS)) expect(page).toContain(`\`${method} ${path}`);
});

test('every field of an acquire is in its table, and the numbers are those in force', () => {
  for (const field of Object.keys(acquireRequestSchema.shape)) expect(page).toContain(`| \`${field}\` |`);
  const number = (value: number) => value.toLocaleString('en-US');
  expect(page).toContain(`| \`ttlMs\` | ${number(LIMITS.ttlMsMin)} to ${number(LIMITS.ttlMsMax)} |`);
  expect(page).toContain(`| \`timeoutMs\` | -1 to ${number(LIMITS.timeoutMsMax)} |`);
  expect(page).toContain(`| \`maxHoldMs\` | ${number(LIMITS.ttlMsMin)} to ${number(LIMITS.maxHoldMsMax)} |`);
  expect(page).toContain(`at most ${LIMITS.metadataEntriesMax} entries, ${number(LIMITS.metadataBytesMax)} bytes`);
  expect(page).toContain(
    `a body has at most ${number(LIMITS.bodyBytesMax)} bytes, request line and headers ${number(headerBytesMax)} bytes`,
  );
  expect(page).toContain(`within ${DEFAULT_SETTINGS.headersTimeoutMs / 1_000} s`);
  expect(page).toContain(`within ${DEFAULT_SETTINGS.requestTimeoutMs / 1_000} s`);
  expect(page).toMatch(new RegExp(`more than ${DEFAULT_SETTINGS.requestsPerConnectionMax}\\s+pipelined requests`));
  expect(page).toContain(`closed after ${DEFAULT_SETTINGS.keepAliveTimeoutMs / 1_000} s`);
});
