import type { ErrorCode, ErrorDetails } from './codes.ts';

/**
 * The sentence of every error code, from its details: what happened and what to do next. The engine answers with code and
 * details only, and every transport shows the same words.
 *
 * Total over codes. Every detail is optional and may be of any type: one that is missing or strange is left out of the
 * sentence, it never shows as `undefined` and never throws.
 */
export function messageOf(code: ErrorCode, details: ErrorDetails): string {
  return MESSAGES[code](details);
}

const MESSAGES: Readonly<Record<ErrorCode, (details: ErrorDetails) => string>> = {
  INVALID_ARGUMENT: (details) => {
    const problem = textOf(details['problem'])?.replace(/\.$/, '');
    const field = textOf(details['field']);
    const what =
      problem ?? (field === undefined ? 'something in the request is not valid' : `the field ${field} is not valid`);
    return `${capitalised(what)}. Sent again unchanged it fails again.`;
  },
  UNAUTHENTICATED: () =>
    'The credentials are missing, expired or not accepted. Send a current service account token for the audience lockkeeper.',
  PERMISSION_DENIED: (details) => {
    const verb = textOf(details['verb']);
    const what = verb === undefined ? 'This is not allowed' : `The verb ${verb} is not allowed`;
    return `${what} on ${lockOf(details)}. Ask for a Role that grants it, or use another service account.`;
  },
  LOCK_NOT_FOUND: (details) =>
    `${capitalised(lockOf(details))} ${details['reason'] === 'deleted' ? 'was deleted' : 'does not exist'}. Create a DistributedLock or LockPool of that name there, or correct the name or namespace.`,
  ROUTE_NOT_FOUND: () => 'There is no such route. GET /openapi.json lists what is served.',
  METHOD_NOT_ALLOWED: (details) => {
    const allowed = textsOf(details['allowed']);
    return `This path does not serve that method. ${allowed.length === 0 ? 'The Allow header names' : `Use ${allowed.join(' or ')}; the Allow header names`} what it serves.`;
  },
  NOT_HELD: (details) => {
    const token = textOf(details['fencingToken']);
    const under = token === undefined ? '' : ` under fencing token ${token}`;
    return `${capitalised(lockOf(details))} is not held${under}${endOf(details['reason'])}. Stop using what it protects, then acquire it again.`;
  },
  DEADLOCK: (details) => {
    if (details['reason'] === 'upgrade') {
      return `The owner holds ${lockOf(details)} shared and would wait for itself to get it exclusive. Release the shared hold first, or acquire exclusive from the start.`;
    }
    return `Waiting for ${lockOf(details)} would never end: ${cycleOf(details['cycle'])}. Release what you hold, then acquire in one order everywhere.`;
  },
  STALE_TOKEN: (details) => {
    const token = textOf(details['fencingToken']);
    const current = textOf(details['currentToken']);
    const which = token === undefined ? 'The fencing token' : `Fencing token ${token}`;
    const older = current === undefined ? 'is out of date' : `is older than ${current}`;
    return `${which} ${older}: somebody else has held ${lockOf(details)} since. Stop, and acquire again before writing.`;
  },
  PAYLOAD_TOO_LARGE: (details) =>
    `The request is larger than ${limitOf(details, 'is allowed')}. Send fewer locks or less metadata in one request.`,
  UNSUPPORTED_MEDIA_TYPE: () =>
    "The body is not JSON. Send it with the header content-type: application/json; with curl add -H 'content-type: application/json'.",
  LOCK_HELD: (details) => {
    const delay = numberOf(details['lockDelayRemainingMs']);
    if (delay !== undefined && details['holderCount'] === 0)
      return `${capitalised(lockOf(details))} lost its last holder without a release, and its lock delay keeps it free for another ${durationOf(delay)}${queueOf(details)}. Try again then, or send timeoutMs to wait in the queue.`;
    return `${capitalised(lockOf(details))} is held${holdersOf(details)}${queueOf(details)}. Try again later, or send timeoutMs to wait in the queue.`;
  },
  ACQUIRE_TIMEOUT: (details) => {
    const waited = numberOf(details['waitedMs']);
    return `${capitalised(lockOf(details))} was not granted within ${waited === undefined ? 'timeoutMs' : durationOf(waited)}${queueOf(details)}. Try again, or wait longer with a larger timeoutMs.`;
  },
  QUEUE_FULL: (details) => {
    const what = textOf(details['what']);
    const limit = limitOf(details, 'all');
    return `The limit of ${limit} ${what ?? 'that may wait'} is reached for ${lockOf(details)}. Try again after the time in Retry-After.`;
  },
  INTERNAL: () =>
    'Something failed inside Lockkeeper; the log of this process has the cause. Try again, and report it if it repeats.',
  UNAVAILABLE: (details) => {
    const wait = numberOf(details['retryAfterMs']);
    return `${unavailableBecause(details['reason'])}. Nothing was changed; try again ${wait === undefined ? 'after a short pause' : `in ${durationOf(wait)}`}.`;
  },
  OUTCOME_UNKNOWN: (details) =>
    `It is not known whether the change of ${lockOf(details)} was recorded. Send the same request again; an acquire with the same requestId is never done twice.`,
};

const UNAVAILABLE_REASONS: Readonly<Record<string, string>> = {
  grace: 'The shard has a new owner, and holders of the earlier one may still reclaim',
  frozen: 'The shard is being handed over to another replica',
  storeRefused: 'The Kubernetes API server refused to record the change',
  recording: 'The session is just being recorded at the new owner of the shard',
  conflict: 'Somebody else changed the lock\u2019s Lease while the grant was being recorded',
  orphaned: 'The containers of this pod were reported terminated, and its holds are being ended',
  stopping: 'This process is shutting down',
  shuttingDown: 'This process is shutting down',
  unclaimed: 'The hold was adopted from the record and its session has not reclaimed it yet',
  noAuthority: 'This replica is not sure to own the shard at the moment',
  ending: 'The hold is just ending, and the end is being recorded',
  revocationsFull: 'This shard remembers as many forced releases as it can',
  implausibleClock: 'The clock of the operator shows an implausible time',
  shardLayout: 'The operator is configured with another number of shards than the cluster has on record',
  undecodableLease: 'A Lease has content that this version cannot read',
  disconnected: 'The connection of the caller has ended',
  restoring: 'The holds of an earlier process are being taken up again',
  grantTooLate: 'The grant came too late to be used, and was given back',
  callerGone: 'The caller closed its connection before the answer',
  connections: 'Too many connections are busy in this process',
  requestTimeout: 'The request did not arrive completely in time',
  notReady: 'This process is not ready',
};

function unavailableBecause(reason: unknown): string {
  const name = textOf(reason);
  if (name === undefined) return 'The lock cannot be served at the moment';
  return Object.hasOwn(UNAVAILABLE_REASONS, name)
    ? `${UNAVAILABLE_REASONS[name]}`
    : `The lock cannot be served at the moment (${name})`;
}

const END_REASON_TEXTS: Readonly<Record<string, string>> = {
  released: 'it was released',
  expired: 'its time to live ran out before a renewal',
  maxHold: 'it reached its longest allowed life (maxHoldMs)',
  forceReleased: 'an administrator released it by force',
  goodbye: 'its session ended',
  orphaned: 'the containers of its pod have terminated',
  disowned: 'the grant was given back because nobody had received it',
  conflict: 'another writer changed the Lease',
  storeRefused: 'the grant could not be recorded',
};

function endOf(reason: unknown): string {
  const name = textOf(reason);
  if (name === undefined) return '';
  return `: ${Object.hasOwn(END_REASON_TEXTS, name) ? END_REASON_TEXTS[name] : name}`;
}

function lockOf(details: ErrorDetails): string {
  const lockId = textOf(details['lockId']);
  const namespace = textOf(details['namespace']);
  if (lockId === undefined) return 'the lock';
  return namespace === undefined ? `lock ${lockId}` : `lock ${lockId} in namespace ${namespace}`;
}

/** Holders named in one sentence; the details have the others. */
const holdersNamedMax = 3;

function holdersOf(details: ErrorDetails): string {
  const named = recordsOf(details['holders'])
    .slice(0, holdersNamedMax)
    .flatMap((holder) => {
      const ownerId = textOf(holder['ownerId']);
      if (ownerId === undefined) return [];
      const heldForMs = numberOf(holder['heldForMs']);
      const mode = holder['mode'] === 'shared' ? ' (shared)' : '';
      return [`${ownerId}${mode}${heldForMs === undefined ? '' : ` for ${durationOf(heldForMs)}`}`];
    });
  if (named.length === 0) return '';
  const others = (numberOf(details['holderCount']) ?? named.length) - named.length;
  return ` by ${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
}

function queueOf(details: ErrorDetails): string {
  const waiters = numberOf(details['waiterCount']);
  if (waiters === undefined || waiters <= 0) return '';
  return `; ${waiters === 1 ? '1 waits' : `${waiters} wait`} in its queue`;
}

function cycleOf(cycle: unknown): string {
  const steps = recordsOf(cycle).flatMap((step) => {
    const ownerId = textOf(step['ownerId']);
    const waitsFor = textOf(step['waitsFor']);
    const heldBy = textOf(step['heldBy']) ?? textsOf(step['heldBy']).join(', ');
    return ownerId === undefined || waitsFor === undefined
      ? []
      : [`${ownerId} waits for ${waitsFor}${heldBy === '' ? '' : ` held by ${heldBy}`}`];
  });
  return steps.length === 0 ? 'owners wait for each other in a circle' : steps.join(', ');
}

function limitOf(details: ErrorDetails, otherwise: string): string {
  const limit = numberOf(details['limit']);
  return limit === undefined ? otherwise : `${limit}${details['field'] === 'body' ? ' bytes' : ''}`;
}

/** Text shown in a sentence is cut here; the details carry it whole. */
const textLengthMax = 300;

function textOf(value: unknown): string | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (typeof value !== 'string' || value === '') return undefined;
  return value.slice(0, textLengthMax);
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.flatMap((item) => textOf(item) ?? []) : [];
}

function recordsOf(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : [];
}

/** `850 ms`, `12 s`, `3 min`, `5 h`: one unit, for people. */
function durationOf(durationMs: number): string {
  const ms = Math.max(0, Math.round(durationMs));
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}

/** A name of a field at the beginning stays as it is written. */
function capitalised(sentence: string): string {
  if (!/^[a-z]+(\s|$)/.test(sentence)) return sentence;
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
