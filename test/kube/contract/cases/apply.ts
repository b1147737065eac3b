import { type ContractCase, get, lease, lock, patch, post } from '../contract-case.ts';

const by = (manager: string, force = false) => `fieldManager=${manager}${force ? '&force=true' : ''}`;

/** Server-side apply. */
export const applyCases: readonly ContractCase[] = [
  {
    name: 'apply creates and changes',
    steps: [
      patch('apply', `locks/a?${by('me')}`, lock('a', { permits: 2 }), { code: 201 }),
      patch('apply', `locks/a?${by('me')}`, lock('a', { permits: 2 }), { code: 200 }),
      patch('apply', `locks/a?${by('me')}`, lock('a', { permits: 3 }), { says: { spec: { permits: 3 } } }),
      patch('apply', `leases/a?${by('me')}`, lease('a', { holderIdentity: 'me' }), { code: 201 }),
      patch(
        'apply',
        `leases/a?${by('me')}`,
        'apiVersion: coordination.k8s.io/v1\nkind: Lease\nspec: {holderIdentity: you}\n',
      ),
    ],
  },
  {
    name: 'apply of what is wrong',
    steps: [
      patch('apply', 'locks/a', lock('a'), { code: 422, reason: 'Invalid' }),
      patch('apply', `locks/a?${by('me')}`, lock('b'), { code: 400 }),
      patch('apply', `locks/a?${by('me')}`, lock('a', { permits: 0 }), { code: 422 }),
      patch('apply', `locks/a?${by('me')}`, 'a: [', { code: 400 }),
      patch('apply', `locks/a?${by('me')}`, { metadata: { name: 'a' } }, { code: 400 }),
      patch('apply', `locks/a?${by('me')}`, lock('a', { permitz: 1 }), { code: 500 }),
      get('locks/a', { code: 404 }),
    ],
  },
  {
    name: 'apply removes what it no longer says',
    steps: [
      patch('apply', `locks/a?${by('me')}`, lock('a', { maxHoldSeconds: 60 }), { code: 201 }),
      patch('apply', `locks/a?${by('me')}`, lock('a')),
    ],
  },
  {
    name: 'a field of another manager is a conflict unless forced',
    steps: [
      post(`locks?${by('one')}`, lock('a', { permits: 2 })),
      patch('apply', `locks/a?${by('two')}`, lock('a', { permits: 3 }), { code: 409, reason: 'Conflict' }),
      patch('apply', `locks/a?${by('two', true)}`, lock('a', { permits: 3 }), { says: { spec: { permits: 3 } } }),
    ],
  },
  {
    name: 'who manages which field is kept',
    steps: [
      post(`leases?${by('one')}`, lease('a', { holderIdentity: 'me' }), {
        pick: (body) => ({ isKept: 'managedFields' in (body as { readonly metadata: object }).metadata }),
      }),
    ],
  },
];
