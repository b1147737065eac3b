import { StoreError, type StoreOutcome } from '../lease-store.ts';
import type { ResourceType } from '../kube-object.ts';

/** One wrong field, as `details.causes` of a Status tells it. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

export interface ApiErrorDetails {
  readonly name?: string | undefined;
  readonly group?: string | undefined;
  readonly kind?: string | undefined;
  readonly uid?: string | undefined;
  readonly causes?: readonly (Omit<Cause, 'field'> & Partial<Cause>)[] | undefined;
}

/** A cause as most rules tell it. */
export function invalidCause(field: string, value: unknown, why: string): Cause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${JSON.stringify(value)}: ${why}` };
}

/** A refusal with what an API server says about it: `reason` and `details` of its Status. */
export class ApiError extends StoreError {
  readonly code: number;
  readonly reason: string;
  /** `undefined` for none, which is not the same to a client as empty ones. */
  readonly details: ApiErrorDetails | undefined;

  constructor(code: number, reason: string, message: string, details?: ApiErrorDetails) {
    super(outcomeOf(code), message, { httpStatus: code, retryable: code === 429 });
    this.code = code;
    this.reason = reason;
    this.details = details;
  }
}

function outcomeOf(code: number): StoreOutcome {
  if (code === 409) return 'conflict';
  return code === 404 ? 'notFound' : 'rejected';
}

export function qualifiedPlural({ group, plural }: ResourceType): string {
  return group === '' ? plural : `${plural}.${group}`;
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function notFound(type: ResourceType, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${qualifiedPlural(type)} "${name}" not found`, {
    name,
    group: type.group,
    kind: type.plural,
  });
}

export function alreadyExists(type: ResourceType, name: string, isBeingDeleted = false): ApiError {
  const message = `${isBeingDeleted ? 'object is being deleted: ' : ''}${qualifiedPlural(type)} "${name}" already exists`;
  return new ApiError(409, 'AlreadyExists', message, {
    name,
    group: type.group,
    kind: type.plural,
  });
}

export function conflict(
  type: ResourceType,
  name: string,
  why = 'the object has been modified; please apply your changes to the latest version and try again',
): ApiError {
  const message = `Operation cannot be fulfilled on ${qualifiedPlural(type)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, { name, group: type.group, kind: type.plural });
}

/** Of the kind of an object, or of the options of a request. */
export function invalid(type: Pick<ResourceType, 'group' | 'kind'>, name: string, causes: readonly Cause[]): ApiError {
  const told = causes.map(({ field, message }) => `${field}: ${message}`);
  const subject = type.group === '' ? type.kind : `${type.kind}.${type.group}`;
  const text = told.length === 1 ? told[0] : `[${told.join(', ')}]`;
  return new ApiError(422, 'Invalid', `${subject} "${name}" is invalid: ${text}`, {
    name,
    group: type.group,
    kind: type.kind,
    causes,
  });
}

/** What an API server says where the path or the patch is all that it knows. */
export function generic(code: number, reason: string, message: string): ApiError {
  return new ApiError(code, reason, message, {});
}

export function tooLargeVersion(version: string, newest: string): ApiError {
  return new ApiError(504, 'Timeout', `Timeout: Too large resource version: ${version}, current: ${newest}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
  });
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}
