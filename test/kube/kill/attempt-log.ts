/** Writes of lock Leases as the fault proxy saw them pass, in the order in which the operator sent them. */
import type { AuditEntry } from '../control-plane/audit-log.ts';
import type { ProxyRequest } from '../fault-proxy/faults.ts';
import type { RequestObserver } from '../fault-proxy/exchange.ts';
import { type Attempt, type RecordedHolder, recordOf } from './lease-attempts.ts';

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

export interface SeenWrite extends Attempt {
  /** Holders that no earlier write named: the grants that it is for. */
  readonly granted: readonly RecordedHolder[];
}

export class AttemptLog {
  readonly #writes: Mutable<SeenWrite>[] = [];
  readonly #byBody = new WeakMap<object, SeenWrite>();
  readonly #seen = new Set<string>();

  /** To be told of every request. */
  readonly observe = ({ method, body }: ProxyRequest): RequestObserver | undefined => {
    const record = (method === 'PUT' || method === 'POST') && body ? recordOf(body) : undefined;
    if (record === undefined) return undefined;
    const granted = record.holders.filter(({ token }) => !this.#seen.has(`${record.lock}#${token}`));
    for (const { token } of granted) this.#seen.add(`${record.lock}#${token}`);
    const unanswered = { forwardedMs: undefined, answeredMs: undefined, status: undefined, version: undefined };
    const write: Mutable<SeenWrite> = { ...record, granted, arrivedMs: performance.now(), ...unanswered };
    this.#writes.push(write);
    this.#byBody.set(body, write);
    return {
      forwarded: () => {
        write.forwardedMs = performance.now();
      },
      answered: (status) => {
        write.answeredMs = performance.now();
        write.status = status;
      },
    };
  };

  /** The write that a request is; undefined if it is none of a lock's Lease. */
  of(request: ProxyRequest): SeenWrite | undefined {
    return request.body && this.#byBody.get(request.body);
  }

  /**
   * All writes, those that landed with the versions that the audit log says they made. An answer that was lost on its way to
   * the proxy is taken from there too; it landed after it was passed on.
   */
  withVersions(entries: readonly AuditEntry[]): Attempt[] {
    const versions = new Map<string, number>();
    for (const { stage, requestObject, responseObject, responseStatus } of entries) {
      if (stage !== 'ResponseComplete' || requestObject === undefined || (responseStatus?.code ?? 0) >= 300) continue;
      const record = recordOf(requestObject);
      if (record !== undefined) versions.set(record.attemptId, Number(responseObject?.metadata?.resourceVersion));
    }
    return this.#writes.map((write) => {
      const version = versions.get(write.attemptId);
      if (version === undefined || write.status !== undefined) return { ...write, version };
      return { ...write, version, status: 200, answeredMs: write.forwardedMs };
    });
  }
}
