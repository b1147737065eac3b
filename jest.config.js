/**
 * One Jest project per test folder that exists, so that `--selectProjects unit` names a folder.
 * Tests are TypeScript ES modules: import from '@jest/globals', and write relative imports with their `.ts` ending.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('.', import.meta.url));

/**
 * Folders under `test/`. `property`: random cases against a second, naive implementation. `socket`: real sockets of this machine.
 * `process`: real processes of this repository. `kube`: a real Kubernetes API server, see docs/testing.md.
 */
const folders = ['unit', 'property', 'contract', 'golden', 'socket', 'process', 'kube'];

const swc = {
  jsc: { parser: { syntax: 'typescript', explicitResourceManagement: true }, target: 'es2022' },
  module: { type: 'es6' },
};

/** What happens once before and once after all tests of a project that ran. */
const hooks = {
  kube: {
    globalSetup: '<rootDir>/test/kube/global-setup.ts',
    globalTeardown: '<rootDir>/test/kube/global-teardown.ts',
  },
};

const project = (name) => ({
  displayName: name,
  rootDir: root,
  roots: [`<rootDir>/test/${name}`],
  testMatch: ['**/*.test.ts'],
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['@swc/jest', swc] },
  ...hooks[name],
});

export default {
  projects: folders.filter((name) => existsSync(`${root}/test/${name}`)).map(project),
  maxWorkers: 2,
  // For all projects, since Jest takes it from here alone: tests wait for conditions, so only a broken one comes near.
  testTimeout: 180_000,
};
