/**
 * Goal: a real API server takes our definitions as they are: once and again without a change, and over older ones without
 * losing an object.
 * Method: `kubectl apply` of the files in `crds/`; for the update, definitions of another group that stand for an older release.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, test } from '@jest/globals';
import { customResourceDefinitions } from '../../../src/api/custom-resources/definitions.ts';
import { waitFor } from '../../support/wait.ts';
import { freshNamespace, sharedControlPlane } from '../support.ts';

const controlPlane = sharedControlPlane();
const { http } = controlPlane;
const kubectl = (words: readonly string[], input?: string) => controlPlane.kubectl(words, input);
const DEFINITIONS_FOLDER = fileURLToPath(new URL('../../../crds', import.meta.url));
const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

beforeAll(() => controlPlane.applyCustomResourceDefinitions());

test('applied again they change nothing', async () => {
  await kubectl(['apply', '-f', DEFINITIONS_FOLDER]);
  const { out, error } = await kubectl(['apply', '-f', DEFINITIONS_FOLDER]);
  expect({ out, error }).toEqual({
    out: [
      'customresourcedefinition.apiextensions.k8s.io/distributedlocks.lockkeeper.dev unchanged\n',
      'customresourcedefinition.apiextensions.k8s.io/lockpools.lockkeeper.dev unchanged\n',
    ].join(''),
    error: '',
  });
});

test('fit into an annotation of kubectl, with room, and into a diff', async () => {
  for (const file of readdirSync(DEFINITIONS_FOLDER))
    expect(statSync(`${DEFINITIONS_FOLDER}/${file}`).size).toBeLessThan(64 * 1024);
  const { exitCode, out } = await kubectl(['diff', '-f', DEFINITIONS_FOLDER]);
  expect({ exitCode, out }).toEqual({ exitCode: 0, out: '' });
});

test('what the server stores is what the files say, with its own fields added', async () => {
  for (const definition of customResourceDefinitions()) {
    const stored = await http.get(`${DEFINITIONS}/${definition.metadata.name}`);
    expect(stored).toMatchObject(JSON.parse(JSON.stringify(definition)));
    const refused = stored.status.conditions.filter(({ status }: { status: string }) => status !== 'True');
    expect(refused).toEqual([]);
  }
});

/** The definition of DistributedLocks as an older release of another group would have had it. */
function olderDefinition(group: string): { readonly older: object; readonly current: object } {
  const text = readFileSync(`${DEFINITIONS_FOLDER}/lockkeeper.dev_distributedlocks.yaml`, 'utf8');
  const [definition] = customResourceDefinitions();
  expect(text).toContain('distributedlocks.lockkeeper.dev');
  const names = { ...definition?.spec.names, shortNames: [], categories: [] };
  const current = JSON.parse(
    JSON.stringify({
      ...definition,
      metadata: { name: `distributedlocks.${group}` },
      spec: { ...definition?.spec, group, names },
    }),
  );
  const older = structuredClone(current);
  const { spec } = older.spec.versions[0].schema.openAPIV3Schema.properties;
  delete spec.properties.fencing;
  delete spec.default.fencing;
  delete spec['x-kubernetes-validations'];
  return { older, current };
}

test('applied over older ones they keep the objects, also those that break a rule which is new', async () => {
  const group = `older-${process.pid}.lockkeeper.dev`;
  const { older, current } = olderDefinition(group);
  const { name: namespace } = await freshNamespace();
  const locks = `/apis/${group}/v1alpha1/namespaces/${namespace}/distributedlocks`;
  const lock = (name: string, spec: object) => ({
    body: { apiVersion: `${group}/v1alpha1`, kind: 'DistributedLock', metadata: { name }, spec },
  });
  const patch = (name: string, body: object) =>
    http.call('PATCH', `${locks}/${name}`, { body, contentType: 'application/merge-patch+json' });

  expect((await kubectl(['apply', '-f', '-'], JSON.stringify(older))).out).toContain('created');
  await waitFor(async () => (await http.call('GET', locks)).status === 200, { what: 'older kind' });
  await http.expectSuccess('POST', locks, lock('good', { permits: 2 }));
  await http.expectSuccess('POST', locks, lock('bad', { maxHoldSeconds: 5 }));
  expect((await kubectl(['apply', '-f', '-'], JSON.stringify(current))).out).toContain('configured');
  await waitFor(async () => (await http.call('POST', locks, lock('probe', { maxHoldSeconds: 5 }))).status === 422, {
    what: 'rule in force',
  });

  expect((await http.get(`${locks}/good`)).spec).toMatchObject({ permits: 2, fencing: false });
  // What broke the rule before it was there may stay while the rest changes, and be mended.
  expect((await patch('bad', { metadata: { labels: { team: 'x' } } })).status).toBe(200);
  expect((await patch('bad', { spec: { permits: 2 } })).status).toBe(422);
  expect((await patch('bad', { spec: { maxHoldSeconds: 60 } })).status).toBe(200);
  await http.expectSuccess('DELETE', `${DEFINITIONS}/distributedlocks.${group}`);
});
