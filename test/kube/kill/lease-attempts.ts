/** Writes of lock Leases as they passed between the operator and the API server, and as the audit log has them. */
import { z } from 'zod';
import { MODES } from '../../../src/api/vocabulary.ts';
import {
  ATTEMPT_ANNOTATION,
  COUNTER_ANNOTATION,
  HOLDERS_ANNOTATION,
  LOCK_LABEL,
} from '../../../src/server/lease-fields.ts';
import type { AuditEntry } from '../control-plane/audit-log.ts';

const holder = z.object({ ownerId: z.string(), mode: z.enum(MODES), token: z.coerce.number() });
export type RecordedHolder = z.output<typeof holder>;

/** What a write says of a lock. */
export interface WrittenRecord {
  readonly lock: string;
  readonly attemptId: string;
  readonly counter: number;
  readonly holders: readonly RecordedHolder[];
}

/** One write, by the clock of this process. */
export interface Attempt extends WrittenRecord {
  readonly arrivedMs: number;
  /** When it was passed on to the API server; undefined if it never was. */
  readonly forwardedMs: number | undefined;
  /** When the API server's answer came; undefined if none did. */
  readonly answeredMs: number | undefined;
  readonly status: number | undefined;
  /** The resourceVersion that it made; undefined unless it landed. */
  readonly version: number | undefined;
}

/** Reads the body of a write; undefined if it is no lock's Lease. */
export function recordOf(lease: unknown): WrittenRecord | undefined {
  const { metadata } = lease as { metadata?: { labels?: Labels; annotations?: Labels } };
  const lock = metadata?.labels?.[LOCK_LABEL];
  const annotations = metadata?.annotations ?? {};
  const holders = annotations[HOLDERS_ANNOTATION];
  if (lock === undefined || holders === undefined) return undefined;
  return {
    lock,
    attemptId: annotations[ATTEMPT_ANNOTATION] ?? '',
    counter: Number(annotations[COUNTER_ANNOTATION]),
    holders: z.array(holder).parse(JSON.parse(holders)),
  };
}

type Labels = Readonly<Record<string, string>>;

export function landed({ status }: Pick<Attempt, 'status'>): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

/** One write in the audit log: what the API server itself says that it got and did. */
export interface AuditedWrite extends WrittenRecord {
  readonly status: number;
}

/** The answered creations and updates of lock Leases. */
export function auditedWrites(entries: readonly AuditEntry[]): AuditedWrite[] {
  const writes: AuditedWrite[] = [];
  for (const { stage, verb, objectRef, requestObject, responseStatus } of entries) {
    if (stage !== 'ResponseComplete' || objectRef?.resource !== 'leases') continue;
    if ((verb !== 'create' && verb !== 'update') || requestObject === undefined) continue;
    const record = recordOf(requestObject);
    if (record !== undefined) writes.push({ ...record, status: responseStatus?.code ?? 0 });
  }
  return writes;
}
