import type {
  AcquireAllRequest,
  AcquireRequest,
  ForceReleaseRequest,
  ReleaseAllRequest,
  ReleaseRequest,
  RenewRequest,
} from '../../api/requests.ts';
import type { ForceReleased, Held, Hold, HoldEvent, LockRecord, Released } from '../../api/responses.ts';

const acquire: AcquireRequest = {
  ttlMs: 15_000,
  timeoutMs: 30_000,
  metadata: { job: 'invoice-42' },
  requestId: '5f0c2e0a',
};
const renew: RenewRequest = { fencingToken: '1785000000123' };
const release: ReleaseRequest = { fencingToken: '1785000000123' };
const forceRelease: ForceReleaseRequest = { reason: 'node lost, ticket 4711' };
const acquireAll: AcquireAllRequest = { ids: ['payments/order-42', 'payments/order-43'], timeoutMs: 5_000 };
const releaseAll: ReleaseAllRequest = { holds: [{ lockId: 'payments/order-42', fencingToken: '1785000000123' }] };

const hold: Hold = {
  lockId: 'payments/order-42',
  namespace: 'shop',
  ownerId: '0b7a5f5e-6a37-4d0e-9d0f-0f1f2f3f4f5f',
  mode: 'exclusive',
  fencingToken: '1785000000123',
  depth: 1,
  ttlMs: 15_000,
  validForMs: 14_650,
  expiresAt: '2026-11-24T20:00:15.000Z',
  renewAfterMs: 5_000,
  metadata: { job: 'invoice-42' },
};
const granted: HoldEvent = { event: 'granted', hold };
const released: Released = { released: true, depth: 0 };
const forceReleased: ForceReleased = { released: 1 };
const held: Held = { held: true, validForMs: 9_200 };
const releasedAll = { holds: [{ lockId: 'payments/order-42', released: true }] };

const record: LockRecord = {
  lockId: 'payments/order-42',
  namespace: 'shop',
  held: true,
  ownerId: hold.ownerId,
  fencingToken: hold.fencingToken,
  expiresAt: hold.expiresAt,
  metadata: hold.metadata,
  holders: [
    {
      ownerId: hold.ownerId,
      principal: 'shop/worker-0',
      mode: 'exclusive',
      fencingToken: hold.fencingToken,
      depth: 1,
      heldSince: '2026-11-24T20:00:00.000Z',
      expiresAt: hold.expiresAt,
      overdue: false,
      unclaimed: false,
      metadata: hold.metadata,
    },
  ],
  holderCount: 1,
  waiters: [
    {
      ownerId: 'worker-1',
      principal: 'shop/worker-1',
      mode: 'exclusive',
      priority: 0,
      waitingSince: '2026-11-24T20:00:03.000Z',
    },
  ],
  waiterCount: 1,
  lockDelayRemainingMs: 0,
};

/** Bodies and answers as the OpenAPI document shows them; a test holds them against their schemas. */
export const EXAMPLES = {
  acquire,
  renew,
  release,
  forceRelease,
  acquireAll,
  releaseAll,
  hold,
  granted,
  released,
  forceReleased,
  held,
  releasedAll,
  record,
};
