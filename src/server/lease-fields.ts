import { crc32 } from 'node:zlib';
import type { z } from 'zod';
import { type Lease, type StoredLease, formatMicroTime } from '../kube/lease.ts';

/** The fields of our Leases: their names, and how each is written, read and checked. `lease-codec.ts` makes records of them. */
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
export const MANAGED_BY = 'lockkeeper';
/** Labels and annotations with this prefix are ours: one that we do not know is gone after our next write. */
const OWN_PREFIX = 'lockkeeper.dev/';
export const LOCK_LABEL = 'lockkeeper.dev/lock';
export const SHARD_LABEL = 'lockkeeper.dev/shard';
export const SHARDS_LABEL = 'lockkeeper.dev/shards';

export const COUNTER_ANNOTATION = 'lockkeeper.dev/fencing-counter';
export const FENCE_FLOOR_ANNOTATION = 'lockkeeper.dev/fence-floor';
export const HOLDERS_ANNOTATION = 'lockkeeper.dev/holders';
export const LOCK_DELAY_ANNOTATION = 'lockkeeper.dev/lock-delay-seconds';
export const ATTEMPT_ANNOTATION = 'lockkeeper.dev/attempt';
export const GRACE_ANNOTATION = 'lockkeeper.dev/grace-seconds';
export const SLOTS_ANNOTATION = 'lockkeeper.dev/slots';
export const SLOTS_OVERFLOW_ANNOTATION = 'lockkeeper.dev/slots-overflow';
export const REVOCATIONS_ANNOTATION = 'lockkeeper.dev/revocations';
export const SHARD_COUNT_ANNOTATION = 'lockkeeper.dev/shard-count';
export const SHARD_HASH_ANNOTATION = 'lockkeeper.dev/shard-hash';
/** CRC-32 in hexadecimal over all of the above that the Lease has, its identity and, on a shard Lease, owner and epoch. */
export const CHECKSUM_ANNOTATION = 'lockkeeper.dev/checksum';

/** An attempt id begins with the name of an incarnation, and that with a pod's name of up to 253 characters. */
const ATTEMPT_LENGTH_MAX = 400;

/** What the next write of a Lease takes over from the last state: everything that is not in the record. */
export interface LeaseCarry {
  readonly uid: string | undefined;
  readonly holderIdentity: string | undefined;
  readonly acquireTime: string | undefined;
  readonly leaseTransitions: number;
  /** Labels and annotations of others. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** How to write a record on a Lease. */
export interface LeaseWrite {
  /** Time for people, on the Lease's `renewTime`. */
  readonly wallMs: number;
  /** The version to replace; `undefined` to create. */
  readonly resourceVersion: string | undefined;
  /** From the Lease as last read or written; `undefined` if there was none. */
  readonly carry: LeaseCarry | undefined;
}

/**
 * - `missing`, `malformed`, `outOfBounds`: the field itself is wrong.
 * - `inconsistent`: fields contradict each other. `checksum`: each looks right, but not all are as they were written.
 */
export type LeaseProblemCode = 'missing' | 'malformed' | 'outOfBounds' | 'inconsistent' | 'checksum';

export interface LeaseProblem {
  readonly code: LeaseProblemCode;
  /** `namespace/name` of the Lease. */
  readonly lease: string;
  /** The annotation, label or spec field. */
  readonly field: string;
  /** For people; says what to do next. */
  readonly message: string;
}

/** `foreign`: a Lease of somebody else, which must never be written. `damaged`: ours, but it cannot be trusted. */
export type Undecodable =
  | { readonly kind: 'foreign'; readonly lease: string }
  | { readonly kind: 'damaged'; readonly problem: LeaseProblem; readonly version: string };

/** What the next write needs of a Lease as the store returned it. */
export function carryOf(lease: Lease): LeaseCarry {
  const { uid, labels, annotations } = lease.metadata;
  const { holderIdentity, acquireTime, leaseTransitions } = lease.spec;
  return {
    uid,
    holderIdentity: holderIdentity === '' ? undefined : holderIdentity,
    acquireTime,
    leaseTransitions: leaseTransitions ?? 0,
    labels: foreignEntries(labels),
    annotations: foreignEntries(annotations),
  };
}

const NOTHING: Readonly<Record<string, string>> = Object.freeze({});

function foreignEntries(map: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  const entries = Object.entries(map ?? NOTHING).filter(
    ([key]) => key !== MANAGED_BY_LABEL && !key.startsWith(OWN_PREFIX),
  );
  return entries.length === 0 ? NOTHING : Object.fromEntries(entries);
}

/** Why a record cannot be, and the field on which it would stand. */
export interface RecordProblem {
  readonly field: string;
  readonly reason: string;
}

const PRINTABLE = /^[\x21-\x7e]+$/;

export function wrong(field: string, reason: string): RecordProblem {
  return { field, reason };
}

export function attemptProblem(attempt: string): RecordProblem | undefined {
  if (isName(attempt, ATTEMPT_LENGTH_MAX)) return undefined;
  return wrong(ATTEMPT_ANNOTATION, `the attempt id is not printable ASCII of 1 to ${ATTEMPT_LENGTH_MAX} characters`);
}

/** Whether a value is printable ASCII without spaces, of 1 to `lengthMax` characters. */
export function isName(value: string, lengthMax: number): boolean {
  return value.length <= lengthMax && PRINTABLE.test(value);
}

export function isIntegerWithin(value: number, minimum: number, maximum: number): boolean {
  return Number.isInteger(value) && value >= minimum && value <= maximum;
}

/** Rounded up: a promise is never recorded shorter than it was made. */
export function wholeSeconds(durationMs: number): number {
  return Math.ceil(durationMs / 1000);
}

export type LeaseIdentity = Pick<Lease['metadata'], 'namespace' | 'name'>;
type OwnSpec = Pick<Lease['spec'], 'holderIdentity' | 'leaseTransitions' | 'leaseDurationSeconds'>;

/** What a codec puts on a Lease. */
export interface LeaseContent {
  /** The label that makes the Lease ours. */
  readonly label: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: OwnSpec;
  /** Values outside the annotations that the checksum covers as well. */
  readonly sealed: readonly string[];
}

/** The Lease to write: ours on top of what others put there. */
export function leaseOf(identity: LeaseIdentity, content: LeaseContent, write: LeaseWrite): Lease {
  const { label, annotations, spec, sealed } = content;
  const { carry, resourceVersion, wallMs } = write;
  const now = formatMicroTime(wallMs);
  const acquired = spec.holderIdentity !== undefined && spec.holderIdentity !== carry?.holderIdentity;
  return {
    metadata: {
      ...identity,
      labels: { ...carry?.labels, [MANAGED_BY_LABEL]: MANAGED_BY, ...label },
      annotations: {
        ...carry?.annotations,
        ...annotations,
        [CHECKSUM_ANNOTATION]: checksumOf(identity, annotations, sealed),
      },
      // The uid keeps an update of a Lease that is gone from creating another one.
      ...(resourceVersion === undefined ? {} : { resourceVersion, uid: carry?.uid }),
    },
    spec: { ...spec, acquireTime: acquired ? now : carry?.acquireTime, renewTime: now },
  };
}

function checksumOf(
  { namespace, name }: LeaseIdentity,
  annotations: Readonly<Record<string, string>>,
  sealed: readonly string[],
): string {
  const lines = Object.entries(annotations).map(([key, value]) => `${key}=${value}`);
  const crc = crc32([`${namespace}/${name}`, ...sealed, ...lines.toSorted()].join('\n'));
  return crc.toString(16).padStart(8, '0');
}

/** Throws a fault unless the named annotations and `sealed` are as they were written together. */
export function assertChecksum(lease: StoredLease, names: readonly string[], sealed: readonly string[] = []): void {
  const covered = Object.fromEntries(names.map((name) => [name, text(lease, name)]));
  if (text(lease, CHECKSUM_ANNOTATION) === checksumOf(lease.metadata, covered, sealed)) return;
  throw fault('checksum', CHECKSUM_ANNOTATION, 'it does not match the rest of the Lease, which was edited or damaged');
}

/** A fault in one field; `decoding` catches it. */
class LeaseFault extends Error {
  readonly code: LeaseProblemCode;
  readonly field: string;

  constructor(code: LeaseProblemCode, field: string, message: string) {
    super(message);
    this.code = code;
    this.field = field;
  }
}

export function fault(code: LeaseProblemCode, field: string, message: string): LeaseFault {
  return new LeaseFault(code, field, message);
}

/** What a person can do about a damaged Lease. */
export type Advice = (lease: StoredLease) => string;

/** Runs a decoder and turns its first fault into a `damaged` result. */
export function decoding<Decoded>(lease: StoredLease, advice: Advice, decode: () => Decoded): Decoded | Undecodable {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof LeaseFault)) throw error;
    const { code, field } = error;
    const { namespace, name, resourceVersion } = lease.metadata;
    const message = `${field} of the Lease ${namespace}/${name} cannot be trusted: ${error.message}. ${advice(lease)}`;
    return {
      kind: 'damaged',
      problem: { code, lease: `${namespace}/${name}`, field, message },
      version: resourceVersion,
    };
  }
}

export function foreign({ metadata }: StoredLease): Undecodable {
  return { kind: 'foreign', lease: `${metadata.namespace}/${metadata.name}` };
}

/** An annotation that must be there. */
export function text(lease: StoredLease, name: string): string {
  const value = lease.metadata.annotations?.[name];
  if (value === undefined) throw fault('missing', name, 'it is not there');
  return value;
}

/** An annotation that must be a decimal number within bounds. */
export function integer(lease: StoredLease, name: string, minimum: number, maximum: number): number {
  return decimal(name, text(lease, name), minimum, maximum);
}

const DECIMAL = /^(?:0|[1-9]\d{0,15})$/;

export function decimal(name: string, value: string, minimum: number, maximum: number): number {
  if (!DECIMAL.test(value)) throw fault('malformed', name, `"${value.slice(0, 40)}" is no decimal number`);
  const number = Number(value);
  if (number < minimum || number > maximum)
    throw fault('outOfBounds', name, `${value} is not between ${minimum} and ${maximum}`);
  return number;
}

export function flag(lease: StoredLease, name: string): boolean {
  const value = text(lease, name);
  if (value !== 'true' && value !== 'false')
    throw fault('malformed', name, `"${value.slice(0, 40)}" is neither true nor false`);
  return value === 'true';
}

/** An annotation that must be JSON of this schema. */
export function json<Schema extends z.ZodType>(lease: StoredLease, name: string, schema: Schema): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text(lease, name));
  } catch (error) {
    if (error instanceof LeaseFault) throw error;
    throw fault('malformed', name, 'it is no JSON');
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const outOfBounds = (issue?.code === 'too_big' || issue?.code === 'too_small') && issue.origin !== 'array';
  const where = issue?.path.join('.') || 'its top';
  throw fault(outOfBounds ? 'outOfBounds' : 'malformed', name, `at ${where}: ${issue?.message ?? 'invalid'}`);
}
