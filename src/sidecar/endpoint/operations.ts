/**
 * What the localhost API serves: one row per operation. Router, 404 and 405 answers and the OpenAPI document are all made
 * from this table. Every path is served with and without `/v1`.
 */
export const OPERATIONS = {
  acquire: { method: 'POST', path: '/v1/locks/{id}:acquire' },
  renew: { method: 'POST', path: '/v1/locks/{id}:renew' },
  release: { method: 'POST', path: '/v1/locks/{id}:release' },
  hold: { method: 'POST', path: '/v1/locks/{id}:hold' },
  forceRelease: { method: 'POST', path: '/v1/locks/{id}:forceRelease' },
  held: { method: 'GET', path: '/v1/locks/{id}:held' },
  inspect: { method: 'GET', path: '/v1/locks/{id}' },
  list: { method: 'GET', path: '/v1/locks' },
  acquireAll: { method: 'POST', path: '/v1/locks:acquireAll' },
  releaseAll: { method: 'POST', path: '/v1/locks:releaseAll' },
  healthz: { method: 'GET', path: '/healthz' },
  readyz: { method: 'GET', path: '/readyz' },
  metrics: { method: 'GET', path: '/metrics' },
  openapi: { method: 'GET', path: '/openapi.json' },
} as const satisfies Record<string, { method: 'GET' | 'POST'; path: string }>;

export type Operation = keyof typeof OPERATIONS;

/** Methods an operation answers to, as the Allow header lists them. */
export function methodsOf(operation: Operation): readonly string[] {
  return OPERATIONS[operation].method === 'GET' ? ['GET', 'HEAD'] : ['POST'];
}

/** `POST /v1/locks/{id}:acquire` and so on, for answers that say what exists. */
export const ROUTES_SERVED: readonly string[] = Object.values(OPERATIONS).map(
  ({ method, path }) => `${method} ${path}`,
);
