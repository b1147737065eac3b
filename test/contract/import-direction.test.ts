/**
 * Goal: who may import whom is decided once, in `.dependency-cruiser.cjs`, and really looked at.
 * Method: run it on `src`, counting the modules it saw (without a compiler that it understands it sees none and is
 * content); then on a small tree in which every rule is broken once.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const repository = fileURLToPath(new URL('../..', import.meta.url));

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

interface Cruise {
  readonly modules: readonly { readonly source: string }[];
  readonly summary: { readonly violations: readonly Violation[] };
}

function cruise(folder: string): Promise<Cruise> {
  const program = join(repository, 'node_modules/.bin/depcruise');
  const args = ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src'];
  return new Promise((resolve, reject) => {
    // It ends with the number of violations, so only the absence of output is an error.
    execFile(process.execPath, [program, ...args], { cwd: folder, maxBuffer: 2 ** 28 }, (error, stdout) => {
      if (error && stdout === '') reject(error);
      else resolve(JSON.parse(stdout));
    });
  });
}

/** The name of the package that a path lies in; any other path as it is. */
function packageOr(path: string): string {
  return path.replace(/^.*node_modules\/([^/]+)\/.*$/, '$1');
}

test('src keeps to the import rules', async () => {
  const { modules, summary } = await cruise(repository);
  const files = (await readdir(join(repository, 'src'), { recursive: true })).filter((name) => name.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(10);
  expect(modules.filter(({ source }) => source.startsWith('src/')).length).toBeGreaterThanOrEqual(files.length);
  expect(summary.violations.map(({ from, to, rule }) => `${from} imports ${to}: ${rule.name}`)).toEqual([]);
});

test('every import rule can fail', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lockkeeper-imports-'));
  const tree: Readonly<Record<string, readonly string[]>> = {
    'src/api/codes.ts': ['node:fs', './unknown.ts'],
    'src/engine/clocked.ts': ['../system/clock.ts', 'zod'],
    'src/system/clock.ts': ['../api/codes.ts'],
    'src/kube/client.ts': ['../engine/clocked.ts'],
    'src/sdk/index.ts': ['../kube/client.ts', 'typescript'],
    'src/server/main.ts': ['../sidecar/main.ts'],
    'src/controller/main.ts': ['../server/main.ts'],
    'src/webhook/main.ts': ['../operator/main.ts'],
    'src/dashboard/main.ts': ['../kube/client.ts'],
    'src/sidecar/main.ts': ['../kube/client.ts'],
    'src/cli/main.ts': ['../dev/main.ts'],
    'src/operator/main.ts': ['../server/main.ts', '../sidecar/main.ts'],
    'src/dev/main.ts': ['../operator/main.ts', '../../test/helper.ts', './other.ts'],
    'src/dev/other.ts': ['./main.ts'],
    'src/elsewhere/module.ts': ['../api/codes.ts'],
    'test/helper.ts': [],
  };
  try {
    for (const [path, imports] of Object.entries(tree)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), [...imports.map((from) => `import '${from}';`), 'export {};', ''].join('\n'));
    }
    for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) {
      await copyFile(join(repository, name), join(folder, name));
    }
    await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'));

    const { summary } = await cruise(folder);
    const broken = summary.violations.map(({ from, to, rule }) => `${rule.name}: ${from} -> ${packageOr(to)}`);
    expect(broken.toSorted()).toEqual([
      'api-is-vocabulary: src/api/codes.ts -> ./unknown.ts',
      'api-is-vocabulary: src/api/codes.ts -> fs',
      'direction-cli: src/cli/main.ts -> src/dev/main.ts',
      'direction-controller: src/controller/main.ts -> src/server/main.ts',
      'direction-dashboard: src/dashboard/main.ts -> src/kube/client.ts',
      'direction-engine: src/engine/clocked.ts -> src/system/clock.ts',
      'direction-kube: src/kube/client.ts -> src/engine/clocked.ts',
      'direction-operator: src/operator/main.ts -> src/sidecar/main.ts',
      'direction-sdk: src/sdk/index.ts -> src/kube/client.ts',
      'direction-server: src/server/main.ts -> src/sidecar/main.ts',
      'direction-sidecar: src/sidecar/main.ts -> src/kube/client.ts',
      'direction-system: src/system/clock.ts -> src/api/codes.ts',
      'direction-webhook: src/webhook/main.ts -> src/operator/main.ts',
      'engine-is-pure: src/engine/clocked.ts -> src/system/clock.ts',
      'engine-is-pure: src/engine/clocked.ts -> zod',
      'known-folder: src/elsewhere/module.ts -> src/api/codes.ts',
      'no-circle: src/dev/main.ts -> src/dev/other.ts',
      'nothing-missing: src/api/codes.ts -> ./unknown.ts',
      'product-is-installed-alone: src/sdk/index.ts -> typescript',
      'product-stands-alone: src/dev/main.ts -> test/helper.ts',
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
