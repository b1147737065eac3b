import type { FastifySchemaValidationError } from 'fastify';
import { LockkeeperError } from '../../api/codes.ts';

/**
 * Says in a sentence why a body does not fit its schema: which field, what was wrong, what is allowed. Works on the first
 * error of the validator, which stops there.
 */
export function bodyProblemOf(errors: readonly FastifySchemaValidationError[]): LockkeeperError {
  const error: ValidatorError | undefined = errors[0];
  if (error === undefined)
    return new LockkeeperError('INVALID_ARGUMENT', 'The body does not fit its schema. See /openapi.json.', {
      field: 'body',
    });
  const field = fieldOf(error);
  const schema = error.parentSchema ?? {};
  return new LockkeeperError('INVALID_ARGUMENT', sentenceOf(error, field, schema), { field, ...allowedOf(schema) });
}

/** The validator's error with what its `verbose` option adds. */
interface ValidatorError extends FastifySchemaValidationError {
  readonly parentSchema?: Schema;
  readonly data?: unknown;
  readonly propertyName?: string;
}

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

/** Path of the wrong field with dots, `holds.2.fencingToken`; `body` if it is the body itself. */
function fieldOf(error: ValidatorError): string {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const { additionalProperty, missingProperty } = error.params;
  for (const name of [additionalProperty, missingProperty]) if (typeof name === 'string') path.push(name);
  return path.length === 0
    ? 'body'
    : path
        .map((name) => (name === '' ? '""' : name))
        .join('.')
        .slice(0, fieldLengthMax);
}

const fieldLengthMax = 200;

function sentenceOf(error: ValidatorError, field: string, schema: Schema): string {
  const subject = error.propertyName === undefined ? `The field ${field}` : `Each name in the field ${field}`;
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownField(field, String(error.params['additionalProperty']), Object.keys(schema.properties ?? {}));
    case 'required':
      return `The field ${field} is missing. Add it to the body.`;
    case 'type':
      return field === 'body'
        ? `The body must be a JSON object, not ${kindOf(error.data)}.`
        : `The field ${field} must be ${articled(String(error.params['type']))}, not ${kindOf(error.data)}.`;
    case 'enum':
      return `The field ${field} must be one of ${(schema.enum ?? []).map((value) => JSON.stringify(value)).join(', ')}.`;
    case 'minimum':
    case 'maximum':
      return `The field ${field} must be from ${schema.minimum} to ${schema.maximum}, not ${String(error.data)}.`;
    case 'minLength':
    case 'maxLength':
      return `${subject} must have ${schema.minLength ?? 0} to ${schema.maxLength} characters.`;
    case 'minItems':
    case 'maxItems':
      return `The field ${field} must have ${schema.minItems ?? 0} to ${schema.maxItems} entries.`;
    default:
      return `The field ${field} is not valid. ${schema.description ?? 'See /openapi.json for its form.'}`;
  }
}

function unknownField(field: string, name: string, known: readonly string[]): string {
  const close = known.find((candidate) => isNear(candidate.toLowerCase(), name.toLowerCase()));
  const hint = close === undefined ? '' : ` Did you mean ${close}?`;
  return `There is no field ${JSON.stringify(field)}.${hint} Known here: ${known.join(', ')}.`;
}

/** One name begins with the other, as `ttl` and `ttlMs` do. */
function isNear(known: string, name: string): boolean {
  return name.length >= 3 && (known.startsWith(name) || name.startsWith(known) || known.endsWith(name));
}

/** What is allowed, for programs. */
function allowedOf(schema: Schema): Readonly<Record<string, unknown>> {
  const { minimum, maximum, minLength, maxLength } = schema;
  if (schema.enum !== undefined) return { allowed: schema.enum };
  if (minimum !== undefined && maximum !== undefined) return { minimum, maximum };
  if (maxLength !== undefined) return { minLength: minLength ?? 0, maxLength };
  return {};
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return articled(typeof value === 'number' && !Number.isInteger(value) ? 'number with a fraction' : typeof value);
}

function articled(word: string): string {
  return `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;
}
