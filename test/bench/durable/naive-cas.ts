/**
 * The peer: what people do without a lock server. N clients fight over one Lease: get it; if nobody holds it, write oneself in
 * by PUT with the resourceVersion; on a conflict, or while somebody else holds it, wait as client-go's
 * `retry.DefaultRetry` does (10 ms with 10 % jitter) and begin again. Leader election in client-go waits 2 s instead.
 */
import { Pool } from 'undici';
import type { Access } from '../../kube/control-plane/http.ts';

const RETRY_MS = 10;
const JITTER = 0.1;

export interface Contest {
  readonly winsPerSecond: number;
  /** From the send of a release to the receipt of the next win. */
  readonly gapsMs: readonly number[];
  /** Share of the PUTs that were refused with 409. */
  readonly conflictShare: number;
}

export async function naiveCas(
  access: Access,
  namespace: string,
  clients: number,
  durationMs: number,
): Promise<Contest> {
  const pool = new Pool(access.server, {
    connections: clients,
    pipelining: 1,
    connect: { ca: access.authority, cert: access.certificate as string, key: access.key as string },
  });
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  const name = `naive-${clients}`;
  const metadata = { namespace, name };
  await call('POST', collection, { metadata, spec: {} });
  const gapsMs: number[] = [];
  let [wins, conflicts, puts, releasedMs] = [0, 0, 0, Number.NaN];
  const startedMs = performance.now();
  const isOver = () => performance.now() - startedMs >= durationMs;

  async function call(method: 'GET' | 'PUT' | 'POST', path: string, body?: object): Promise<Answer> {
    const lease = body && { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', ...body };
    const { statusCode, body: answer } = await pool.request({
      method,
      path,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: lease === undefined ? null : JSON.stringify(lease),
    });
    return { status: statusCode, lease: (await answer.json()) as StoredLease };
  }

  async function compete(client: number): Promise<void> {
    while (!isOver()) {
      const { lease } = await call('GET', `${collection}/${name}`);
      if ((lease.spec.holderIdentity ?? '') === '') {
        puts += 1;
        const spec = { holderIdentity: `client-${client}`, leaseDurationSeconds: 15 };
        const won = await call('PUT', `${collection}/${name}`, { metadata: lease.metadata, spec });
        if (won.status === 200) {
          if (!Number.isNaN(releasedMs)) gapsMs.push(performance.now() - releasedMs);
          wins += 1;
          releasedMs = performance.now();
          await call('PUT', `${collection}/${name}`, { metadata: won.lease.metadata, spec: {} });
        } else conflicts += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS * (1 + Math.random() * JITTER)));
    }
  }

  await Promise.all(Array.from({ length: clients }, (_, client) => compete(client)));
  const winsPerSecond = (wins / (performance.now() - startedMs)) * 1_000;
  await pool.destroy();
  return { winsPerSecond, gapsMs, conflictShare: puts === 0 ? 0 : conflicts / puts };
}

interface StoredLease {
  readonly metadata: object;
  readonly spec: { readonly holderIdentity?: string };
}

interface Answer {
  readonly status: number;
  readonly lease: StoredLease;
}
