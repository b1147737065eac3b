/** `npm run generate`: writes the definitions of the custom resources to `crds/`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { customResourceDefinitions } from '../src/api/custom-resources/definitions.ts';
import { repository } from './run.ts';

await mkdir(`${repository}/crds`, { recursive: true });
for (const definition of customResourceDefinitions()) {
  const { group, names } = definition.spec;
  const path = `crds/${group}_${names.plural}.yaml`;
  // Kubernetes reads YAML 1.1, where a bare `on` or `yes` is a boolean.
  const text = stringify(definition, { version: '1.1', aliasDuplicateObjects: false, lineWidth: 120 });
  await writeFile(`${repository}/${path}`, `# Generated from src/api by \`npm run generate\`.\n---\n${text}`);
  console.log(`${path}: ${Buffer.byteLength(text)} bytes`);
}
