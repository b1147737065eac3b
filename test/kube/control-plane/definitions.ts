/** Defining our own kinds on an API server. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { HttpClient } from './http.ts';
import { waitFor } from '../../support/wait.ts';

const folder = fileURLToPath(new URL('../../../crds', import.meta.url));
const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
}

/** Applies every file of `crds/` and resolves once objects of these kinds are served. */
export async function applyDefinitions(http: HttpClient): Promise<void> {
  const definitions = readdirSync(folder).map((name) => parse(readFileSync(join(folder, name), 'utf8')) as Definition);
  await Promise.all(definitions.map((definition) => apply(http, definition)));
}

async function apply(http: HttpClient, definition: Definition): Promise<void> {
  const own = `${path}/${definition.metadata.name}`;
  const options = { body: definition, contentType: 'application/apply-patch+yaml' };
  await http.expectSuccess('PATCH', `${own}?fieldManager=lockkeeper-test&force=true`, options);
  const isEstablished = async (): Promise<boolean> => {
    const { status } = await http.get(own);
    return status?.conditions?.some(
      (condition: { readonly type: string; readonly status: string }) =>
        condition.type === 'Established' && condition.status === 'True',
    );
  };
  await waitFor(isEstablished, { what: `condition Established of ${definition.metadata.name}` });
  const { group, names, versions } = definition.spec;
  for (const { name } of versions) {
    // The condition comes a moment before the requests are routed.
    const isServed = async () =>
      (await http.call('GET', `/apis/${group}/${name}/${names.plural}?limit=1`)).status === 200;
    await waitFor(isServed, { what: `list of ${names.plural}` });
  }
}
