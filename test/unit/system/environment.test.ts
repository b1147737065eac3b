/** Goal: what a process was started with is read once and cannot change afterwards. */
import { expect, test } from '@jest/globals';
import { readEnvironment } from '../../../src/system/environment.ts';

const argv = ['/usr/bin/node', 'main.ts', '--port', '5625'];

test('takes the variables and the arguments after the script', () => {
  const environment = readEnvironment({ env: { POD_NAME: 'app-0', EMPTY: '' }, argv });
  expect(environment.variables['POD_NAME']).toBe('app-0');
  expect(environment.variables['EMPTY']).toBe('');
  expect(environment.arguments).toEqual(['--port', '5625']);
});

test('later changes do not show', () => {
  const env: NodeJS.ProcessEnv = { POD_NAME: 'app-0' };
  const environment = readEnvironment({ env, argv });
  env['POD_NAME'] = 'app-1';
  expect(environment.variables['POD_NAME']).toBe('app-0');
});

test('is frozen', () => {
  const environment = readEnvironment({ env: { POD_NAME: 'app-0' }, argv });
  expect(Object.isFrozen(environment)).toBe(true);
  expect(Object.isFrozen(environment.variables)).toBe(true);
  expect(Object.isFrozen(environment.arguments)).toBe(true);
});

test('a name that every object knows is unset all the same', () => {
  expect(readEnvironment({ env: {}, argv }).variables['constructor']).toBeUndefined();
});

test('reads the process unless told otherwise', () => {
  expect(readEnvironment().variables['PATH']).toBe(process.env['PATH']);
});
