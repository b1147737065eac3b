import type { ErrorCode } from '../../api/codes.ts';
import { LIMITS } from '../../api/limits.ts';
import type { ComponentName } from './open-api-components.ts';
import { EXAMPLES } from './open-api-examples.ts';
import type { Operation } from './operations.ts';

export interface QueryParameter {
  readonly name: string;
  readonly required: boolean;
  readonly description: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

/** What the OpenAPI document says of an operation beyond its method and path. */
export interface OperationDescription {
  readonly tag: 'locks' | 'operation';
  readonly summary: string;
  readonly details?: string;
  readonly query?: readonly QueryParameter[];
  readonly request?: { readonly component: ComponentName; readonly example: unknown };
  readonly answer: {
    readonly description: string;
    readonly component?: ComponentName;
    readonly contentType?: string;
    readonly example: unknown;
  };
  /** Codes it may answer with, besides the ones that unknown paths and methods get. */
  readonly codes: readonly ErrorCode[];
}

const EVERY: readonly ErrorCode[] = ['INVALID_ARGUMENT', 'PERMISSION_DENIED', 'INTERNAL', 'UNAVAILABLE'];
const READ: readonly ErrorCode[] = [...EVERY, 'UNAUTHENTICATED', 'LOCK_NOT_FOUND'];
const WRITE: readonly ErrorCode[] = [...READ, 'PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE', 'OUTCOME_UNKNOWN'];
const ACQUIRE: readonly ErrorCode[] = [...WRITE, 'LOCK_HELD', 'ACQUIRE_TIMEOUT', 'QUEUE_FULL', 'DEADLOCK'];
const HOLDER: readonly ErrorCode[] = [...WRITE, 'NOT_HELD'];

const NAMESPACE: QueryParameter = {
  name: 'namespace',
  required: false,
  description: 'Kubernetes namespace of the lock; the own one if absent.',
  schema: { type: 'string', minLength: 1, maxLength: LIMITS.namespaceLengthMax },
};

export const DESCRIPTIONS: Readonly<Record<Operation, OperationDescription>> = {
  acquire: {
    tag: 'locks',
    summary: 'Acquire a lock',
    details:
      'By default a try-lock; timeoutMs waits in the queue. Stop using the lock validForMs after the request was sent, unless renewed. Closing the connection before the answer leaves the queue.',
    request: { component: 'AcquireRequest', example: EXAMPLES.acquire },
    answer: { description: 'Granted.', component: 'Hold', example: EXAMPLES.hold },
    codes: ACQUIRE,
  },
  renew: {
    tag: 'locks',
    summary: 'Renew a hold',
    details: 'Extends the hold from now; a renewal never moves an expiry earlier.',
    request: { component: 'RenewRequest', example: EXAMPLES.renew },
    answer: { description: 'Renewed.', component: 'Hold', example: EXAMPLES.hold },
    codes: HOLDER,
  },
  release: {
    tag: 'locks',
    summary: 'Release a hold',
    details: 'Gives back one depth; the lock is free at depth 0.',
    request: { component: 'ReleaseRequest', example: EXAMPLES.release },
    answer: { description: 'Released.', component: 'Released', example: EXAMPLES.released },
    codes: HOLDER,
  },
  hold: {
    tag: 'locks',
    summary: 'Hold a lock as long as the connection is open',
    details:
      'Acquires, renews while the caller stays connected, and releases when it goes. The answer is a stream of JSON lines, each a HoldEvent. An error before the first line is an ordinary error answer; later it is the event lost, which ends the stream. A closed stream means that the lock is lost.',
    request: { component: 'HoldRequest', example: EXAMPLES.acquire },
    answer: {
      description: 'One JSON object a line.',
      component: 'HoldEvent',
      contentType: 'application/x-ndjson',
      example: EXAMPLES.granted,
    },
    codes: ACQUIRE,
  },
  forceRelease: {
    tag: 'locks',
    summary: 'End every hold of a lock against the will of its holders',
    details:
      'For administrators: needs the right forcerelease. The fencing token moves on, the losers are told why, and the audit names the caller.',
    request: { component: 'ForceReleaseRequest', example: EXAMPLES.forceRelease },
    answer: { description: 'How many holds were ended.', component: 'ForceReleased', example: EXAMPLES.forceReleased },
    codes: WRITE,
  },
  held: {
    tag: 'locks',
    summary: 'Whether a hold is alive',
    details: 'For probes: 200 while it is, 409 NOT_HELD when it is not.',
    query: [
      {
        name: 'fencingToken',
        required: true,
        description: 'Fencing token of the hold, as the grant gave it.',
        schema: { type: 'string', pattern: '^[1-9][0-9]{0,15}$' },
      },
      NAMESPACE,
    ],
    answer: { description: 'It is alive.', component: 'Held', example: EXAMPLES.held },
    codes: [...READ, 'NOT_HELD'],
  },
  inspect: {
    tag: 'locks',
    summary: 'Look at a lock',
    details: 'Who holds it and who waits, for people and dashboards. A fencing token read here opens nothing.',
    query: [NAMESPACE],
    answer: { description: 'The lock as it stands.', component: 'LockRecord', example: EXAMPLES.record },
    codes: READ,
  },
  list: {
    tag: 'locks',
    summary: 'List locks',
    details:
      'In the order of their ids. A page with `continue` has more after it: send that text as the query parameter of the same name.',
    query: [
      {
        name: 'prefix',
        required: false,
        description: 'Only ids that begin with this.',
        schema: { type: 'string', maxLength: 264 },
      },
      {
        name: 'limit',
        required: false,
        description: 'Locks on one page.',
        schema: { type: 'integer', minimum: 1, maximum: LIMITS.listLimitMax, default: LIMITS.listLimitDefault },
      },
      {
        name: 'continue',
        required: false,
        description: 'Text of the previous page.',
        schema: { type: 'string', minLength: 1, maxLength: 1024 },
      },
      NAMESPACE,
    ],
    answer: { description: 'One page.', component: 'LockList', example: { items: [EXAMPLES.record] } },
    codes: READ,
  },
  acquireAll: {
    tag: 'locks',
    summary: 'Acquire several locks, all or none',
    details:
      'They are taken in one order that is the same for everybody, so two such calls never deadlock. One fencing token for each lock.',
    request: { component: 'AcquireAllRequest', example: EXAMPLES.acquireAll },
    answer: {
      description: 'All granted.',
      component: 'Holds',
      example: { holds: [EXAMPLES.hold], validForMs: EXAMPLES.hold.validForMs },
    },
    codes: ACQUIRE,
  },
  releaseAll: {
    tag: 'locks',
    summary: 'Release several holds',
    details: 'Each is released on its own; `released` is false for one that was not held any more.',
    request: { component: 'ReleaseAllRequest', example: EXAMPLES.releaseAll },
    answer: { description: 'What became of each.', component: 'ReleasedAll', example: EXAMPLES.releasedAll },
    codes: WRITE,
  },
  healthz: {
    tag: 'operation',
    summary: 'Whether the process runs',
    answer: { description: 'It does.', component: 'Status', example: { status: 'ok' } },
    codes: ['INVALID_ARGUMENT', 'PERMISSION_DENIED'],
  },
  readyz: {
    tag: 'operation',
    summary: 'Whether requests can be served now',
    answer: { description: 'They can.', component: 'Status', example: { status: 'ready' } },
    codes: ['INVALID_ARGUMENT', 'PERMISSION_DENIED', 'UNAVAILABLE'],
  },
  metrics: {
    tag: 'operation',
    summary: 'Metrics for Prometheus',
    answer: {
      description: 'Text exposition format.',
      contentType: 'text/plain',
      example: '# TYPE lockkeeper_requests_total counter\n',
    },
    codes: EVERY,
  },
  openapi: {
    tag: 'operation',
    summary: 'This document',
    answer: { description: 'OpenAPI 3.1.', contentType: 'application/json', example: '{"openapi":"3.1.0"}' },
    codes: EVERY,
  },
};
