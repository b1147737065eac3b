import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { type ContractCase, kubectl, kubectlFails, lock, patch, pool, post, put } from '../contract-case.ts';

const FOLDER = fileURLToPath(new URL('../../../fixtures/invalid-manifests', import.meta.url));

/** A file that must be refused, and all that is wrong with it, as `# expect:` lines at its beginning say. */
export interface InvalidManifest {
  readonly name: string;
  readonly text: string;
  readonly expected: readonly string[];
  readonly object: { readonly apiVersion: string; readonly kind: string };
}

export const invalidManifests: readonly InvalidManifest[] = readdirSync(FOLDER).map((name) => {
  const text = readFileSync(`${FOLDER}/${name}`, 'utf8');
  const expected = [...text.matchAll(/^# expect: (.+)$/gm)].map(([, line = '']) => line);
  return { name, text, expected, object: parse(text) as InvalidManifest['object'] };
});

/** Only `kubectl` can be told of a kind that there is not: it finds no path for it. */
const ofOurKinds = invalidManifests.filter(({ object }) => object.apiVersion === 'lockkeeper.dev/v1alpha1');

/** Where a regular expression cannot be read, the two say so in other words. */
const toldAlike = invalidManifests
  .filter(({ name }) => !name.startsWith('key-pattern-with-bad-'))
  .map(({ text }) => text)
  .join('---\n');

const token = (fencingToken: string | null) => ({ status: { fencingToken } });
const TOKEN_REFUSED = { code: 422, causes: [['FieldValueInvalid', 'status.fencingToken']] as const };

/** What the definitions of our kinds refuse, and in which words. */
export const manifestCases: readonly ContractCase[] = [
  ...ofOurKinds.map(
    ({ name, text, expected, object }): ContractCase => ({
      name: `the invalid manifest ${name}`,
      steps: [
        post(`${object.kind === 'LockPool' ? 'pools' : 'locks'}?fieldValidation=Strict`, text, {
          headers: { 'content-type': 'application/yaml' },
          code: expected[0]?.startsWith('strict decoding error') === true ? 400 : 422,
          tells: expected,
        }),
      ],
    }),
  ),
  {
    name: 'kubectl apply of every invalid manifest',
    steps: [
      kubectlFails('apply -f -', /no matches for kind "DistributedLock" in version "lockkeeper.dev\/v1"/, toldAlike),
      kubectl('get lockkeeper -o name', /^$/),
    ],
  },
  {
    name: 'a recorded fencing token only grows',
    steps: [
      post('locks', lock('a')),
      patch('merge', 'locks/a/status', token('9')),
      patch('merge', 'locks/a/status', token('10')),
      patch('merge', 'locks/a/status', token('9'), TOKEN_REFUSED),
      patch('merge', 'locks/a/status', token(null), TOKEN_REFUSED),
      patch('json', 'locks/a/status', [{ op: 'remove', path: '/status' }], TOKEN_REFUSED),
      patch('merge', 'locks/a/status', { status: { waiters: 1 } }),
      patch('merge', 'locks/a', { spec: { permits: 2 } }, { says: { status: { fencingToken: '10' } } }),
      patch('merge', 'locks/a/status', token('10')),
      patch('merge', 'locks/a/status', token('11')),
    ],
  },
  {
    name: 'rules hold for edits as well',
    steps: [
      post('locks', lock('a', { leaseDurationSeconds: 30, maxHoldSeconds: 60 })),
      patch(
        'merge',
        'locks/a',
        { spec: { maxHoldSeconds: 20 } },
        { code: 422, causes: [['FieldValueInvalid', 'spec.maxHoldSeconds']] },
      ),
      patch(
        'merge',
        'locks/a',
        { spec: { leaseDurationSeconds: 90 } },
        { code: 422, causes: [['FieldValueInvalid', 'spec.maxHoldSeconds']] },
      ),
      patch('merge', 'locks/a', { spec: { leaseDurationSeconds: 90, maxHoldSeconds: 90 } }, { as: 'now' }),
      put(
        'locks/a',
        {
          ...lock('a', { maxHoldSeconds: 5 }),
          metadata: { name: 'a', resourceVersion: '{{now.metadata.resourceVersion}}' },
        },
        { code: 422 },
      ),
      post('pools', pool('p', { keyPattern: 'order-[0-9]+' })),
      patch(
        'merge',
        'pools/p',
        { spec: { keyPattern: '(a|b)' } },
        { code: 422, causes: [['FieldValueInvalid', 'spec.keyPattern']] },
      ),
      patch(
        'merge',
        'pools/p',
        { spec: { leaseDurationSeconds: 61 } },
        { code: 422, causes: [['FieldValueInvalid', 'spec.leaseDurationSeconds']] },
      ),
      patch('merge', 'pools/p', { spec: { leaseDurationSeconds: 61, maxLeaseDurationSeconds: 61, keyPattern: null } }),
    ],
  },
  {
    name: 'defaults are filled in and unknown fields pruned',
    steps: [
      post(
        'locks',
        { ...lock('a'), spec: undefined },
        { says: { spec: { leaseDurationSeconds: 15, permits: 1, fencing: false } } },
      ),
      post('pools', { ...pool('a'), spec: undefined }, { says: { spec: { maxLeaseDurationSeconds: 60 } } }),
      post('locks', lock('b', { permits: null, later: 1 }), { says: { spec: { permits: 1 } } }),
      post('locks', lock('c', { maxHoldSeconds: null })),
    ],
  },
];
