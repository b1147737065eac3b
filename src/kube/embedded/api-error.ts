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
  readonly causes?: readonly Cause[] | undefined;
}

/** A refusal with what an API server says about it: `reason` and `details` of its Status. */
export class ApiError extends StoreError {
  readonly code: number;
  readonly reason: string;
  readonly details: ApiErrorDetails;

  constructor(code: number, reason: string, message: string, details: ApiErrorDetails = {}) {
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

export function alreadyExists(type: ResourceType, name: string): ApiError {
  return new ApiError(409, 'AlreadyExists', `${qualifiedPlural(type)} "${name}" already exists`, {
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

export function invalid(type: ResourceType, name: string, causes: readonly Cause[]): ApiError {
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

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}
