import { LockkeeperError } from '../../api/codes.ts';
import { LIMITS } from '../../api/limits.ts';
import { assertNamespace } from '../../api/lock-id.ts';
import { assertToken } from './body-rules.ts';
import { decodedOnce } from './target.ts';

/**
 * Reads a query string. Strict, so that a typing error is never ignored: a name that is not in `allowed`, a name given
 * twice or a broken encoding is INVALID_ARGUMENT. A plus sign stays one: no value of this API can hold a space, but a
 * lock id can hold a plus.
 */
export function parseQuery<Name extends string>(text: string, allowed: readonly Name[]): Partial<Record<Name, string>> {
  const values: Partial<Record<Name, string>> = {};
  if (text === '') return values;
  for (const pair of text.split('&')) {
    const equals = pair.indexOf('=');
    const name = decodedOnce(equals === -1 ? pair : pair.slice(0, equals));
    const value = decodedOnce(equals === -1 ? '' : pair.slice(equals + 1));
    if (name === undefined || value === undefined) {
      throw invalid(
        'query',
        `The percent-encoding of the query parameter ${pair.slice(0, 80)} is broken. Write each byte as % and two hexadecimal digits.`,
      );
    }
    if (!isOneOf(name, allowed)) {
      const known = allowed.length === 0 ? 'This path takes none.' : `Known here: ${allowed.join(', ')}.`;
      throw invalid(
        name.slice(0, 80) || '""',
        `There is no query parameter ${JSON.stringify(name.slice(0, 80))}. ${known}`,
      );
    }
    if (Object.hasOwn(values, name)) throw invalid(name, `The query parameter ${name} is given twice. Give it once.`);
    values[name] = value;
  }
  return values;
}

function isOneOf<Name extends string>(name: string, allowed: readonly Name[]): name is Name {
  return (allowed as readonly string[]).includes(name);
}

function invalid(field: string, message: string): LockkeeperError {
  return new LockkeeperError('INVALID_ARGUMENT', message, { field });
}

type Query<Name extends string> = Readonly<Partial<Record<Name, string>>>;

/** The own namespace of the pod if the parameter is absent. */
export function namespaceOf(query: Query<'namespace'>): string | undefined {
  if (query.namespace !== undefined) assertNamespace(query.namespace);
  return query.namespace;
}

export function tokenOf(query: Query<'fencingToken'>): string {
  const { fencingToken } = query;
  if (fencingToken === undefined)
    throw invalid('fencingToken', 'The query parameter fencingToken is missing. Add the token of the grant.');
  if (!/^[1-9][0-9]{0,15}$/.test(fencingToken)) {
    throw invalid(
      'fencingToken',
      'The query parameter fencingToken must be a decimal number of 1 to 16 digits, as the grant gave it.',
    );
  }
  assertToken(fencingToken);
  return fencingToken;
}

/** Empty, which is every lock, if the parameter is absent. */
export function prefixOf(query: Query<'prefix'>): string {
  const { prefix = '' } = query;
  if (prefix.length <= lockIdLengthMax && /^[A-Za-z0-9._~@+=,/-]*$/.test(prefix)) return prefix;
  throw invalid(
    'prefix',
    `The query parameter prefix must be the beginning of a lock id: at most ${lockIdLengthMax} of A-Z a-z 0-9 . _ ~ @ + = , - /.`,
  );
}

export function limitOf(query: Query<'limit'>): number {
  const { limit } = query;
  if (limit === undefined) return LIMITS.listLimitDefault;
  const count = /^[1-9][0-9]{0,8}$/.test(limit) ? Number(limit) : 0;
  if (count >= 1 && count <= LIMITS.listLimitMax) return count;
  throw invalid('limit', `The query parameter limit must be an integer from 1 to ${LIMITS.listLimitMax}.`);
}

export function continueOf(query: Query<'continue'>): string | undefined {
  const text = query.continue;
  if (text === undefined || /^[\x21-\x7e]{1,1024}$/.test(text)) return text;
  throw invalid(
    'continue',
    'The query parameter continue must be the text that the previous page answered, percent-encoded and unchanged.',
  );
}

/** A pool name, a slash, a key. */
const lockIdLengthMax = LIMITS.nameLengthMax + 1 + LIMITS.poolKeyLengthMax;
