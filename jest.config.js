/**
 * One Jest project per test folder that exists, so that `--selectProjects unit` names a folder.
 * Tests are TypeScript ES modules: import from '@jest/globals', and write relative imports with their `.ts` ending.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));

/** Folder under `test/`, and how long one of its tests may take in ms. `process` starts real processes of this repository. */
const folders = [
  { name: 'unit', timeoutMs: 5_000 },
  { name: 'contract', timeoutMs: 30_000 },
  { name: 'golden', timeoutMs: 10_000 },
  { name: 'sim', timeoutMs: 60_000 },
  { name: 'process', timeoutMs: 120_000 },
];

const swc = {
  jsc: { parser: { syntax: 'typescript', explicitResourceManagement: true }, target: 'es2022' },
  module: { type: 'es6' },
};

const project = ({ name, timeoutMs }) => ({
  displayName: name,
  rootDir: root,
  roots: [`<rootDir>/test/${name}`],
  testMatch: ['**/*.test.ts'],
  testEnvironment: 'node',
  testTimeout: timeoutMs,
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', swc] },
});

export default {
  projects: folders.filter(({ name }) => existsSync(`${root}/test/${name}`)).map(project),
  maxWorkers: 2,
};
