/** The query of a request, checked as an API server checks its options. Each function throws `ApiError`. */
import { type Cause, badRequest, invalid } from '../api-error.ts';
import { isVersion } from '../object-key.ts';

export interface ListOptions {
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  readonly limit: number;
  readonly continueToken: string | undefined;
  readonly exactVersion: string | undefined;
  readonly notOlderThan: string | undefined;
}

/** Of a list. */
export function listOptions(query: URLSearchParams): ListOptions {
  const text = (name: string) => query.get(name) || undefined;
  const [match, version, continueToken] = [text('resourceVersionMatch'), text('resourceVersion'), text('continue')];
  const limit = query.get('limit') ?? '0';
  if (!/^-?\d+$/.test(limit)) throw badRequest(`limit: ${JSON.stringify(limit)} is not a whole number`);
  const causes: Cause[] = [];
  if (match !== undefined) {
    if (version === undefined)
      causes.push(forbidden('resourceVersionMatch is forbidden unless resourceVersion is provided'));
    if (continueToken !== undefined)
      causes.push(forbidden('resourceVersionMatch is forbidden when continue is provided'));
    if (match !== 'Exact' && match !== 'NotOlderThan')
      causes.push(unsupported('resourceVersionMatch', match, ['Exact', 'NotOlderThan', '']));
    if (match === 'Exact' && version === '0')
      causes.push(forbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  }
  if (query.has('sendInitialEvents'))
    causes.push(forbidden('sendInitialEvents is forbidden for list', 'sendInitialEvents'));
  refuse('ListOptions', causes);
  if (continueToken !== undefined && version !== undefined && version !== '0')
    throw badRequest('specifying resource version is not allowed when using continue');
  if (version !== undefined && !isVersion(version))
    throw badRequest(`invalid resource version: resourceVersion: ${JSON.stringify(version)} is not a whole number`);
  return {
    labelSelector: text('labelSelector'),
    fieldSelector: text('fieldSelector'),
    limit: Number(limit),
    continueToken,
    exactVersion: match === 'Exact' ? version : undefined,
    notOlderThan: match === 'Exact' ? undefined : version,
  };
}

/** Of a watch: whether it begins with what is there, and from which version it goes on otherwise. */
export function watchOptions(query: URLSearchParams): { readonly fromNow: boolean; readonly resourceVersion: string } {
  const [match, resourceVersion] = [query.get('resourceVersionMatch') ?? '', query.get('resourceVersion') ?? ''];
  const causes: Cause[] = [];
  if (query.has('sendInitialEvents')) {
    if (match !== 'NotOlderThan')
      causes.push(forbidden('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'));
  } else if (match !== '')
    causes.push(forbidden('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'));
  if (match !== '' && match !== 'NotOlderThan')
    causes.push(unsupported('resourceVersionMatch', match, ['NotOlderThan']));
  refuse('ListOptions', causes);
  const fromNow = resourceVersion === '' || resourceVersion === '0' || query.get('sendInitialEvents') === 'true';
  return { fromNow, resourceVersion };
}

export type FieldValidation = 'Ignore' | 'Strict' | 'Warn';

/** Of a write; `options` is their kind, such as `CreateOptions`. */
export function writeQuery(
  query: URLSearchParams,
  options: string,
): { readonly dryRun: boolean; readonly fieldValidation: FieldValidation } {
  const validation = query.get('fieldValidation') || 'Warn';
  const causes = dryRunCauses(query);
  const isKnown = validation === 'Ignore' || validation === 'Strict' || validation === 'Warn';
  if (!isKnown) causes.push(unsupported('fieldValidation', validation, ['', 'Ignore', 'Strict', 'Warn']));
  refuse(options, causes);
  return { dryRun: isDryRun(query), fieldValidation: isKnown ? validation : 'Warn' };
}

/** Of an apply. */
export function assertFieldManager(query: URLSearchParams): void {
  if (query.get('fieldManager')) return;
  const message = 'Required value: is required for apply patch';
  refuse('PatchOptions', [{ reason: 'FieldValueRequired', field: 'fieldManager', message }]);
}

export interface DeletionOptions {
  readonly dryRun: boolean;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

/** Of a deletion: from the query, or from the DeleteOptions in the body. */
export function deletionOptions(query: URLSearchParams, body: Readonly<Record<string, unknown>>): DeletionOptions {
  const preconditions = (body['preconditions'] ?? {}) as Readonly<Record<string, unknown>>;
  const { gracePeriodSeconds, propagationPolicy, dryRun = [] } = body;
  const wrong = (field: string, wanted: string) => badRequest(`DeleteOptions.${field} must be ${wanted}`);
  if (gracePeriodSeconds !== undefined && !Number.isInteger(gracePeriodSeconds))
    throw wrong('gracePeriodSeconds', 'a whole number');
  if (!Array.isArray(dryRun)) throw wrong('dryRun', 'a list');
  const policy = propagationPolicy ?? query.get('propagationPolicy') ?? 'Background';
  const causes = dryRunCauses(query);
  if (!POLICIES.some((each) => each === policy))
    causes.push(unsupported('propagationPolicy', policy, [...POLICIES, 'nil']));
  refuse('DeleteOptions', causes);
  const text = (field: string) => {
    const value = preconditions[field];
    if (value === undefined || typeof value === 'string') return value;
    throw wrong(`preconditions.${field}`, 'a text');
  };
  return {
    dryRun: isDryRun(query) || dryRun.includes('All'),
    uid: text('uid'),
    resourceVersion: text('resourceVersion'),
  };
}

const POLICIES = ['Foreground', 'Background', 'Orphan'];

function isDryRun(query: URLSearchParams): boolean {
  return query.getAll('dryRun').some((value) => value !== '');
}

function dryRunCauses(query: URLSearchParams): Cause[] {
  const values = query.getAll('dryRun').filter((value) => value !== '');
  return values.every((value) => value === 'All') ? [] : [unsupported('dryRun', values, ['All'])];
}

function forbidden(why: string, field = 'resourceVersionMatch'): Cause {
  return { reason: 'FieldValueForbidden', field, message: `Forbidden: ${why}` };
}

function unsupported(field: string, value: unknown, supported: readonly string[]): Cause {
  const known = supported.map((each) => JSON.stringify(each)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${known}`;
  return { reason: 'FieldValueNotSupported', field, message };
}

function refuse(kind: string, causes: readonly Cause[]): void {
  if (causes.length > 0) throw invalid({ group: 'meta.k8s.io', kind }, '', causes);
}
