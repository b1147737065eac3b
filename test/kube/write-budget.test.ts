/**
 * Goal: what locks cost the API server is what the documents say: a durable grant one Lease write, a renewal none, a held lock none
 * while nothing happens, no Event for what is routine, status writes within their budget. Method: `npm start` on a real API server,
 * counted by its audit log.
 */
import { beforeAll, expect, test } from '@jest/globals';
import { DevProcess } from '../support/dev-process.ts';
import type { AuditEntry } from './control-plane/audit-log.ts';
import { describeOnOwnControlPlane } from './own-control-plane.ts';
import { freshNamespace, sharedControlPlane } from './support.ts';

const controlPlane = sharedControlPlane();
const LOCKS = 200;
const GRANTS_PER_LOCK = 5;
/** Of one replica: at most so many status writes in a second, and as many more at once after a pause. */
const STATUS_WRITES_PER_SECOND = 50;

beforeAll(async () => {
  await controlPlane.applyCustomResourceDefinitions();
});

/** Runs `work` for each index below `count`, 16 at once. */
async function eachAtOnce(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

describeOnOwnControlPlane('by the audit log', () => {
  test('1,000 durable grants are 1,000 Lease writes, renewals and idle holds none; no Event; status within budget', async () => {
    const { name: namespace } = await freshNamespace();
    await using server = await DevProcess.start(['--kubeconfig', controlPlane.kubeconfigPath]);
    const writes = async (resource: string): Promise<readonly AuditEntry[]> => {
      await controlPlane.auditLog.settled({ resource, namespace });
      return controlPlane.auditLog.writes({ resource, namespace });
    };
    const leaseWrites = async () => (await writes('leases')).length;
    const startMs = performance.now();

    // A queue for each lock: every release hands it to the next in line, and the release and the grant are one write.
    const tokens: string[] = [];
    await eachAtOnce(LOCKS, async (lock) => {
      const request = { ttlMs: 600_000, timeoutMs: 60_000, namespace };
      const waiting = Array.from({ length: GRANTS_PER_LOCK }, (_, caller) =>
        server.post(`/v1/locks/lock-${lock}:acquire`, { ...request, ownerId: `caller-${caller}` }),
      );
      const left = new Map(waiting.map((each, caller) => [caller, each.then((answer) => ({ caller, answer }))]));
      // All but the one that is granted at once stand in line before the first release.
      while ((await server.get(`/v1/locks/lock-${lock}?namespace=${namespace}`)).body['waiterCount'] !== left.size - 1);
      while (left.size > 0) {
        const { caller, answer } = await Promise.race(left.values());
        expect(answer.status).toBe(200);
        left.delete(caller);
        const { fencingToken, ownerId } = answer.body;
        if (left.size === 0) tokens[lock] = fencingToken;
        else await server.post(`/v1/locks/lock-${lock}:release`, { fencingToken, ownerId, namespace });
      }
    });
    expect(await server.metric('lockkeeper_grants_total')).toBe(LOCKS * GRANTS_PER_LOCK);
    expect(await leaseWrites()).toBe(LOCKS * GRANTS_PER_LOCK);

    const owners = new Map<number, string>();
    await eachAtOnce(LOCKS, async (lock) => {
      const record = await server.get(`/v1/locks/lock-${lock}?namespace=${namespace}`);
      owners.set(lock, record.body['ownerId']);
      const renewal = { fencingToken: tokens[lock], ownerId: owners.get(lock), namespace };
      expect((await server.post(`/v1/locks/lock-${lock}:renew`, renewal)).status).toBe(200);
    });
    // Held and idle, while the process renews its own Lease three times.
    const isRenewal = ({ verb, stage, objectRef }: AuditEntry) =>
      verb === 'update' &&
      stage === 'ResponseComplete' &&
      objectRef?.name?.startsWith('lockkeeper-member-dev') === true;
    const renewals = () => controlPlane.auditLog.entries({ resource: 'leases' }).filter(isRenewal).length;
    const before = renewals();
    while (renewals() < before + 3) await server.get('/healthz');
    expect(await leaseWrites()).toBe(LOCKS * GRANTS_PER_LOCK);

    const seconds = (performance.now() - startMs) / 1_000;
    const statusWrites = (await writes('distributedlocks')).filter(
      ({ objectRef }) => objectRef?.subresource === 'status',
    );
    expect(statusWrites.length).toBeGreaterThanOrEqual(LOCKS);
    expect(statusWrites.length).toBeLessThanOrEqual(STATUS_WRITES_PER_SECOND * (seconds + 1));
    expect(await writes('events')).toEqual([]);
  }, 400_000);
});
