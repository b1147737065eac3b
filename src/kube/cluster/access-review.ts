import type { Requester } from './requester.ts';

/** Something that an account may be allowed to do. */
export interface AccessRequest {
  readonly verb: string;
  /** Empty for the core group. */
  readonly group: string;
  /** Lower case plural, for example `distributedlocks`. */
  readonly resource: string;
  readonly subresource?: string | undefined;
  /** All namespaces if absent. */
  readonly namespace?: string | undefined;
  /** All names if absent. */
  readonly name?: string | undefined;
}

/** Asks the API server whether the account of this client may do something. Rejects with a `StoreError`. */
export async function reviewOwnAccess(requester: Requester, access: AccessRequest): Promise<boolean> {
  const { value } = await requester.read({
    // Nothing is stored by it.
    write: false,
    what: 'ask what this account may do',
    request: {
      method: 'POST',
      path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
      body: JSON.stringify({
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: { resourceAttributes: access },
      }),
    },
  });
  return (value as { readonly status?: { readonly allowed?: boolean } }).status?.allowed === true;
}
