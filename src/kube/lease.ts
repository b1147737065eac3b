/**
 * A Lease of coordination.k8s.io/v1, as the plain value that travels between codecs and stores. Only the fields that
 * Lockkeeper reads or writes are here; an update replaces the whole object, so any other field of a Lease that we own
 * (finalizers, owner references, `spec.strategy`) is gone after our next write.
 */
export interface Lease {
  readonly metadata: LeaseMetadata;
  readonly spec: LeaseSpec;
}

/** Its `kind` among Kubernetes objects. */
export const LEASE_KIND = 'Lease';

export interface LeaseMetadata {
  /** A DNS-1123 label, at most 63 characters. */
  readonly namespace: string;
  /** A DNS-1123 subdomain, at most 253 characters. */
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** Keys and values together hold at most 262,144 bytes. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** The version that an update replaces. Decimal, growing, but only equality is ever relied upon. Absent on a Lease to create. */
  readonly resourceVersion?: string | undefined;
  /** One life of this name: a Lease deleted and created anew has another. Set by the store. */
  readonly uid?: string | undefined;
  /** RFC 3339 with whole seconds. Set by the store. */
  readonly creationTimestamp?: string | undefined;
}

export interface LeaseSpec {
  /** Who holds; absent if nobody. */
  readonly holderIdentity?: string | undefined;
  /** Whole seconds, at least 1. */
  readonly leaseDurationSeconds?: number | undefined;
  /** MicroTime, see `formatMicroTime`: for people and for `client-go`; never compared with a local clock by Lockkeeper. */
  readonly acquireTime?: string | undefined;
  /** MicroTime of the last write. */
  readonly renewTime?: string | undefined;
  /** A signed 32-bit integer, at least 0. */
  readonly leaseTransitions?: number | undefined;
}

/** A Lease as a store returns it: everything that the store sets is there. */
export interface StoredLease extends Lease {
  readonly metadata: StoredLeaseMetadata;
}

export interface StoredLeaseMetadata extends LeaseMetadata {
  readonly resourceVersion: string;
  readonly uid: string;
  readonly creationTimestamp: string;
}

/** `spec.leaseTransitions` and `spec.leaseDurationSeconds` are signed 32-bit integers: an API server refuses a larger one. */
export const LEASE_INTEGER_MAX = 2 ** 31 - 1;

const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(?:Z|[+-]\d\d:\d\d)$/;

/**
 * `2026-01-31T12:00:00.123000Z`: RFC 3339 in UTC with exactly six digits of a second, the only form an API server accepts in
 * a Lease. `wallMs` counts from 1970 and may have a fraction. Throws RangeError outside the years 0 to 9999.
 */
export function formatMicroTime(wallMs: number): string {
  const wholeMs = Math.floor(wallMs);
  const text = new Date(wholeMs).toISOString();
  if (text.length !== 24)
    throw new RangeError(`The wall clock shows a time outside the years 0 to 9999: ${wallMs} ms.`);
  const micros = String(Math.floor((wallMs - wholeMs) * 1000)).padStart(3, '0');
  return `${text.slice(0, -1)}${micros}Z`;
}

/** `2026-01-31T12:00:00Z`: the form of `metadata.creationTimestamp`. */
export function formatTime(wallMs: number): string {
  return `${formatMicroTime(wallMs).slice(0, 19)}Z`;
}

/** Whether a text is a MicroTime that an API server accepts. */
export function isMicroTime(text: string): boolean {
  return MICRO_TIME.test(text) && !Number.isNaN(Date.parse(text));
}

/**
 * A deep-frozen copy with the given stored fields. Labels and annotations are sorted and left out when empty, so that two
 * equal Leases have equal JSON.
 */
export function freezeLease(
  lease: Lease,
  stored: Pick<StoredLeaseMetadata, 'resourceVersion' | 'uid' | 'creationTimestamp'>,
): StoredLease {
  const { namespace, name } = lease.metadata;
  const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = lease.spec;
  return Object.freeze({
    metadata: Object.freeze({
      namespace,
      name,
      ...textMap('labels', lease.metadata.labels),
      ...textMap('annotations', lease.metadata.annotations),
      resourceVersion: stored.resourceVersion,
      uid: stored.uid,
      creationTimestamp: stored.creationTimestamp,
    }),
    spec: Object.freeze({
      ...(holderIdentity === undefined ? {} : { holderIdentity }),
      ...(leaseDurationSeconds === undefined ? {} : { leaseDurationSeconds }),
      ...(acquireTime === undefined ? {} : { acquireTime }),
      ...(renewTime === undefined ? {} : { renewTime }),
      ...(leaseTransitions === undefined ? {} : { leaseTransitions }),
    }),
  });
}

function textMap<Name extends string>(
  name: Name,
  map: Readonly<Record<string, string>> | undefined,
): { [key in Name]?: Readonly<Record<string, string>> } {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return {};
  const sorted = entries.sort(([left], [right]) => (left < right ? -1 : 1));
  return { [name]: Object.freeze(Object.fromEntries(sorted)) } as { [key in Name]?: Readonly<Record<string, string>> };
}

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/;
const QUALIFIED_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Bytes of all annotation keys and values of one object together: the bound of every API server. */
export const ANNOTATION_BYTES_MAX = 262_144;

/**
 * What an API server would refuse in a Lease, as a sentence that names the field; `undefined` if nothing. Fields that the store
 * sets are not looked at.
 */
export function leaseProblem(lease: Lease): string | undefined {
  return metadataProblem(lease.metadata) ?? specProblem(lease.spec);
}

function metadataProblem({ namespace, name, labels = {}, annotations = {} }: LeaseMetadata): string | undefined {
  if (namespace.length > 63 || !DNS_LABEL.test(namespace))
    return `metadata.namespace "${namespace.slice(0, 80)}" is no DNS-1123 label`;
  if (name.length > 253 || !DNS_SUBDOMAIN.test(name))
    return `metadata.name "${name.slice(0, 80)}" is no DNS-1123 subdomain`;
  for (const [key, value] of Object.entries(labels)) {
    if (!isQualifiedName(key)) return `metadata.labels has the invalid key "${key.slice(0, 80)}"`;
    if (value !== '' && (value.length > 63 || !QUALIFIED_NAME.test(value)))
      return `metadata.labels has an invalid value for "${key}"`;
  }
  let annotationBytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    if (!isQualifiedName(key)) return `metadata.annotations has the invalid key "${key.slice(0, 80)}"`;
    annotationBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (annotationBytes > ANNOTATION_BYTES_MAX)
    return `metadata.annotations hold ${annotationBytes} bytes, more than ${ANNOTATION_BYTES_MAX}`;
  return undefined;
}

/** `name` or `prefix/name`, as label and annotation keys are. */
function isQualifiedName(key: string): boolean {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  if (name.length > 63 || !QUALIFIED_NAME.test(name)) return false;
  return slash === -1 || (slash <= 253 && DNS_SUBDOMAIN.test(key.slice(0, slash)));
}

function specProblem({
  leaseDurationSeconds,
  leaseTransitions,
  acquireTime,
  renewTime,
}: LeaseSpec): string | undefined {
  if (leaseDurationSeconds !== undefined && !isInteger32(leaseDurationSeconds, 1))
    return `spec.leaseDurationSeconds must be an integer from 1 to ${LEASE_INTEGER_MAX}`;
  if (leaseTransitions !== undefined && !isInteger32(leaseTransitions, 0))
    return `spec.leaseTransitions must be an integer from 0 to ${LEASE_INTEGER_MAX}`;
  if (acquireTime !== undefined && !isMicroTime(acquireTime))
    return 'spec.acquireTime must be RFC 3339 with six digits of a second';
  if (renewTime !== undefined && !isMicroTime(renewTime))
    return 'spec.renewTime must be RFC 3339 with six digits of a second';
  return undefined;
}

function isInteger32(value: number, minimum: number): boolean {
  return Number.isInteger(value) && value >= minimum && value <= LEASE_INTEGER_MAX;
}
