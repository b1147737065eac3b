/** Who may import whom. `npm run check` enforces it; `test/contract/import-direction.test.ts` proves that it can fail. */

/** Every folder of `src`, and the other folders it may import. What is not listed here is forbidden. */
const mayImport = {
  api: [],
  engine: ['api'],
  system: [],
  kube: ['api', 'system'],
  sdk: ['api', 'system'],
  server: ['api', 'engine', 'system', 'kube'],
  controller: ['api', 'engine', 'system', 'kube'],
  webhook: ['api', 'system', 'kube'],
  dashboard: ['api', 'system'],
  sidecar: ['api', 'system', 'sdk'],
  cli: ['api', 'system', 'kube', 'sdk'],
  operator: ['api', 'engine', 'system', 'kube', 'server', 'controller', 'webhook', 'dashboard'],
  dev: [
    'api',
    'engine',
    'system',
    'kube',
    'sdk',
    'server',
    'controller',
    'webhook',
    'dashboard',
    'sidecar',
    'cli',
    'operator',
  ],
};

const directions = Object.entries(mayImport).map(([folder, others]) => ({
  name: `direction-${folder}`,
  comment: `src/${folder} imports ${others.length > 0 ? others.map((other) => `src/${other}`).join(', ') : 'no other folder of src'}.`,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: `^src/(${[folder, ...others].join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...directions,
    {
      name: 'known-folder',
      comment: 'A new folder of src needs a line in `mayImport`.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${Object.keys(mayImport).join('|')})/` },
      to: {},
    },
    {
      name: 'no-circle',
      comment:
        'Two modules that need each other are one module, or the shared part is a third. Types may refer to each other.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'api-is-vocabulary',
      comment: 'src/api imports zod and itself.',
      severity: 'error',
      from: { path: '^src/api/' },
      to: { pathNot: '^(src/api/|node_modules/zod/)' },
    },
    {
      name: 'engine-is-pure',
      comment: 'src/engine imports src/api and itself: no platform, no package.',
      severity: 'error',
      from: { path: '^src/engine/' },
      to: { pathNot: '^src/(api|engine)/' },
    },
    {
      name: 'product-stands-alone',
      comment: 'What is shipped never imports a test or a script.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|hack)/' },
    },
    {
      name: 'product-is-installed-alone',
      comment: 'src imports only packages listed under "dependencies": nothing else is installed with it.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'nothing-missing',
      comment: 'The module exists.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
